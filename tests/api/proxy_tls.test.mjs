// TLS towards the servers of an upstream: verified, or not spoken.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { makeCertificates } from '../lib/certificates.mjs';
import { startGalley } from '../lib/galley.mjs';
import { echo, passingOn, startRawUpstream, startTlsUpstream } from '../lib/upstream.mjs';

const ca = ({ dir }) => path.join(dir, 'dev-ca.crt');

async function startServer(certificates, options = {}) {
    return startTlsUpstream({
        cert: await readFile(certificates.cert), key: await readFile(certificates.key), ...options,
    }, (request, response) => {
        response.setHeader('x-name', request.socket.servername || '');
        response.setHeader('x-client', request.socket.getPeerCertificate().subject?.CN ?? '');
        if (request.url === '/up/large') return response.end('x'.repeat(1 << 20));
        return echo(request, response);
    });
}

test('a certificate of the named authority, for the named server', async () => {
    const certificates = await makeCertificates(['localhost']);
    const upstream = await startServer(certificates);
    const galley = await startGalley(passingOn(upstream, { tls: 'yes', tls_ca: ca(certificates), tls_server_name: 'localhost' }));
    for (let i = 0; i < 3; i++) {
        const { status, headers, body } = await galley.request('POST', '/up/x', { body: 'a'.repeat(100000) });
        assert.equal(status, 200);
        assert.equal(headers['x-name'], 'localhost');
        assert.equal(body.body.length, 100000);
    }
    assert.equal((await galley.request('GET', '/up/large')).raw.length, 1 << 20);
    assert.equal(upstream.connections, 1);
});

test('without a name the certificate must be for the address', async () => {
    const certificates = await makeCertificates(['localhost', '127.0.0.1']);
    const galley = await startGalley(passingOn(await startServer(certificates), { tls: 'yes', tls_ca: ca(certificates) }));
    assert.equal((await galley.request('GET', '/up/x')).status, 200);
});

test('another name, another authority, the system\'s: 502, unless nobody is to look', async () => {
    const certificates = await makeCertificates(['localhost']);
    const others = await makeCertificates(['localhost']);
    const upstream = await startServer(certificates);
    const refused = [
        { tls_ca: ca(certificates), tls_server_name: 'other.example' },
        { tls_ca: ca(others), tls_server_name: 'localhost' },
        { tls_server_name: 'localhost' },
    ];
    for (const keys of refused) {
        const galley = await startGalley(passingOn(upstream, { tls: 'yes', ...keys }));
        assertError(await galley.request('GET', '/up/x'), 502, 'BAD_GATEWAY');
    }
    assert.equal(upstream.requests.length, 0);
    const galley = await startGalley(passingOn(upstream, { tls: 'yes', tls_verify: 'no' }));
    assert.equal((await galley.request('GET', '/up/x')).status, 200);
});

test('our own certificate is shown to who asks for one', async () => {
    const certificates = await makeCertificates(['localhost']);
    const own = await makeCertificates(['client.example']);
    const upstream = await startServer(certificates, { requestCert: true, rejectUnauthorized: true, ca: own.ca });
    const keys = { tls: 'yes', tls_ca: ca(certificates), tls_server_name: 'localhost' };
    const galley = await startGalley(passingOn(upstream, { ...keys, tls_cert: own.cert, tls_key: own.key }));
    assert.equal((await galley.request('GET', '/up/x')).status, 200);
    const without = await startGalley(passingOn(upstream, keys));
    assertError(await without.request('GET', '/up/x'), 502, 'BAD_GATEWAY');
});

test('a server that speaks no TLS, or never ends its handshake', async () => {
    const plain = await startRawUpstream((socket) => socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')));
    const silent = await startRawUpstream(() => {});
    const keys = { tls: 'yes', tls_verify: 'no', connect_timeout: '300ms', retries: 0 };
    const galley = await startGalley(passingOn(plain, keys));
    assertError(await galley.request('GET', '/up/x'), 502, 'BAD_GATEWAY');
    const waiting = await startGalley(passingOn(silent, keys));
    assertError(await waiting.request('GET', '/up/x'), 504, 'GATEWAY_TIMEOUT');
});
