// galley verify: what is damaged is named, on a running server and on a stopped one, and repaired.
import assert from 'node:assert/strict';
import { chown, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { losePage } from '../lib/damage.mjs';
import { eventually, runGalley, startGalley } from '../lib/galley.mjs';

const NOBODY = 65534;
const verify = (galley, ...more) => runGalley(['verify', '--data', galley.dataDir, ...more]);

// Flips a bit of product 17, or of the text, wherever the file has it: pages that are no longer in use too.
async function damage(galley, text = '"id":"0000000017"', offset = 1, bit = 1) {
    const file = path.join(galley.dataDir, 'data.mdb');
    const bytes = await readFile(file);
    let hits = 0;
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1), hits++) bytes[at + offset] ^= bit;
    assert.ok(hits > 0);
    await writeFile(file, bytes);
}

test('a running server verifies all it has stored', async () => {
    const galley = await startGalley();
    const { status, stdout } = await verify(galley);
    assert.equal(status, 0);
    assert.match(stdout, /^\d{4,} entries, all whole\n$/);
    assert.ok(await galley.metric('galley_scrub_passes_total') >= 1);
});

// A table that nobody knows would be a finding ("nobody knows what belongs into it").
test('each table has somebody who checks it, with jobs, answers, users, sessions and history in them', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    const admin = await galley.administrator();
    for (let i = 0; i < 3; i++) {
        const headers = { 'idempotency-key': `key-${i}` };
        const { status } = await galley.request('POST', '/place-order', { token, headers, json: { productId: 1, qty: 1 } });
        assert.equal(status, 201);
    }
    await eventually('the e-mails are sent', async () =>
        await galley.metric('galley_queue_jobs{queue="mail",state="completed"}') === 3);
    assert.match((await verify(galley)).stdout, /^\d+ entries, all whole\n$/);
    assert.equal((await admin('verify')).status, 202);
    await galley.terminate();
    assert.match((await verify(galley)).stdout, /^\d+ entries, all whole\n$/);
});

test('each collection says how many documents it has, and of how many bytes', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    const admin = await galley.administrator();
    const sizeOf = async (name) => (await admin.get('collections')).body.collections.find((one) => one.name === name);
    const before = await sizeOf('products');
    assert.equal(before.documents, 1000);
    assert.equal((await sizeOf('orders')).bytes, 0);
    for (let i = 0; i < 3; i++)
        assert.equal((await galley.request('POST', '/place-order', { token, json: { productId: 1, qty: 1 } })).status, 201);
    assert.equal((await sizeOf('orders')).documents, 3);
    assert.ok((await sizeOf('orders')).bytes > 300);
    await galley.terminate();
    assert.match((await verify(galley)).stdout, /^\d+ entries, all whole\n$/);
});

test('jobs of a queue that nobody has configured are verified and mended', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    assert.equal((await galley.request('POST', '/place-order', { token, json: { productId: 1, qty: 1 } })).status, 201);
    await eventually('the e-mail is sent', async () =>
        await galley.metric('galley_queue_jobs{queue="mail",state="completed"}') === 1);
    await galley.terminate();
    const file = path.join(galley.dataDir, 'data.mdb');
    const bytes = await readFile(file);
    let hits = 0;
    for (let at = bytes.indexOf('send-email'); at >= 0; at = bytes.indexOf('send-email', at + 1), hits++) bytes[at] ^= 1;
    assert.ok(hits > 0);
    await writeFile(file, bytes);

    const found = await verify(galley); // with --data alone: no configuration names the queue
    assert.equal(found.status, 1);
    assert.match(found.stdout, /^a job of mail, [0-9a-f-]+: its state is damaged$/m);
    const repaired = await verify(galley, '--repair');
    assert.equal(repaired.status, 0, repaired.stdout);
    assert.match(repaired.stdout, /what could not be mended was moved to/);
    assert.match((await verify(galley)).stdout, /all whole/);
    await galley.start();
    assert.equal(await galley.metric('galley_queue_jobs{queue="mail",state="dead"}')
        + await galley.metric('galley_queue_jobs{queue="mail",state="completed"}'), 1);
});

test('a damaged document is named, served as such, and does not hide the others', async () => {
    const galley = await startGalley();
    await galley.terminate();
    await damage(galley);
    const stopped = await verify(galley);
    assert.equal(stopped.status, 1);
    assert.match(stopped.stdout, /^a document of products, .*0000000017: its checksum is wrong/m);
    assert.match(stopped.stdout, /\d+ entries, 1 damaged, 0 of them mended\n$/);

    await galley.start();
    const token = await galley.login();
    assert.equal((await galley.request('GET', '/readyz')).body.status, 'ready');
    const running = await verify(galley, '--json');
    assert.equal(running.status, 1);
    assert.deepEqual(JSON.parse(running.stdout).findings, stopped.stdout.split('\n').slice(0, 1));
    assert.equal((await galley.request('GET', '/readyz')).body.status, 'degraded');
    assert.equal(await galley.metric('galley_scrub_damaged'), 1);
    assert.equal((await galley.request('GET', '/products/16', { token })).status, 200);
    assert.equal((await galley.request('GET', '/products/17', { token })).status, 500);
});

test('repairing moves what cannot be mended to a file, and the rest is whole', async () => {
    const galley = await startGalley();
    const refused = await verify(galley, '--repair');
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /stop it before --repair/);
    await galley.terminate();
    await damage(galley);
    const repaired = await verify(galley, '--repair');
    assert.equal(repaired.status, 0, repaired.stderr);
    const [kept] = (await readdir(galley.dataDir)).filter((name) => name.startsWith('damaged-'));
    assert.ok(repaired.stdout.endsWith(`was moved to ${galley.dataDir}/${kept}\n`), repaired.stdout);
    const [line] = (await readFile(path.join(galley.dataDir, kept), 'utf8')).trim().split('\n').map(JSON.parse);
    assert.equal(line.table, 'docs');
    assert.match(Buffer.from(line.value, 'base64').toString('latin1'), /price/);
    assert.match((await verify(galley)).stdout, /all whole/);

    await galley.start();
    const token = await galley.login();
    assert.equal((await galley.request('GET', '/products/17', { token })).status, 404);
    assert.equal((await galley.request('GET', '/products/18', { token })).status, 200);
});

test('the slow walk finds damage that nobody has asked for', async () => {
    const galley = await startGalley();
    await galley.terminate();
    await damage(galley);
    await galley.start();
    const admin = await galley.administrator();
    assert.equal((await admin('verify')).status, 202);
    await eventually('it was found', () => /damaged: a document of products/.test(galley.log()));
});

test('root who verifies or repairs leaves nothing of its own in a directory of another', { skip: process.getuid() !== 0 && 'only root can become another' }, async () => {
    const galley = await startGalley({ open: true });
    await galley.terminate();
    await damage(galley);
    await rm(path.join(galley.dataDir, 'process.lock'));
    await rm(path.join(galley.dataDir, 'lock.mdb'));
    for (const name of ['.', ...await readdir(galley.dataDir)]) await chown(path.join(galley.dataDir, name), NOBODY, NOBODY);
    assert.equal((await verify(galley)).status, 1);
    assert.equal((await verify(galley, '--repair')).status, 0);
    const names = await readdir(galley.dataDir);
    assert.ok(names.includes('lock.mdb') && names.some((name) => name.startsWith('damaged-')), names.join());
    for (const name of names) assert.equal((await stat(path.join(galley.dataDir, name))).uid, NOBODY, name);
});

// A damaged key is out of order and hides its neighbours from a search, so what is to be mended shows only by and by.
test('what a repair says is mended, the next verification finds whole', async () => {
    const galley = await startGalley();
    await galley.terminate();
    await damage(galley, '@0000000637', 1, 8);
    assert.equal((await verify(galley)).status, 1);
    const repaired = await verify(galley, '--repair');
    assert.equal(repaired.status, 0, repaired.stdout);
    assert.match(repaired.stdout, /lost entries before .*638 \(mended\)$/m);
    assert.match((await verify(galley)).stdout, /all whole/);
});

const LOST = /^the table docs: page \d+ has another page's content/m;

test('a lost page is named by a running server, which goes on and writes no more', async () => {
    const galley = await startGalley();
    await galley.terminate();
    await losePage(galley);
    await galley.start();
    const token = await galley.login();
    const found = await verify(galley);
    assert.equal(found.status, 1);
    assert.match(found.stdout, LOST);
    assert.equal((await verify(galley)).status, 1, 'once more');
    assert.equal((await galley.request('GET', '/products/16', { token })).status, 200);
    const order = await galley.request('POST', '/place-order', { token, json: { productId: 1, qty: 1 } });
    assert.deepEqual([order.status, order.body.error.code], [503, 'READ_ONLY']);
    assert.match((await galley.request('GET', '/readyz')).raw.toString(), /the table docs: page \d+/);
});

test('of a database with a lost page a repair keeps all else', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    const placed = await galley.request('POST', '/place-order', { token, json: { productId: 1, qty: 1 } });
    await galley.terminate();
    await losePage(galley);
    const found = await verify(galley, '--json');
    assert.equal(found.status, 1);
    assert.match(found.stderr, /has damaged pages; nothing else of it was read/);
    assert.match(JSON.parse(found.stdout).findings.join('\n'), LOST);

    const repaired = await verify(galley, '--repair');
    assert.equal(repaired.status, 0, repaired.stdout + repaired.stderr);
    assert.match(repaired.stdout, LOST);
    const [kept] = (await readdir(galley.dataDir)).filter((name) => name.endsWith('.mdb') && name.startsWith('damaged-'));
    assert.ok(repaired.stdout.endsWith(`written anew of what can be read; it was ${galley.dataDir}/${kept}\n`), repaired.stdout);
    assert.match((await verify(galley)).stdout, /^\d+ entries, all whole\n$/);

    await galley.start();
    const again = await galley.login();
    assert.equal((await galley.request('GET', `/orders/${placed.body.orderId}`, { token: again })).status, 200);
    const { body } = await galley.request('GET', '/products?limit=1000', { token: again });
    assert.ok(body.data.length > 900 && body.data.length < 1000, `${body.data.length}`);
    assert.ok(!body.data.some(({ id }) => id === 637));
    assert.equal((await galley.request('POST', '/place-order', { token: again, json: { productId: 1, qty: 1 } })).status, 201);
});
