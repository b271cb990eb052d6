// Servers that are told whose connection it is, by the PROXY protocol.
import assert from 'node:assert/strict';
import test from 'node:test';

import { makeCertificates } from '../lib/certificates.mjs';
import { eventually, startGalley } from '../lib/galley.mjs';
import { passingOn, startRawUpstream } from '../lib/upstream.mjs';

const portOf = (galley, name) => Number(new RegExp(`:(\\d+) \\(${name}\\)$`, 'm').exec(galley.stdout)[1]);

// A server that demands the header: a Galley of its own, and what its log says.
async function startBehind(listener = {}) {
    const behind = await startGalley({ config: {
        server: { trusted_proxies: '127.0.0.1' },
        'listener balanced': { address: '127.0.0.1:0', proxy_protocol: 'yes', ...listener },
    } });
    const address = `127.0.0.1:${portOf(behind, 'balanced')}`;
    const logged = async (path) => {
        const find = () => behind.log().split('\n').find((text) => text.includes('"access"') && text.includes(`"${path}"`));
        await eventually(`${path} is logged`, find);
        return JSON.parse(find()).address;
    };
    return { address, logged };
}

for (const version of ['v1', 'v2']) {
    test(`proxy_protocol = ${version}: each connection says whose it is, checks too`, async () => {
        const behind = await startBehind();
        const galley = await startGalley({ config: {
            ...passingOn(behind.address, { proxy_protocol: version, check: 'http', check_path: '/nosuch-check', check_status: '404', check_interval: '100ms' }).config,
            server: { trusted_proxies: '127.0.0.1' },
        } });
        for (const client of ['192.0.2.7', '192.0.2.8', '2001:db8::7']) {
            const path = `/up/nosuch-${client.at(-1)}-${client.length}`;
            const { status } = await galley.request('GET', path, { headers: { 'x-forwarded-for': client } });
            assert.equal(status, 404);
            assert.equal(await behind.logged(path), client);
        }
        assert.equal(await behind.logged('/nosuch-check'), '127.0.0.1');
        assert.equal(await galley.metric(`galley_upstream_up{upstream="up",server="${behind.address}"}`), 1);
    });
}

test('the header comes before TLS', async () => {
    const { cert, key, dir } = await makeCertificates();
    const behind = await startBehind({ tls_cert: cert, tls_key: key });
    const galley = await startGalley(passingOn(behind.address,
        { proxy_protocol: 'v2', tls: 'yes', tls_ca: `${dir}/dev-ca.crt`, tls_server_name: 'localhost' }));
    assert.equal((await galley.request('GET', '/up/nosuch')).status, 404);
    assert.equal(await behind.logged('/up/nosuch'), '127.0.0.1');
});

test('no connection with such a header is another request\'s', async () => {
    const server = await startRawUpstream((socket) => socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')));
    const galley = await startGalley(passingOn(server, { proxy_protocol: 'v1' }));
    for (let i = 0; i < 3; i++) assert.equal((await galley.request('GET', '/up/x')).status, 200);
    assert.equal(server.connections, 3);
    assert.match(server.received, /^PROXY TCP4 127\.0\.0\.1 0\.0\.0\.0 0 \d+\r\nGET \/up\/x HTTP\/1\.1\r\n/);
});
