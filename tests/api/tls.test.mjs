// Listeners with TLS, over real connections.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import https from 'node:https';
import test from 'node:test';
import tls from 'node:tls';

import { makeCertificates, replaceCertificates } from '../lib/certificates.mjs';
import { configText, eventually, runGalley, startGalley, withDeadline } from '../lib/galley.mjs';

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

test('a renewed certificate is loaded without a restart', async () => {
    const certificates = await makeCertificates(['shop.test'], { days: 20 });
    const galley = await start(certificates);
    const end = () => galley.metric('galley_tls_certificate_not_after_seconds{listener="web",name="localhost"}');
    const before = await end();
    assert.ok(Math.abs(before - Date.now() / 1000 - 20 * DAY_S) < DAY_S);
    await replaceCertificates(certificates, await makeCertificates(['shop.test'], { days: 90 }));
    await eventually('the new one is in use', async () => (await end()) > before + 60 * DAY_S);
    assert.equal(await galley.metric('galley_tls_reloads_total{listener="web"}'), 1);
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
