// Stored answers of a module's routes: who gets them, and how they are voided.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { runGalley, startGalley } from '../lib/galley.mjs';
import { claims, makeToken } from '../lib/jwt.mjs';

const galley = await startGalley({
    config: {
        'route shop': { cache: 'yes', cache_ttl: '1h' },
        'route pages': { path: '/pages/*', method: 'GET', target: 'respond:410', respond_body: 'a page', cache: 'yes', cache_ttl: '1h' },
        'route own': { path: '/own', target: 'respond:410', respond_body: 'mine', signed_in: 'yes', cache: 'yes', cache_ttl: '1h', cache_key: 'user' },
        'route all': { path: '/all', target: 'respond:410', respond_body: 'ours', signed_in: 'yes', cache: 'yes', cache_ttl: '1h' },
    },
});
const token = await galley.login();
const admin = await galley.administrator();

const status = async (target, options) => (await galley.request('GET', target, options)).headers['cache-status'];
const purge = (...args) => runGalley(['purge', '--data', galley.dataDir, ...args]);

test('the second request is answered with what the first was', async () => {
    const first = await galley.request('GET', '/pages/1?limit=2');
    assert.deepEqual([first.status, first.headers['cache-status']], [410, 'galley; fwd=uri-miss; stored']);
    const second = await galley.request('GET', '/pages/1?limit=2');
    assert.match(second.headers['cache-status'], /^galley; hit; ttl=3\d\d\d$/);
    assert.match(second.headers.age, /^\d+$/);
    assert.deepEqual(second.raw, first.raw);
    assert.match(await status('/pages/1?limit=3'), /uri-miss/);
});

test('what is private is never stored, and an error is nobody else\'s', async () => {
    for (let i = 0; i < 2; i++) {
        assert.equal(await status('/products/1', { token }), 'galley; fwd=uri-miss');
        const refused = await galley.request('GET', '/products/none', { token });
        assertError(refused, 404, 'NOT_FOUND');
        assert.equal(refused.headers['cache-status'], 'galley; fwd=uri-miss');
    }
});

test('an answer to a user is stored only for that user, and only where the key says so', async () => {
    assert.equal(await status('/all', { token }), 'galley; fwd=uri-miss');
    assert.equal(await status('/own', { token }), 'galley; fwd=uri-miss; stored');
    assert.match(await status('/own', { token }), /hit/);
    const bob = makeToken(claims({ sub: 'bob' }));
    assert.equal(await status('/own', { token: bob }), 'galley; fwd=uri-miss; stored');
    assertError(await galley.request('GET', '/own'), 401, 'UNAUTHENTICATED');
});

const stored = async (target) => {
    await galley.request('GET', target);
    assert.match(await status(target), /hit/);
};

test('a purge voids a URL, all below a path, or what has a tag', async () => {
    const url = '/pages/1?limit=5', other = '/pages/1?limit=6';
    await stored(url);
    await stored(other);
    assert.deepEqual(await purge(url), { status: 0, stdout: '', stderr: '' });
    assert.match(await status(url), /uri-miss; stored/);
    assert.match(await status(other), /hit/);
    assert.equal((await purge(`http://127.0.0.1:${galley.port}/pages/1?limit=6`)).status, 0);
    assert.match(await status(other), /uri-miss; stored/);
    assert.equal((await purge('/*')).status, 0);
    assert.match(await status(url), /uri-miss; stored/);
    assert.equal((await admin('cache/purge', { prefix: '/orders/' })).status, 204);
    assert.match(await status(url), /hit/);
    assert.equal((await admin('cache/purge', { tag: 'none' })).status, 204);
    assert.match(await status(url), /hit/);
});

test('what is none is refused', async () => {
    for (const body of [{ url: 'products' }, { url: 'ftp://a/b' }, { prefix: '/products' }, { tag: 'two words' }, { tag: '' }]) {
        assertError(await admin('cache/purge', body), 422, 'VALIDATION_ERROR');
    }
    assertError(await admin('cache/purge', { url: '/a', tag: 'b' }), 422, 'VALIDATION_ERROR');
    const { status: exit, stderr } = await purge('/a/%zz');
    assert.deepEqual([exit, stderr], [1, 'galley purge: A URL begins with http://, https:// or a slash.\n']);
    assert.equal((await purge()).status, 2);
    assert.equal((await purge('--tag', 'a', '/b')).status, 2);
});

test('what is stored is shown, with what it did for each route', async () => {
    const url = '/pages/1?limit=7';
    await stored(url);
    const { body: entry } = await admin.get(`cache/entry?url=${encodeURIComponent(`${galley.url}${url}`)}`);
    assert.equal(entry.status, 410);
    assert.ok(entry.bytes === 6 && entry.ttl > 3000 && entry.age < 600);
    assert.ok(entry.headers.some(([name, value]) => name === 'Content-Type' && value === 'text/plain; charset=utf-8'));
    assertError(await admin.get('cache/entry?url=%2Fnone'), 404, 'NOT_FOUND');
    const { body } = await admin.get('cache');
    const route = body.routes.find(({ pattern }) => pattern === '/pages/*');
    assert.ok(route.served.hit > 0 && route.served.stored > 0);
    assert.equal(route.requests, Object.values(route.served).reduce((sum, count) => sum + count));
    assert.ok(body.bytes > 0 && body.bytes <= body.budgetBytes && body.shards.length >= 4 && body.purges >= 4);
    const metrics = (await galley.request('GET', '/metrics')).raw.toString();
    assert.match(metrics, /^galley_response_cache_requests_total\{route="\/pages\/\*",method="GET",result="hit"\} \d+$/m);
    assert.match(metrics, /^galley_response_cache_purges_total \d+$/m);
});
