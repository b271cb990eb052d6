// The disk fails or is full: no false acknowledgement, everything stays readable.
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { eventually, startGalley } from '../lib/galley.mjs';
import { inject } from '../lib/strace.mjs';

const FEW_THREADS = { config: { server: { workers: 8 } } }; // a tracer follows each of them

const order = (galley, token) =>
    galley.request('POST', '/place-order', { token, json: { productId: 7, qty: 1 } });

const rename = (galley, token) => galley.request('PATCH', '/users/me', { token, json: { name: 'Alice' } });

async function state(galley, token) {
    const { body: product } = await galley.request('GET', '/products/7', { token });
    const { body: orders } = await galley.request('GET', '/orders', { token });
    return { stock: product.stock, orders: orders.data.length };
}

for (const [calls, what] of [['fdatasync', 'fsync'], ['pwrite64,pwritev,writev', 'write']]) {
    test(`a failing ${what} acknowledges nothing, turns read-only, and a restart is clean`, async () => {
        const galley = await startGalley(FEW_THREADS);
        const token = await galley.login();
        assert.equal((await order(galley, token)).status, 201);
        await galley.mails();
        const before = await state(galley, token);

        const mend = await inject(galley, calls, 'error=EIO');
        const refused = await order(galley, token);
        await mend();
        assertError(refused, 503, 'READ_ONLY');
        assert.ok(Number(refused.headers['retry-after']) >= 1);

        // The disk works again, but what it holds is not known until a restart reads it.
        for (const again of [await order(galley, token), await rename(galley, token)]) {
            assertError(again, 503, 'READ_ONLY');
            assert.ok(Number(again.headers['retry-after']) >= 1);
        }
        assert.deepEqual(await state(galley, token), before);
        const ready = await galley.request('GET', '/readyz');
        assert.equal(ready.status, 503);
        assert.match(ready.body.cause, /commit/);
        assert.ok(Number(ready.headers['retry-after']) >= 1);
        assert.equal((await galley.request('GET', '/healthz')).status, 200);

        await galley.restart();
        assert.equal((await galley.request('GET', '/readyz')).status, 200);
        assert.deepEqual(await state(galley, token), before);
        assert.equal((await order(galley, token)).status, 201);
        assert.deepEqual(await state(galley, token), { stock: before.stock - 1, orders: before.orders + 1 });
    });
}

test('a full disk is 507, everything stays readable, and writing goes on when there is room', async () => {
    const galley = await startGalley(FEW_THREADS);
    const token = await galley.login();
    assert.equal((await order(galley, token)).status, 201);
    await galley.mails();
    const before = await state(galley, token);

    const mend = await inject(galley, 'pwrite64,pwritev,writev', 'error=ENOSPC');
    assertError(await order(galley, token), 507, 'STORE_FULL');
    assertError(await rename(galley, token), 507, 'STORE_FULL');
    assert.deepEqual(await state(galley, token), before);
    assert.equal((await galley.request('GET', '/readyz')).status, 200);
    await mend();

    assert.equal((await order(galley, token)).status, 201);
    assert.equal((await state(galley, token)).stock, before.stock - 1);
});

test('a full map is 507 and everything stays readable, also after a restart', async () => {
    const galley = await startGalley({ config: { ...FEW_THREADS.config, storage: { map_size: '1MiB' } } });
    const token = await galley.login();
    let placed = 0;
    let answer;
    while ((answer = await order(galley, token)).status === 201) placed++;
    assertError(answer, 507, 'STORE_FULL');
    assert.ok(placed > 0);
    for (let start = 0; start < 2; start++) {
        const { stock } = await state(galley, token);
        assert.equal(stock, 1_000_000 - placed);
        assert.equal((await galley.request('GET', '/readyz')).status, 200);
        await galley.restart();
    }
});

test('a mail box that the disk has no room for is an alarm, and orders go on', async () => {
    const galley = await startGalley(FEW_THREADS);
    const token = await galley.login();
    assert.equal(await galley.metric('galley_module_trouble{module="mail"}'), 0);
    const mend = await inject(galley, 'write', 'error=ENOSPC', path.join(galley.dataDir, 'mail/outbox.mbox'));
    assert.equal((await order(galley, token)).status, 201);
    const ready = await eventually('it is an alarm', async () => {
        const { status, body } = await galley.request('GET', '/readyz');
        return body.alarms && { status, body };
    });
    assert.deepEqual(ready, { status: 200,
        body: { status: 'degraded', alarms: ['the mail box takes no messages: the disk is full'] } });
    assert.equal(await galley.metric('galley_module_trouble{module="mail"}'), 1);
    await mend();
    assert.equal((await order(galley, token)).status, 201);
    await eventually('it is over', async () => !(await galley.request('GET', '/readyz')).body.alarms);
});
