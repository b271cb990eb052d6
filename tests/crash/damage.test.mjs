// A flipped bit in the file costs what it sits in, and is never answered as if nothing had ever been there.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';

const DOCUMENT = 0x08; // what the keys of documents and of index entries begin with (docs/format.md)
const ENTRY = 0x09;

async function placeOrders(galley, token, count) {
    const ids = [];
    for (let i = 0; i < count; i++) {
        const answer = await galley.request('POST', '/place-order', { token, json: { productId: 7, qty: 1 } });
        ids.push(answer.body.orderId);
    }
    return ids;
}

// Flips a bit of the order's id in each key of one kind, also in pages of older states.
async function flipKeys(galley, kind, orderId) {
    const file = path.join(galley.dataDir, 'data.mdb');
    const bytes = await readFile(file);
    const id = Buffer.from(orderId.replaceAll('-', ''), 'hex');
    let flipped = 0;
    for (let at = bytes.indexOf(id); at >= 0; at = bytes.indexOf(id, at + 1)) {
        const key = kind === DOCUMENT ? at - 5 : bytes.lastIndexOf(kind, at);
        if (at - key > 20 || bytes[key] !== kind) continue;
        bytes[at + 15] ^= 1;
        flipped++;
    }
    assert.ok(flipped > 0);
    await writeFile(file, bytes);
}

async function damagedShop(kind) {
    const galley = await startGalley();
    const token = await galley.login();
    const orders = await placeOrders(galley, token, 5);
    await galley.stop();
    await flipKeys(galley, kind, orders[2]);
    await galley.start();
    assert.deepEqual((await galley.request('GET', '/readyz')).body, { status: 'ready' });
    return { galley, orders, token: await galley.login() };
}

async function assertDegraded(galley, pattern) {
    const ready = await galley.request('GET', '/readyz');
    assert.equal(ready.status, 200);
    assert.equal(ready.body.status, 'degraded');
    assert.match(ready.body.damaged, pattern);
    assert.ok(await galley.metric('galley_store_damaged_total') > 0);
}

test('an order whose key was damaged is an error, not absent', async () => {
    const { galley, orders, token } = await damagedShop(DOCUMENT);
    assertError(await galley.request('GET', `/orders/${orders[2]}`, { token }), 500, 'INTERNAL_ERROR');
    await assertDegraded(galley, /table docs/);
    assertError(await galley.request('GET', '/orders', { token }), 500, 'INTERNAL_ERROR');
    for (const whole of [orders[0], orders[1], orders[4]])
        assert.equal((await galley.request('GET', `/orders/${whole}`, { token })).body.id, whole);
    assert.equal((await placeOrders(galley, token, 1)).length, 1);
});

test('a list whose index was damaged is an error, not shorter', async () => {
    const { galley, orders, token } = await damagedShop(ENTRY);
    assertError(await galley.request('GET', '/orders', { token }), 500, 'INTERNAL_ERROR');
    await assertDegraded(galley, /table doc_index/);
    for (const id of orders)
        assert.equal((await galley.request('GET', `/orders/${id}`, { token })).body.id, id);
});
