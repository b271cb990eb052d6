// What operates the server: who sees it, under which name, and where.
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';

import { startGalley } from '../lib/galley.mjs';

const status = async (galley, target, headers = {}) => (await galley.request('GET', target, { headers })).status;

// Over a Unix socket.
function over(socketPath, target) {
    return new Promise((resolve, reject) => {
        const request = http.request({ socketPath, path: target, headers: { host: 'localhost' } });
        request.on('error', reject).on('response', (response) => resolve(response.resume().statusCode)).end();
    });
}

test('pages and figures are for the networks of admin.allow, health for everybody', async () => {
    const galley = await startGalley({ config: { admin: { allow: '192.0.2.0/24' } } });
    for (const target of ['/_/', '/_/api/session', '/_/assets/js/login.js', '/metrics'])
        assert.equal(await status(galley, target), 403, target);
    for (const target of ['/healthz', '/readyz', '/products?limit=1'])
        assert.equal(await status(galley, target), 200, target);
    await galley.configure();
    await galley.reload();
    assert.equal(await status(galley, '/metrics'), 200);
    assert.equal(await status(galley, '/_/login'), 200);
});

test('pages answer only to hosts that they are known by', async () => {
    const galley = await startGalley();
    const page = (host) => status(galley, '/_/login', { host });
    assert.equal(await page('evil.example'), 421);
    assert.equal(await page(`evil.example:${galley.port}`), 421);
    assert.equal(await page('localhost'), 200);
    assert.equal(await page('192.0.2.1'), 200);
    assert.equal(await status(galley, '/metrics', { host: 'galley.monitoring' }), 200);
    await galley.configure({ server: { hosts: 'admin.example.org' } });
    await galley.reload();
    assert.equal(await page('admin.example.org:443'), 200);
    assert.equal(await page('evil.example'), 421);
});

test('whom a trusted proxy speaks for is who is let in', async () => {
    const galley = await startGalley({ config: { server: { trusted_proxies: '127.0.0.1' } } });
    const figures = (client) => status(galley, '/metrics', { 'x-forwarded-for': client });
    assert.equal(await figures('192.0.2.1'), 403);
    assert.equal(await figures('10.0.0.1'), 200);
    assert.equal(await figures('10.0.0.1, 192.0.2.1'), 403);
    await galley.configure();
    await galley.reload();
    assert.equal(await figures('10.0.0.1'), 403);
});

test('under TLS the cookie of a session is held to this host', async () => {
    const galley = await startGalley({ config: { server: { trusted_proxies: '127.0.0.1' } } });
    const [, token] = /setup\?token=([\w-]+)/.exec(galley.stdout);
    const json = { token, username: 'captain', password: 'steady as she goes' };
    const headers = { 'x-forwarded-for': '10.0.0.1', 'x-forwarded-proto': 'https' };
    const answer = await galley.request('POST', '/_/api/setup', { json, headers });
    const [cookie] = answer.headers['set-cookie'];
    assert.match(cookie, /^__Host-galley_admin_\d+=[\w-]+; Path=\/; HttpOnly; SameSite=Strict; Secure$/);
    headers.cookie = cookie.split(';')[0];
    assert.equal((await galley.request('GET', '/_/api/session', { headers })).body.signedIn, true);
    headers.cookie = headers.cookie.replace('__Host-', '');
    assert.equal((await galley.request('GET', '/_/api/session', { headers })).body.signedIn, false);
});

test('with a listener of its own the administration is there, and nothing else', async () => {
    const galley = await startGalley({ config: { admin: { listen: 'unix:admin.sock' } } });
    const own = path.join(galley.dir, 'admin.sock');
    for (const target of ['/_/login', '/metrics', '/healthz', '/readyz']) assert.equal(await over(own, target), 200, target);
    assert.equal(await over(own, '/products?limit=1'), 404);
    for (const target of ['/_/login', '/_/api/session', '/metrics']) assert.equal(await status(galley, target), 404, target);
    for (const target of ['/healthz', '/readyz', '/products?limit=1']) assert.equal(await status(galley, target), 200, target);
});
