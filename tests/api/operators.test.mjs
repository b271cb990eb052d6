// /_/ and /metrics are for who operates the server: by address, and under names that it is known by.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';

const asked = (galley, target, host) => galley.request('GET', target, { headers: { host } });

test('the admin pages answer only to hosts that they are known by', async () => {
    const galley = await startGalley({ config: { server: { hosts: 'Admin.Example.org, other.example' } } });
    const { port } = galley;
    for (const host of [`127.0.0.1:${port}`, 'localhost', `LocalHost:${port}`, 'galley.localhost', `[::1]:${port}`,
        'admin.example.org', 'admin.example.org.:8443', 'OTHER.example']) {
        assert.equal((await asked(galley, '/_/login', host)).status, 200, host);
    }
    for (const host of ['evil.example', `evil.example:${port}`, '192.0.2.1', 'localhost.evil.example', '127.0.0.1.evil.example',
        'admin.example.org.evil.example']) {
        for (const target of ['/_/login', '/_/api/session', '/_/nothing']) {
            assertError(await asked(galley, target, host), 421, 'MISDIRECTED');
        }
        assert.equal((await asked(galley, '/healthz', host)).status, 200, 'others do not ask');
    }
});

test('who listens on all addresses is known by any address, but by no other name', async () => {
    const galley = await startGalley({ config: { server: { listen: '0.0.0.0:0' }, shop: { seed: 'no' } } });
    assert.equal((await asked(galley, '/_/login', '192.0.2.1:80')).status, 200);
    assert.equal((await asked(galley, '/_/login', 'evil.example')).status, 421);
});

test('a request without a host gets no admin page', async () => {
    const galley = await startGalley();
    const raw = await galley.connect();
    raw.send('GET /_/login HTTP/1.0\r\n\r\n');
    assert.equal((await raw.response()).status, 421);
    raw.destroy();
});

test('the admin pages and the metrics are for those whom [admin] allow names', async () => {
    const galley = await startGalley({ config: { admin: { allow: '127.0.0.1, 10.0.0.0/8' } } });
    const elsewhere = new http.Agent({ localAddress: '127.0.0.2' });
    for (const target of ['/_/login', '/_/', '/metrics']) {
        assert.notEqual((await galley.request('GET', target)).status, 403);
        assertError(await galley.request('GET', target, { agent: elsewhere }), 403, 'FORBIDDEN');
    }
    const login = await galley.request('POST', '/_/api/login', { json: {}, agent: elsewhere });
    assertError(login, 403, 'FORBIDDEN');
    for (const target of ['/healthz', '/readyz', '/products']) {
        assert.equal((await galley.request('GET', target, { agent: elsewhere })).status, 200);
    }
});
