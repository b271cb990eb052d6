// [server] address_limit: what one address may send in all.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';

const limited = (limit) => startGalley({ config: { server: { address_limit: limit } } });

const MALFORMED = 'GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n';

// The answer to bytes that are no request; the connection closes.
async function answerTo(galley, bytes) {
    const raw = await galley.connect();
    raw.send(bytes);
    const answer = await raw.response();
    await raw.untilClosed();
    return answer;
}

test('401, 404 and what is no request count like all others', async () => {
    const galley = await limited('5/min burst 5');
    for (let i = 0; i < 2; i++) assert.equal((await answerTo(galley, MALFORMED)).status, 400);
    assert.equal((await galley.request('GET', '/nowhere')).status, 404);
    assert.equal((await galley.request('GET', '/orders')).status, 401);
    assert.equal((await galley.request('GET', '/products')).status, 200);

    const answer = await galley.request('GET', '/nowhere');
    assertError(answer, 429, 'RATE_LIMITED');
    assert.ok(Number(answer.headers['retry-after']) >= 1);
    assert.equal(answer.headers.connection, 'close');
    const malformed = await answerTo(galley, MALFORMED);
    assertError(malformed, 429, 'RATE_LIMITED');
    assert.ok(Number(malformed.headers['retry-after']) >= 1);

    const elsewhere = new http.Agent({ localAddress: '127.0.0.2' });
    assert.equal((await galley.request('GET', '/products', { agent: elsewhere })).status, 200);
});

test('there is none unless it is set', async () => {
    const galley = await startGalley();
    for (let i = 0; i < 100; i++) assert.equal((await galley.request('GET', '/nowhere')).status, 404);
});
