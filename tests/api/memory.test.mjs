// Memory: the cache's size and 30 MiB, whatever came before.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';

const CACHE_MIB = 16;
const ROOM_MIB = 30;

const galley = await startGalley({ config: { cache: { size: `${CACHE_MIB}MiB` }, server: { workers: 256 } } });
const token = await galley.login();
const sanitized = /asan|tsan/.test(process.env.GALLEY_BIN ?? '');

// Of memory that is no file's.
async function anonymousMib() {
    const status = await readFile(`/proc/${galley.pid}/status`, 'utf8');
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)[1]) / 1024;
}

async function calmsDown() {
    if (sanitized) return;
    await eventually(`it takes less than ${CACHE_MIB + ROOM_MIB} MiB again`, async () =>
        (await anonymousMib()) < CACHE_MIB + ROOM_MIB);
}

const crowd = (size, ask) => Promise.all(Array.from({ length: size }, ask));

test('after a crowd with large bodies', async (t) => {
    const pad = 'x'.repeat(900_000);
    // Refused for what is in them, but read first; some may not even be read.
    await crowd(250, () => galley.request('POST', '/place-order',
        { token, agent: false, json: { productId: 7, qty: 1, pad } }).catch(() => {}));
    t.diagnostic(`${Math.round(await anonymousMib())} MiB right after`);
    await calmsDown();
});

test('after ten thousand orders by a crowd', async (t) => {
    for (let round = 0; round < 40; round++) {
        await crowd(250, () => galley.request('POST', '/place-order',
            { token, json: { productId: 7, qty: 1 }, headers: { 'idempotency-key': randomUUID() } }));
    }
    t.diagnostic(`${Math.round(await anonymousMib())} MiB right after`);
    await calmsDown();
});

test('after a crowd that reads long lists', async (t) => {
    for (let round = 0; round < 4; round++) {
        await crowd(250, () => galley.request('GET', '/orders?limit=100', { token, agent: false }).catch(() => {}));
    }
    t.diagnostic(`${Math.round(await anonymousMib())} MiB right after`);
    await calmsDown();
});
