// Clients that ask whether what they have is still the same.
import assert from 'node:assert/strict';
import test from 'node:test';
import zlib from 'node:zlib';

import { startGalley } from '../lib/galley.mjs';

const galley = await startGalley();
const token = await galley.login();
const ask = (method, target, headers = {}) => galley.request(method, target, { token, headers });
const get = (target, headers) => ask('GET', target, headers);

test('a product that did not change is not sent again', async () => {
    const { headers, raw } = await get('/products/17');
    assert.match(headers.etag, /^"[0-9a-f]{16}"$/);
    assert.equal(headers['cache-control'], 'private, no-cache');
    for (const method of ['GET', 'HEAD']) {
        const again = await ask(method, '/products/17', { 'if-none-match': headers.etag });
        assert.equal(again.status, 304);
        assert.equal(again.headers.etag, headers.etag);
        assert.equal(again.headers['cache-control'], 'private, no-cache');
        assert.equal(again.headers['content-length'], undefined);
        assert.equal(again.headers['content-type'], undefined);
        assert.equal(again.raw.length, 0);
    }
    const other = await get('/products/17', { 'if-none-match': '"0123456789abcdef"' });
    assert.equal(other.status, 200);
    assert.deepEqual(other.raw, raw);
});

test('a tag is the same from the store and from the cache', async () => {
    const loaded = await get('/products/18');
    const cached = await get('/products/18');
    assert.equal(cached.headers.etag, loaded.headers.etag);
});

test('an order changes the tag of its product', async () => {
    const before = await get('/products/19');
    const placed = await galley.request('POST', '/place-order', { token, json: { productId: 19, qty: 1 } });
    assert.equal(placed.status, 201);
    const after = await get('/products/19', { 'if-none-match': before.headers.etag });
    assert.equal(after.status, 200);
    assert.notEqual(after.headers.etag, before.headers.etag);
    assert.equal(after.body.stock, before.body.stock - 1);
});

test('a page has a tag for each of its forms', async () => {
    const target = '/products?limit=30';
    const plain = await get(target);
    const coded = await get(target, { 'accept-encoding': 'gzip' });
    assert.equal(coded.headers.etag, plain.headers.etag.replace(/"$/, '-gzip"'));
    assert.deepEqual(zlib.gunzipSync(coded.raw), plain.raw);
    const again = await get(target, { 'accept-encoding': 'gzip', 'if-none-match': coded.headers.etag });
    assert.equal(again.status, 304);
    assert.equal(again.headers.etag, coded.headers.etag);
    assert.equal(again.headers.vary, 'Accept-Encoding');
    const other = await get(target, { 'accept-encoding': 'br', 'if-none-match': coded.headers.etag });
    assert.equal(other.status, 200);
});

test('a connection goes on behind 304', async () => {
    const { headers } = await get('/products/17');
    const connection = await galley.connect();
    const request = (more) => `GET /products/17 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n${more}\r\n`;
    connection.send(request(`If-None-Match: W/${headers.etag}\r\n`) + request('Connection: close\r\n'));
    assert.equal((await connection.response()).status, 304);
    assert.equal((await connection.response()).status, 200);
    assert.equal(await connection.untilClosed(), '');
});

test('errors and what a POST made have no tag', async () => {
    const missing = await get('/products/999999', { 'if-none-match': '*' });
    assert.equal(missing.status, 404);
    assert.equal(missing.headers.etag, undefined);
    const placed = await galley.request('POST', '/place-order', { token, json: { productId: 20, qty: 1 } });
    assert.equal(placed.status, 201);
    assert.equal(placed.headers.etag, undefined);
});
