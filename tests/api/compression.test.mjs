// Answers made smaller: who gets them how.
import assert from 'node:assert/strict';
import test from 'node:test';
import zlib from 'node:zlib';

import { startGalley } from '../lib/galley.mjs';

const galley = await startGalley();
const token = await galley.login();
const decode = { br: zlib.brotliDecompressSync, gzip: zlib.gunzipSync };
const get = (target, coding, options = {}) => {
    const headers = { ...options.headers, ...(coding && { 'accept-encoding': coding }) };
    return galley.request('GET', target, { token, ...options, headers });
};

for (const coding of ['br', 'gzip']) {
    test(`a list of products in ${coding} is the plain one, smaller`, async () => {
        const plain = await get('/products?limit=1000');
        const small = await get('/products?limit=1000', coding);
        assert.equal(plain.headers['content-encoding'], undefined);
        assert.equal(plain.headers.vary, 'Accept-Encoding');
        assert.equal(small.headers['content-encoding'], coding);
        assert.equal(small.headers.vary, 'Accept-Encoding');
        assert.equal(small.headers['content-length'], String(small.raw.length));
        assert.ok(small.raw.length < plain.raw.length / 3, `${plain.raw.length} became ${small.raw.length}`);
        assert.deepEqual(decode[coding](small.raw), plain.raw);
    });

    test(`HEAD says what GET in ${coding} would`, async () => {
        const head = await galley.request('HEAD', '/products', { token, headers: { 'accept-encoding': coding } });
        const { headers } = await get('/products', coding);
        for (const name of ['content-encoding', 'content-length', 'content-type', 'vary', 'etag'])
            assert.equal(head.headers[name], headers[name], name);
        assert.equal(head.raw.length, 0);
    });
}

test('a connection goes on behind a compressed answer', async () => {
    const connection = await galley.connect();
    const ask = (more) => `GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br\r\n${more}\r\n`;
    connection.send(ask('') + ask('Connection: close\r\n'));
    for (const answer of [await connection.response(), await connection.response()]) {
        assert.equal(answer.status, 200);
        assert.equal(answer.headers['content-encoding'], 'br');
    }
    assert.equal(await connection.untilClosed(), '');
});

test('metrics are compressed for a scraper that asks for it', async () => {
    const { headers, raw } = await get('/metrics', 'gzip');
    assert.equal(headers['content-encoding'], 'gzip');
    assert.match(zlib.gunzipSync(raw).toString(), /^# HELP /);
});

test('a small answer is not worth it', async () => {
    const { headers } = await get('/products/17', 'gzip, br');
    assert.equal(headers['content-encoding'], undefined);
    assert.equal(headers.vary, undefined);
});

test('compression is the choice of the configuration, also of one that is reloaded', async () => {
    const own = await startGalley({ config: { compression: { enabled: 'no' } } });
    const ask = (target) => own.request('GET', target, { token, headers: { 'accept-encoding': 'gzip' } });
    const { headers } = await ask('/metrics');
    assert.equal(headers['content-encoding'], undefined);
    assert.equal(headers.vary, undefined);
    assert.equal((await ask('/products?limit=5')).headers['content-encoding'], undefined);
    await own.configure({ compression: { min_size: '100' } });
    await own.reload();
    assert.equal((await ask('/products?limit=5')).headers['content-encoding'], 'gzip');
});
