// One route has ten times the load that its servers bear: the others do not notice.
import assert from 'node:assert/strict';
import test from 'node:test';

import { statusCounts } from '../lib/assertions.mjs';
import { eventually, startGalley } from '../lib/galley.mjs';
import { startUpstream } from '../lib/upstream.mjs';

const CAN = 8; // requests that the servers of the rest answer at once

test('a critical route answers at ten times the load that saturates the rest', async () => {
    const held = [];
    const rest = await startUpstream((request, response) => held.push(response));
    const vital = await startUpstream((request, response) => response.end('vital'));
    const galley = await startGalley({
        config: {
            server: { workers: 4, requests_per_address: 1000 },
            'upstream rest': { server: rest.address, check: 'no', requests_max: CAN, requests_per_address: 1000 },
            'upstream vital': { server: vital.address, check: 'no', requests_per_address: 1000 },
            'route rest': { path: '/rest', target: 'upstream:rest' },
            'route vital': { path: '/vital', target: 'upstream:vital', priority: 'critical' },
        },
    });
    const ask = (target) => galley.request('GET', target, { agent: false });
    const first = Array.from({ length: CAN }, () => ask('/rest'));
    await eventually('all that can run do', () => held.length === CAN);
    const others = await Promise.all(Array.from({ length: 9 * CAN }, () => ask('/rest')));
    const critical = await Promise.all(Array.from({ length: 10 * CAN }, () => ask('/vital')));
    assert.deepEqual(statusCounts(others), { 503: 9 * CAN });
    assert.deepEqual(statusCounts(critical), { 200: 10 * CAN });
    assert.equal(held.length, CAN);
    for (const response of held) response.end('rest');
    assert.deepEqual(statusCounts(await Promise.all(first)), { 200: CAN });
});
