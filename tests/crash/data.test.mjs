// kill -9 under load of the data API: what was acknowledged is there, and a transaction is there as
// a whole or not at all.
import assert from 'node:assert/strict';
import test from 'node:test';

import { runGalley, startGalley } from '../lib/galley.mjs';

const KILLS = 8;
const CLIENTS = 12;
const ACCOUNTS = 10;
const all = { id: 'client', list: 'public', read: 'public', create: 'public', update: 'public', delete: 'public' };
const config = {
    'collection accounts': { ...all },
    'collection moves': { ...all, id: 'generated', index: ['from', 'number'], unique: 'key' },
};
const at = '/api/v1/collections/';

async function pages(galley, target) {
    const rows = [];
    for (let after = ''; ;) {
        const { status, body } = await galley.request('GET', `${target}${target.includes('?') ? '&' : '?'}limit=1000${after}`);
        assert.equal(status, 200);
        rows.push(...body.data);
        if (!body.pagination.hasNext) return rows;
        after = `&after=${body.pagination.nextCursor}`;
    }
}

const balanceOf = (id, by) => ({ op: 'patch', collection: 'accounts', id, type: 'ops', patch: { $inc: { balance: by }, ...(by < 0 && { $if: `balance >= ${-by}` }) } });

// One client moves amounts until the server is gone; every 200 goes into `acknowledged`.
async function move(galley, acknowledged, numbers, onAnswer) {
    for (;;) {
        const number = numbers.next++;
        const [from, to] = [number % ACCOUNTS, (number + 1 + (number % (ACCOUNTS - 1))) % ACCOUNTS].map((one) => `a${one}`);
        const amount = 1 + (number % 9);
        const document = { number, from, to, amount, key: `k${number}` };
        const operations = [balanceOf(from, -amount), balanceOf(to, amount), { op: 'create', collection: 'moves', document }];
        let answer;
        try {
            answer = await galley.request('POST', '/api/v1/transactions', { json: { operations } });
        } catch {
            return; // the connection broke: not acknowledged
        }
        if (answer.status === 200) acknowledged.set(number, document);
        else assert.equal(answer.status, 412, answer.raw.toString());
        onAnswer();
    }
}

async function killAfter(galley, acknowledged, numbers, count) {
    let left = count, dead;
    const onAnswer = () => {
        if (--left === 0) dead = galley.kill9();
    };
    await Promise.all(Array.from({ length: CLIENTS }, () => move(galley, acknowledged, numbers, onAnswer)));
    await dead;
}

test(`${KILLS} kills under load lose no acknowledged transaction and leave none in part`, async () => {
    const galley = await startGalley({ config });
    for (let i = 0; i < ACCOUNTS; i++) {
        const { status } = await galley.request('PUT', `${at}accounts/a${i}`, { json: { balance: 100 } });
        assert.equal(status, 201);
    }
    const acknowledged = new Map(), numbers = { next: 0 };
    for (let kill = 0; kill < KILLS; kill++) {
        await killAfter(galley, acknowledged, numbers, 20 + Math.floor(Math.random() * 150));
        await galley.start();
    }
    const moves = await pages(galley, `${at}moves`), accounts = await pages(galley, `${at}accounts`);
    const stored = new Map(moves.map((one) => [one.number, one]));
    assert.equal(stored.size, moves.length);
    for (const [number, { from, to, amount }] of acknowledged) {
        const one = stored.get(number);
        assert.ok(one, `move ${number} was acknowledged and is gone`);
        assert.deepEqual([one.from, one.to, one.amount], [from, to, amount]);
    }
    const balances = Object.fromEntries(accounts.map(({ id }) => [id, 100]));
    for (const { from, to, amount } of moves) {
        balances[from] -= amount;
        balances[to] += amount;
    }
    assert.deepEqual(Object.fromEntries(accounts.map(({ id, balance }) => [id, balance])), balances);
    const sorted = await pages(galley, `${at}moves?sort=number`); // the index agrees with the documents
    assert.deepEqual(sorted.map(({ number }) => number), moves.map(({ number }) => number).sort((a, b) => a - b));
    await galley.stop();
    const { status, stdout } = await runGalley(['verify', '--data', galley.dataDir]);
    assert.equal(status, 0, stdout);
});
