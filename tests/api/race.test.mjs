// Many at once for few things: what is sold is exactly what there was.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';

import { assertError, statusCounts } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';

test('300 buyers race for the last 100 pieces: 100 get one, 200 do not', async () => {
    const galley = await startGalley({ config: { server: { workers: 512 } } });
    const token = await galley.login();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 300 });
    const order = (qty) =>
        galley.request('POST', '/place-order', { token, agent, json: { productId: 17, qty } });
    const look = async () => (await galley.request('GET', '/products/17', { token })).body.stock;

    assert.equal((await order(999900)).status, 201);
    assert.equal(await look(), 100);

    const answers = await Promise.all(Array.from({ length: 300 }, () => order(1)));
    assert.deepEqual(statusCounts(answers), { 201: 100, 409: 200 });
    for (const answer of answers.filter(({ status }) => status === 409)) assertError(answer, 409, 'OUT_OF_STOCK');

    assert.equal(await look(), 0);
    const ids = new Set(answers.map(({ body }) => body.orderId).filter(Boolean));
    assert.equal(ids.size, 100);
    const { body } = await galley.request('GET', '/orders?limit=1000', { token });
    assert.equal(body.data.length, 101);
    assert.equal((await galley.mails()).length, 101);
    agent.destroy();
});

test('a reader never sees a stock older than an acknowledged order', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    const look = async () => (await galley.request('GET', '/products/18', { token })).body.stock;
    const buyer = async () => {
        for (let i = 0; i < 50; i++) {
            const { status } = await galley.request('POST', '/place-order', { token, json: { productId: 18, qty: 1 } });
            assert.equal(status, 201);
            acknowledged++;
            const limit = 1000000 - acknowledged;
            assert.ok((await look()) <= limit);
        }
    };
    let acknowledged = 0;
    await Promise.all(Array.from({ length: 8 }, buyer));
    assert.equal(await look(), 1000000 - 400);
});
