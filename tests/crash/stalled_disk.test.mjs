// The disk stalls: what does not need it goes on.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';
import { RawConnection } from '../lib/raw.mjs';
import { inject } from '../lib/strace.mjs';

// What /proc says of the server's thread of a name: "t" while strace holds it.
async function threadState(galley, name) {
    for (const id of await readdir(`/proc/${galley.pid}/task`)) {
        const stat = await readFile(`/proc/${galley.pid}/task/${id}/stat`, 'latin1');
        const [, comm, state] = /\((.*)\) (\S)/.exec(stat);
        if (comm === name) return state;
    }
    return undefined;
}

async function isHeld(galley, name) {
    for (let look = 0; look < 20; look++) {
        if ((await threadState(galley, name)) !== 't') return false;
    }
    return true;
}

test('timers run while a sweep waits for a disk that stalls', async () => {
    const galley = await startGalley({
        config: { server: { workers: 8, head_timeout: '200ms' }, storage: { idempotency_keep: '1s' } },
    });
    const token = await galley.login();
    const placed = await galley.request('POST', '/place-order', {
        token, json: { productId: 1, qty: 1 }, headers: { 'idempotency-key': randomUUID() },
    });
    assert.equal(placed.status, 201);
    await galley.mails();
    const mend = await inject(galley, 'fdatasync', 'delay_enter=50000000'); // microseconds
    await eventually('the sweep commits', () => isHeld(galley, 'store'));

    for (let i = 0; i < 3; i++) {
        const slow = await RawConnection.open(galley.port);
        slow.send('GET / HTTP/1.1\r\n'); // a head that does not end: a timer cuts it
        assert.match(await slow.untilClosed(), /^HTTP\/1\.1 408 /);
    }
    assert.ok(await isHeld(galley, 'store'), 'the disk stalls still');
    await mend('SIGKILL');
    await galley.kill9();
});

test('orders that wait for a disk that stalls do not hold up reads of their address', async () => {
    const galley = await startGalley({ config: { server: { workers: 8, requests_per_address: 4, queue_timeout: '10s' } } });
    const token = await galley.login();
    const read = () => galley.request('GET', '/products?limit=2', { token, agent: false });
    const mend = await inject(galley, 'fdatasync', 'delay_enter=50000000'); // microseconds
    const orders = Array.from({ length: 10 }, () => galley.request('POST', '/place-order',
        { token, agent: false, json: { productId: 1, qty: 1 } }).catch((error) => error));
    await eventually('they wait', () => galley.metric('galley_requests_awaiting_commit').then((n) => n === 10));
    for (let i = 0; i < 10; i++) assert.equal((await read()).status, 200);
    assert.ok(await isHeld(galley, 'store'), 'the disk stalls still');
    await mend('SIGKILL');
    await galley.kill9();
    await Promise.all(orders);
});

test('beyond the requests of an address what is critical is served, and what matters little refused first', async () => {
    const galley = await startGalley({
        config: {
            server: { workers: 8, requests_per_address: 1, queue_timeout: '8s' },
            'route list': { path: '/products', target: 'app:shop', priority: 'low' },
            'route product': { path: '/products/{id}', target: 'app:shop', priority: 'critical' },
        },
    });
    const token = await galley.login();
    const ask = (target) => galley.request('GET', target, { token, agent: false });
    const mend = await inject(galley, 'fdatasync', 'delay_enter=50000000'); // microseconds
    const orders = Array.from({ length: 4 }, () => galley.request('POST', '/place-order',
        { token, agent: false, json: { productId: 1, qty: 1 } }).catch((error) => error));
    await eventually('they wait', () => galley.metric('galley_requests_awaiting_commit').then((n) => n === 4));

    let refused = false;
    const normal = ask('/orders').finally(() => (refused = true));
    const low = await ask('/products?limit=1');
    assert.equal(low.status, 503);
    assert.ok(low.headers['retry-after']);
    assert.equal(refused, false);
    for (const target of ['/products/1', '/healthz', '/metrics', '/_/login', '/_/api/session'])
        assert.equal((await ask(target)).status, 200, target);
    assert.equal(refused, false);
    assert.equal((await normal).status, 503);
    assert.equal(await galley.metric('galley_requests_shed_total'), 2);
    assert.ok(await isHeld(galley, 'store'), 'the disk stalls still');
    await mend('SIGKILL');
    await galley.kill9();
    await Promise.all(orders);
});
