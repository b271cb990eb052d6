// Listeners with TLS, over real connections.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import https from 'node:https';
import test from 'node:test';
import tls from 'node:tls';

import { makeCertificates, replaceCertificates } from '../lib/certificates.mjs';
import { configText, eventually, runGalley, startGalley, withDeadline } from '../lib/galley.mjs';
import { RawConnection } from '../lib/raw.mjs';

const DAY_S = 86_400;

// A server with a listener "web" that has these certificates.
function listener({ cert, key }, keys = {}) {
    return { 'listener web': { address: '127.0.0.1:0', tls_cert: cert, tls_key: key, ...keys } };
}

const start = (certificates, keys) => startGalley({ config: listener(certificates, keys) });

// The log is written a moment later.
const logged = (galley, pattern) => eventually(`${pattern} is logged`, () => pattern.test(galley.log()));

// Where a listener is bound, as the banner says.
function portOf(galley, name = 'web') {
    return Number(new RegExp(`:(\\d+) \\(${name}\\)$`, 'm').exec(galley.stdout)[1]);
}

// A bare TLS connection that trusts the certificate.
async function connect(galley, { ca }, options = {}) {
    const socket = tls.connect({ port: portOf(galley), host: '127.0.0.1', servername: 'localhost', ca, ...options });
    await withDeadline('the handshake', once(socket, 'secureConnect'));
    return socket;
}

// The answer to one request, over any agent.
function get(galley, { ca }, path, options = {}) {
    const answer = new Promise((resolve, reject) => {
        const request = https.get({ port: portOf(galley), host: 'localhost', path, ca, ...options }, (response) => {
            const chunks = [];
            const certificate = response.socket.getPeerCertificate();
            response.on('data', (chunk) => chunks.push(chunk));
            response.on('end', () => resolve({
                status: response.statusCode,
                headers: response.headers,
                reused: request.reusedSocket,
                certificate,
                body: Buffer.concat(chunks).toString(),
            }));
            response.on('error', reject);
        });
        request.on('error', reject);
    });
    return withDeadline(path, answer);
}

// ---- Requests

test('https requests are answered, over one connection', async (t) => {
    const certificates = await makeCertificates();
    const galley = await start(certificates);
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    for (let i = 0; i < 3; i++) {
        const { status, reused, body } = await get(galley, certificates, '/healthz', { agent });
        assert.equal(status, 200);
        assert.equal(body, '{"status":"ok"}');
        assert.equal(reused, i > 0);
    }
});

test('orders, long lists and streams work as without TLS', async (t) => {
    const certificates = await makeCertificates();
    const galley = await start(certificates);
    const token = await galley.login();
    const headers = { authorization: `Bearer ${token}` };
    const { status, body } = await get(galley, certificates, '/products?limit=1000', { headers });
    assert.equal(status, 200);
    assert.ok(body.length > 16_384 * 3); // several records
    JSON.parse(body);

    const order = JSON.stringify({ productId: 5, qty: 3, note: 'x'.repeat(20_000) }); // likewise
    const connection = await RawConnection.open(portOf(galley), '127.0.0.1', undefined, { ca: certificates.ca, servername: 'localhost' });
    const fields = `Host: localhost\r\nAuthorization: Bearer ${token}\r\n`;
    for (const [text, answer] of [[order, 422], ['{"productId":5,"qty":3}', 201]]) {
        connection.send(`POST /place-order HTTP/1.1\r\n${fields}Content-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
        assert.equal((await connection.response()).status, answer);
    }
    connection.destroy();
    assert.equal((await galley.request('GET', '/products/5', { token })).body.stock, 1000000 - 3);

    const { headers: { cookie } } = await galley.administrator();
    const session = { cookie: `__Host-galley_admin_${portOf(galley)}=${cookie.split('=')[1]}` }; // as it is called there
    const live = https.get({ port: portOf(galley), host: 'localhost', path: '/_/api/live', ca: certificates.ca, headers: session, agent: false });
    t.after(() => live.destroy());
    const [events] = await withDeadline('the stream', once(live, 'response'));
    assert.equal(events.statusCode, 200);
    let text = '';
    events.setEncoding('utf8').on('data', (piece) => (text += piece)).on('error', () => {});
    await eventually('samples come', () => text.match(/^event: sample$/gm)?.length >= 2);
});

test('browsers are told to come back with TLS only, for as long as is set', async () => {
    const certificates = await makeCertificates();
    const galley = await start(certificates);
    const hsts = async (path = '/healthz') =>
        (await get(galley, certificates, path, { agent: false })).headers['strict-transport-security'];
    assert.equal(await hsts(), 'max-age=31536000');
    assert.equal(await hsts('/nosuch'), 'max-age=31536000');
    assert.equal((await galley.request('GET', '/healthz')).headers['strict-transport-security'], undefined);
    await galley.configure(listener(certificates, { hsts: '0ms' }));
    await galley.reload();
    assert.equal(await hsts(), undefined);
});

test('who speaks HTTP to a TLS port is told so', async () => {
    const galley = await start(await makeCertificates());
    for (const method of ['GET', 'DELETE']) {
        const connection = await RawConnection.open(portOf(galley));
        connection.send(`${method} / HTTP/1.1\r\nHost: shop.test\r\n\r\n`);
        const { status, body, headers } = await connection.response();
        assert.equal(status, 400);
        assert.match(body, /This port speaks TLS: use https\./);
        assert.equal(headers.connection, 'close');
        connection.destroy();
    }
});

test('what is neither TLS nor HTTP is closed and counted', async () => {
    const galley = await start(await makeCertificates());
    const connection = await RawConnection.open(portOf(galley));
    connection.send(Buffer.from([0x16, 3, 1, 0, 4, 1, 2, 3, 4, 0xff]));
    await connection.untilClosed();
    assert.equal(await galley.metric('galley_tls_handshakes_total{listener="web",result="failed"}'), 1);
});

test('clients older than TLS 1.2 are refused', async () => {
    const certificates = await makeCertificates();
    const galley = await start(certificates);
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
    await assert.rejects(connect(galley, certificates, old), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
    const socket = await connect(galley, certificates, { maxVersion: 'TLSv1.2' });
    assert.equal(socket.getProtocol(), 'TLSv1.2');
    socket.destroy();
});

test('sessions resume, also after the certificate was renewed', async () => {
    const certificates = await makeCertificates();
    const galley = await start(certificates);
    const ask = (socket) => {
        socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
        socket.resume();
        return once(socket, 'close');
    };
    const first = await connect(galley, certificates);
    let session;
    first.on('session', (one) => (session = one));
    await ask(first);
    await renew(galley, certificates);
    const second = await connect(galley, certificates, { session });
    assert.equal(second.isSessionReused(), true);
    await ask(second);
    assert.equal(await galley.metric('galley_tls_handshakes_total{listener="web",result="resumed"}'), 1);
});

test('a listener may send all requests to another, but answers challenges itself', async () => {
    const galley = await startGalley({
        config: {
            server: { acme_webroot: '.' },
            'listener http': { address: '127.0.0.1:0', redirect_to: 'https://shop.test' },
        },
    });
    const ask = async (target) => {
        const connection = await RawConnection.open(portOf(galley, 'http'));
        connection.send(`GET ${target} HTTP/1.1\r\nHost: shop.test\r\n\r\n`);
        const { status, headers } = await connection.response();
        connection.destroy();
        return [status, headers.location];
    };
    assert.deepEqual(await ask('/products?limit=2'), [308, 'https://shop.test/products?limit=2']);
    assert.deepEqual(await ask('/a%20b'), [308, 'https://shop.test/a%20b']);
    assert.deepEqual(await ask('/.well-known/acme-challenge/nosuch'), [404, undefined]);
});

// ---- Which certificate

test('the name that is asked for chooses the certificate', async () => {
    const [first, second] = [await makeCertificates(['first.test']), await makeCertificates(['second.test', '*.second.test'])];
    const text = configText(listener(first)).replace(/tls_key = .*\n/, (line) =>
        `${line}tls_cert = ${second.cert}\ntls_key = ${second.key}\n`);
    const galley = await startGalley({ config: text });
    const shown = async (servername) => {
        const socket = await connect(galley, { ca: [first.ca, second.ca] }, { servername, checkServerIdentity: () => {} });
        const names = socket.getPeerCertificate().subjectaltname;
        socket.destroy();
        return /first\.test/.test(names) ? 'first' : 'second';
    };
    assert.equal(await shown('first.test'), 'first');
    assert.equal(await shown('second.test'), 'second');
    assert.equal(await shown('www.second.test'), 'second');
    assert.equal(await shown('third.test'), 'first');
    assert.equal(await shown(''), 'first');
});

test('client certificates are asked for where that is set', async () => {
    const [server, client, stranger] = [await makeCertificates(), await makeCertificates(), await makeCertificates()];
    const galley = await start(server, { tls_client: 'required', tls_client_ca: `${client.dir}/dev-ca.crt` });
    const visit = async ({ cert, key } = {}) => {
        const own = cert && { cert: await readFile(cert), key: await readFile(key) };
        return get(galley, server, '/healthz', { agent: false, ...own });
    };
    await assert.rejects(visit(), /certificate required/);
    await assert.rejects(visit(stranger), /unknown ca/);
    assert.equal((await visit(client)).status, 200);
});

// ---- Files

test('check and start name the certificate that cannot be used', async () => {
    const certificates = await makeCertificates();
    await writeFile(certificates.key, 'hello\n');
    const file = `${certificates.dir}/config.ini`;
    await writeFile(file, configText(listener(certificates)));
    for (const command of ['check', 'serve']) {
        const { status, stderr } = await runGalley([command, '-c', file], { cwd: certificates.dir });
        assert.equal(status, 2);
        assert.match(stderr, /config\.ini:\d+: \[listener web\] \S+\/dev\.key: holds no private key/);
    }
});

// Waits until a certificate in the place of the old one is in use, and gives it.
async function renew(galley, certificates, days = 90) {
    const fresh = await makeCertificates([], { days });
    const before = await galley.metric('galley_tls_reloads_total{listener="web"}');
    await replaceCertificates(certificates, fresh);
    await eventually('the new one is in use', async () =>
        (await galley.metric('galley_tls_reloads_total{listener="web"}')) === before + 1);
    certificates.ca = fresh.ca;
}

test('a renewed certificate is loaded without a restart, while connections go on', async () => {
    const certificates = await makeCertificates([], { days: 20 });
    const galley = await start(certificates);
    const end = () => galley.metric('galley_tls_certificate_not_after_seconds{listener="web",name="localhost"}');
    const before = await end();
    assert.ok(Math.abs(before - Date.now() / 1000 - 20 * DAY_S) < DAY_S);
    const old = await RawConnection.open(portOf(galley), '127.0.0.1', undefined, { ca: certificates.ca, servername: 'localhost' });
    await renew(galley, certificates, 90);
    assert.ok((await end()) > before + 60 * DAY_S);
    assert.equal((await get(galley, certificates, '/healthz')).status, 200);
    old.send('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    assert.equal((await old.response()).status, 200);
    old.destroy();
    assert.equal(await galley.metric('galley_tls_reload_failures_total{listener="web"}'), 0);
});

test('a certificate that ends soon is warned of in the log', async () => {
    const galley = await start(await makeCertificates([], { days: 5 }));
    await logged(galley, /The certificate of localhost expires in [45] days/);
});

test('a broken renewal keeps the old certificate, and is told', async () => {
    const certificates = await makeCertificates();
    const galley = await start(certificates);
    await writeFile(certificates.cert, 'hello\n');
    await eventually('the failure is counted', async () =>
        (await galley.metric('galley_tls_reload_failures_total{listener="web"}')) === 1);
    await logged(galley, /the old certificate stays in use: \S+dev\.crt: holds no certificate/);
    assert.ok(await galley.metric('galley_tls_certificate_not_after_seconds{listener="web",name="localhost"}'));
});

test('a reload takes over other certificates, and refuses those that cannot be used', async () => {
    const [first, second] = [await makeCertificates(), await makeCertificates(['shop.test'], { days: 20 })];
    const galley = await start(first);
    const end = async () =>
        (await galley.metric('galley_tls_certificate_not_after_seconds{listener="web",name="localhost"}')) * 1000;
    await galley.configure(listener({ ...second, key: first.key }));
    await galley.reload();
    await logged(galley, /\[listener web\] \S+dev\.key: is not the key of \S+dev\.crt/);
    assert.ok((await end()) > Date.now() + 80 * DAY_S * 1000);
    await galley.configure(listener(second));
    await galley.reload();
    assert.ok((await end()) < Date.now() + 21 * DAY_S * 1000);
});
