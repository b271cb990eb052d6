// kill -9 under load, again and again: nothing that was acknowledged is lost, and an order and its
// job exist together or not at all.
import assert from 'node:assert/strict';
import test from 'node:test';

import { startGalley } from '../lib/galley.mjs';

const KILLS = 20;
const BUYERS = 16;
const PRODUCTS = 1000;
const STOCK = 1_000_000;

// One buyer orders until the server is gone; every 201 goes into `acknowledged`.
async function buy(galley, token, acknowledged, onAnswer) {
    for (;;) {
        const json = { productId: 1 + Math.floor(Math.random() * PRODUCTS), qty: 1 + Math.floor(Math.random() * 3) };
        let answer;
        try {
            answer = await galley.request('POST', '/place-order', { token, json });
        } catch {
            return; // the connection broke: not acknowledged
        }
        assert.equal(answer.status, 201);
        acknowledged.set(answer.body.orderId, json);
        onAnswer();
    }
}

// Kills the server as soon as it has acknowledged `count` orders more.
async function killAfter(galley, token, acknowledged, count) {
    let left = count;
    let dead;
    const onAnswer = () => {
        if (--left === 0) dead = galley.kill9();
    };
    await Promise.all(Array.from({ length: BUYERS }, () => buy(galley, token, acknowledged, onAnswer)));
    await dead;
}

async function pages(galley, token, target) {
    const rows = [];
    let after = '';
    do {
        const { status, body } = await galley.request('GET', `${target}?limit=1000${after}`, { token });
        assert.equal(status, 200);
        rows.push(...body.data);
        after = body.pagination.hasNext && `&after=${body.pagination.nextCursor}`;
    } while (after);
    return rows;
}

test(`${KILLS} kills under load lose no acknowledged order and part no order from its job`, async (t) => {
    const galley = await startGalley();
    const token = await galley.login();
    const acknowledged = new Map();
    for (let kill = 0; kill < KILLS; kill++) {
        await killAfter(galley, token, acknowledged, 20 + Math.floor(Math.random() * 200));
        await galley.start();
    }

    const mails = await galley.mails(); // every job has run
    const orders = await pages(galley, token, '/orders');
    const byId = new Map(orders.map((order) => [order.id, order]));
    t.diagnostic(`${acknowledged.size} orders acknowledged, ${orders.length} there, ${mails.length} e-mails`);

    // Every acknowledged order is there, as it was acknowledged.
    for (const [id, { productId, qty }] of acknowledged) {
        const order = byId.get(id);
        assert.ok(order, `order ${id} was acknowledged and is lost`);
        assert.deepEqual([order.productId, order.qty], [productId, qty]);
    }

    // Each order has exactly one job, and each job an order. A job may have run twice.
    const jobOf = new Map();
    for (const mail of mails) {
        const [, job] = /^Message-ID: <(.*)@localhost>$/m.exec(mail);
        const [, id] = /your order ([0-9a-f-]{36}):/.exec(mail);
        assert.ok(byId.has(id), `job ${job} is there without its order ${id}`);
        assert.equal(jobOf.get(id) ?? job, job, `order ${id} has two jobs`);
        jobOf.set(id, job);
    }
    assert.equal(jobOf.size, orders.length, 'orders without a job');
    assert.equal(await galley.metric('galley_queue_jobs{queue="mail",state="completed"}'), orders.length);
    assert.equal(await galley.metric('galley_queue_jobs{queue="mail",state="dead"}'), 0);

    // The stock adds up.
    const sold = new Map();
    for (const { productId, qty } of orders) sold.set(productId, (sold.get(productId) ?? 0) + qty);
    for (const { id, stock } of await pages(galley, token, '/products')) {
        assert.equal(STOCK - stock, sold.get(id) ?? 0, `product ${id}`);
    }
});
