// What a target sees of the path: strip_prefix and rewrite.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { runGalley, startGalley } from '../lib/galley.mjs';
import { startUpstream } from '../lib/upstream.mjs';

async function startWith(keys) {
    const upstream = await startUpstream();
    return startGalley({
        config: { 'upstream up': { server: upstream.address }, 'route up': { target: 'upstream:up', ...keys } },
    });
}

const seen = async (galley, target) => (await galley.request('GET', target)).body.url;

test('a prefix is stripped off, and the place itself is /', async () => {
    const galley = await startWith({ path: '/api/v1/*', strip_prefix: '/api/v1' });
    assert.equal(await seen(galley, '/api/v1/orders/7?a=1&b=%20'), '/orders/7?a=1&b=%20');
    assert.equal(await seen(galley, '/api/v1/'), '/');
    assert.equal(await seen(galley, '/api/v1'), '/');
    assert.equal(await seen(galley, '/api/v1/a%20b/%C3%A9%3F%23%25'), '/a%20b/%C3%A9%3F%23%25');
});

test('a path is rewritten of its parameters', async () => {
    const galley = await startWith({ path: '/shops/{shop}/orders/{id}/*', rewrite: '/v2/{id}/of/{shop}/*' });
    assert.equal(await seen(galley, '/shops/a/orders/7/lines/1?x'), '/v2/7/of/a/lines/1?x');
    assert.equal(await seen(galley, '/shops/a%3Fb=c/orders/%252e%252e/'), '/v2/%252e%252e/of/a%3Fb=c/');
    assert.equal(await seen(galley, '/shops/a/orders/7'), '/v2/7/of/a/');
});

test('a rewritten path names the file too', async () => {
    const galley = await startGalley({});
    await mkdir(path.join(galley.dir, 'site/files'), { recursive: true });
    await writeFile(path.join(galley.dir, 'site/files/a.txt'), 'file');
    await galley.configure({ 'route files': { path: '/get/{name}', rewrite: '/files/{name}', target: 'static:site' } });
    await galley.reload();
    assert.equal((await galley.request('GET', '/get/a.txt')).body, 'file');
    assertError(await galley.request('GET', '/get/..%2fx'), 400);
    assertError(await galley.request('GET', '/get/.hidden'), 404);
});

test('what cannot be rewritten is said with its line', async () => {
    const galley = await startGalley({});
    const wrong = async (keys, expected) => {
        await galley.configure({ 'route x': { path: '/a/{id}', target: 'respond:200', ...keys } });
        const { status, stderr } = await runGalley(['check'], { cwd: galley.dir });
        assert.equal(status, 2);
        assert.match(stderr, expected);
    };
    await wrong({ rewrite: '/b/{other}' }, /^config\.ini:\d+: \[route x\] rewrite: it has a parameter that path does not have$/m);
    await wrong({ rewrite: '/b/*' }, /rewrite: it has a parameter/);
    await wrong({ strip_prefix: '/b' }, /strip_prefix: path does not begin with it/);
    await wrong({ strip_prefix: '/a', rewrite: '/b' }, /two ways for one thing/);
    await wrong({ path: '/*', target: 'app:auth', strip_prefix: '/a' }, /not for app/);
});
