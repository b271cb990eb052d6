// A stop has an end, whatever the handlers wait for.
import assert from 'node:assert/strict';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';
import { inject } from '../lib/strace.mjs';

test('a stop whose handlers wait for a stalled disk ends after drain_timeout, with 1', async () => {
    const galley = await startGalley({ config: { server: { workers: 8, drain_timeout: '1s' } } });
    const token = await galley.login();
    await inject(galley, 'fdatasync', 'delay_enter=30000000'); // microseconds
    const orders = Array.from({ length: 3 }, () => galley.request('POST', '/place-order',
        { token, agent: false, json: { productId: 1, qty: 1 } }).catch((error) => error));
    // With the request that asks for it.
    await eventually('they wait', () => galley.metric('galley_workers_busy').then((n) => n >= 4));
    const begin = Date.now();
    const { code } = await galley.terminate();
    assert.equal(code, 1);
    assert.ok(Date.now() - begin < 10_000, `${Date.now() - begin} ms`);
    for (const answer of await Promise.all(orders)) assert.notEqual(answer.status, 201);
    assert.match(galley.log(), /cut/);
});
