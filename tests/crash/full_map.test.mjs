// A full map is no trap: what is swept makes room, and orders go on.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { eventually, startGalley } from '../lib/galley.mjs';

const order = (galley, token) => galley.request('POST', '/place-order',
    { token, json: { productId: 7, qty: 1 }, headers: { 'idempotency-key': randomUUID() } });

// Orders until one is refused; returns how many were placed, and the refusal.
async function fill(galley, token) {
    for (let placed = 0; ;) {
        const answers = await Promise.all(Array.from({ length: 32 }, () => order(galley, token)));
        placed += answers.filter(({ status }) => status === 201).length;
        const refused = answers.find(({ status }) => status !== 201);
        if (refused) return { placed, refused };
    }
}

test('a map that orders have filled takes orders again when their idempotency records are swept', async () => {
    const galley = await startGalley({ config: { storage: { map_size: '4MiB', idempotency_keep: '10s' } } });
    const token = await galley.login();
    const { placed, refused } = await fill(galley, token);
    assertError(refused, 507, 'STORE_FULL');
    assert.ok(placed > 500, `${placed} orders`);
    assert.equal((await galley.request('GET', '/orders', { token })).status, 200);

    // Single ones may still find a page that is not full.
    await eventually('the records are swept', async () => (await fill(galley, token)).placed > 100);
    assert.doesNotMatch(galley.log(), /cannot drop old idempotency records/);
});
