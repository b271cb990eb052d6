// A stop has an end, whatever the handlers wait for.
import assert from 'node:assert/strict';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';
import { inject } from '../lib/strace.mjs';

test('a stop whose handlers wait for a stalled disk ends after drain_timeout, with 1', async () => {
    const galley = await startGalley({ config: { server: { workers: 8, drain_timeout: '1s' } } });
    const token = await galley.login();
    const mend = await inject(galley, 'fdatasync', 'delay_enter=50000000'); // microseconds
    const orders = Array.from({ length: 3 }, () => galley.request('POST', '/place-order',
        { token, agent: false, json: { productId: 1, qty: 1 } }).catch((error) => error));
    await eventually('they wait', () => galley.metric('galley_requests_awaiting_commit').then((n) => n === 3));
    const begin = Date.now();
    const stopped = galley.terminate();
    await eventually('it has given them up', () => /stopped; 3 handlers still ran/.test(galley.log()));
    const took = Date.now() - begin;
    assert.ok(took >= 1000 && took < 10_000, `${took} ms`);
    await mend('SIGKILL'); // it would keep the dead until its delay is over
    assert.equal((await stopped).code, 1);
    for (const answer of await Promise.all(orders)) assert.notEqual(answer.status, 201);
});
