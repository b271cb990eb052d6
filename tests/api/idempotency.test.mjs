// Idempotency-Key: one effect, one answer, however often it is asked for.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';

import { assertError, statusCounts } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';

const galley = await startGalley();
const token = await galley.login();

const order = (key, json) =>
    galley.request('POST', '/place-order', { token, json, headers: key === undefined ? {} : { 'idempotency-key': key } });
const stock = async (id) => (await galley.request('GET', `/products/${id}`, { token })).body.stock;

test('the same request again gets the stored answer and has no second effect', async () => {
    const key = randomUUID();
    const first = await order(key, { productId: 1, qty: 2 });
    assert.equal(first.status, 201);
    assert.equal(first.headers['idempotency-replayed'], undefined);

    const again = await order(key, { productId: 1, qty: 2 });
    assert.equal(again.status, 201);
    assert.equal(again.headers['idempotency-replayed'], 'true');
    assert.equal(again.headers.location, first.headers.location);
    assert.equal(again.headers['content-type'], first.headers['content-type']);
    assert.deepEqual(again.raw, first.raw);
    assert.equal(await stock(1), 1000000 - 2);
});

test('the stored answer survives a restart', async () => {
    const key = randomUUID();
    const first = await order(key, { productId: 2, qty: 2 });
    await galley.restart();
    const again = await order(key, { productId: 2, qty: 2 });
    assert.deepEqual(again.raw, first.raw);
    assert.equal(await stock(2), 1000000 - 2);
});

test('a repeated order is answered as it was, also when nothing is left to order', async () => {
    const key = randomUUID();
    const first = await order(key, { productId: 9, qty: 1000000 });
    assert.equal(first.status, 201);
    assert.equal(await stock(9), 0);
    const again = await order(key, { productId: 9, qty: 1000000 });
    assert.deepEqual([again.status, again.body.orderId], [201, first.body.orderId]);
    assert.equal(await stock(9), 0);
    assert.equal((await galley.mails()).filter((mail) => mail.includes(first.body.orderId)).length, 1);
});

test('422: the same key for another request', async () => {
    const key = randomUUID();
    assert.equal((await order(key, { productId: 3, qty: 2 })).status, 201);
    assertError(await order(key, { productId: 3, qty: 3 }), 422, 'IDEMPOTENCY_KEY_REUSED');
    assert.equal(await stock(3), 1000000 - 2);
});

test('other keys, and none, are other orders', async () => {
    await order(randomUUID(), { productId: 4, qty: 1 });
    await order(randomUUID(), { productId: 4, qty: 1 });
    await order(undefined, { productId: 4, qty: 1 });
    await order(undefined, { productId: 4, qty: 1 });
    assert.equal(await stock(4), 1000000 - 4);
});

test('a key belongs to its route', async () => {
    const key = randomUUID();
    assert.equal((await order(key, { productId: 5, qty: 1 })).status, 201);
    const patched = await galley.request('PATCH', '/users/me',
        { token, json: { name: 'Alice' }, headers: { 'idempotency-key': key } });
    assert.equal(patched.status, 200);
});

test('of twenty at once with one key, one takes effect', async () => {
    const key = randomUUID();
    const answers = await Promise.all(Array.from({ length: 20 }, () => order(key, { productId: 6, qty: 1 })));
    const placed = answers.filter(({ status }) => status === 201);
    assert.ok(placed.length >= 1);
    assert.equal(new Set(placed.map(({ body }) => body.orderId)).size, 1);
    assert.equal(placed.filter(({ headers }) => !headers['idempotency-replayed']).length, 1);
    for (const answer of answers.filter(({ status }) => status !== 201)) assertError(answer, 409, 'IN_FLIGHT');
    assert.equal(statusCounts(answers)[201], placed.length);
    assert.equal(await stock(6), 1000000 - 1);
});

test('a refusal is not remembered: the key is free for another try', async () => {
    const key = randomUUID();
    assertError(await order(key, { productId: 7, qty: 1000001 }), 409, 'OUT_OF_STOCK');
    assert.equal((await order(key, { productId: 7, qty: 1 })).status, 201);
});

test('400: a key that is none', async () => {
    for (const key of ['', 'x'.repeat(256), 'with space']) {
        assertError(await order(key, { productId: 8, qty: 1 }), 400, 'MALFORMED_REQUEST');
    }
    assert.equal((await order('x'.repeat(255), { productId: 8, qty: 1 })).status, 201);
    assert.equal(await stock(8), 1000000 - 1);
});
