// galley backup and galley restore: all that was acknowledged, from a running server as from a stopped one.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';

import { losePage } from '../lib/damage.mjs';
import { binary, eventually, runGalley, startGalley } from '../lib/galley.mjs';

const run = promisify(execFile);
const OWN_KEY = { auth: null }; // the signing key is the data directory's

const backup = (galley, file, ...more) => runGalley(['backup', file, '--data', galley.dataDir, ...more], { cwd: galley.dir });
const restore = (galley, file, dir) => runGalley(['restore', file, '--data', dir], { cwd: galley.dir });

async function order(galley, token, qty = 1) {
    const placed = await galley.request('POST', '/place-order', { token, json: { productId: 1 + Math.floor(Math.random() * 90), qty } });
    assert.equal(placed.status, 201, JSON.stringify(placed.body));
    return placed.body.orderId;
}

// The server goes on with what was restored instead of what it had.
async function goOnFrom(galley, file) {
    await galley.kill9();
    await rm(galley.dataDir, { recursive: true });
    const restored = await restore(galley, file, 'data');
    assert.equal(restored.status, 0, restored.stderr);
    await galley.start();
}


test('a backup of a running server brings back data, tokens and administrators', async () => {
    const galley = await startGalley({ config: OWN_KEY });
    await galley.administrator();
    const token = await galley.login();
    const id = await order(galley, token);
    const { status, stdout, stderr } = await backup(galley, 'shop.tar');
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^shop\.tar: \d+ bytes in \d+\.\d s\n$/);
    assert.equal((await stat(path.join(galley.dir, 'shop.tar'))).mode & 0o777, 0o600);
    const later = await order(galley, token);

    await goOnFrom(galley, 'shop.tar');
    assert.equal((await galley.request('GET', `/orders/${id}`, { token })).status, 200);
    assert.equal((await galley.request('GET', `/orders/${later}`, { token })).status, 404);
    assert.match((await runGalley(['admin', 'list', '--data', galley.dataDir])).stdout, /captain/);
    assert.match((await runGalley(['verify', '--data', galley.dataDir])).stdout, /all whole/);
});

test('a stopped server is backed up the same way, compacted too', async () => {
    const galley = await startGalley({ config: OWN_KEY });
    const token = await galley.login();
    const id = await order(galley, token);
    await galley.stop();
    for (const more of [[], ['--compact']]) {
        const { status, stderr } = await backup(galley, 'shop.tar', '--force', ...more);
        assert.equal(status, 0, stderr);
        await rm(galley.dataDir, { recursive: true });
        assert.equal((await restore(galley, 'shop.tar', 'data')).status, 0);
        await galley.start();
        assert.equal((await galley.request('GET', `/orders/${id}`, { token })).status, 200);
        assert.match((await runGalley(['verify', '--data', galley.dataDir])).stdout, /all whole/);
        await galley.stop();
    }
});

test('a backup under load has every order that was acknowledged before it began', async () => {
    const galley = await startGalley({ config: OWN_KEY });
    const token = await galley.login();
    const acknowledged = [];
    let loading = true;
    const clients = Array.from({ length: 16 }, async () => {
        while (loading) acknowledged.push(await order(galley, token));
    });
    for (let round = 1; round <= 3; round++) {
        await eventually('more orders', () => acknowledged.length >= 100 * round);
        const before = [...acknowledged];
        const { status, stderr } = await backup(galley, `${round}.tar`);
        assert.equal(status, 0, stderr);
        if (round < 3) continue;
        loading = false;
        await Promise.all(clients);
        await goOnFrom(galley, '3.tar');
        for (const id of before) {
            assert.equal((await galley.request('GET', `/orders/${id}`, { token })).status, 200, id);
        }
    }
    assert.match((await runGalley(['verify', '--data', galley.dataDir])).stdout, /all whole/);
});

test('where there is no room the backup fails clean, and the server goes on', async () => {
    const galley = await startGalley({ config: OWN_KEY });
    const token = await galley.login();
    const args = ['-c', `ulimit -f 64; exec "$0" backup shop.tar --data "$1"`, binary, galley.dataDir];
    await assert.rejects(run('bash', args, { cwd: galley.dir }), (error) => {
        assert.deepEqual([error.code, error.stdout], [1, '']);
        assert.equal(error.stderr, 'galley backup: shop.tar: File too large\n');
        return true;
    });
    assert.deepEqual((await readdir(galley.dir)).filter((name) => name.startsWith('shop')), []);
    await order(galley, token);
    assert.equal((await backup(galley, 'shop.tar')).status, 0);
});

test('a backup that is ended by a signal leaves nothing', async () => {
    const galley = await startGalley();
    const slow = spawn('strace', ['-f', '-q', '-o', '/dev/null', '-e', 'trace=write', '-e', 'inject=write:delay_exit=200000',
        binary, 'backup', 'b.tar', '--data', galley.dataDir], { cwd: galley.dir, stdio: 'ignore' });
    const ended = new Promise((resolve) => slow.on('close', resolve));
    const part = async () => (await readdir(galley.dir)).find((name) => name.startsWith('b.tar'));
    process.kill(Number((await eventually('it writes', part)).split('.')[2]), 'SIGTERM');
    assert.equal(await ended, 1);
    assert.equal(await part(), undefined);
});

test('a file that is there is replaced only if asked', async () => {
    const galley = await startGalley();
    assert.equal((await backup(galley, 'shop.tar')).status, 0);
    const refused = await backup(galley, 'shop.tar');
    assert.deepEqual([refused.status, refused.stderr], [1, 'galley backup: shop.tar: is there already; --force replaces it\n']);
    assert.equal((await backup(galley, 'shop.tar', '--force')).status, 0);
});

test('a backup is a tar that any tool opens, with its checksums', async () => {
    const galley = await startGalley({ config: OWN_KEY });
    assert.equal((await backup(galley, 'shop.tar')).status, 0);
    const { stdout } = await run('tar', ['-tf', 'shop.tar'], { cwd: galley.dir });
    assert.equal(stdout, 'data.mdb\nsigning.key\nmanifest.json\n');
    await run('tar', ['-xf', 'shop.tar', '--one-top-level=out'], { cwd: galley.dir });
    const manifest = JSON.parse(await readFile(path.join(galley.dir, 'out/manifest.json'), 'utf8'));
    const sums = await run('sha256sum', ['data.mdb', 'signing.key'], { cwd: path.join(galley.dir, 'out') });
    const expected = Object.entries(manifest.files).map(([name, { sha256 }]) => `${sha256}  ${name}\n`);
    assert.equal(sums.stdout, expected.join(''));
});

test('a file that was cut short or changed is refused, and nothing of it stays', async () => {
    const galley = await startGalley({ config: OWN_KEY });
    assert.equal((await backup(galley, 'shop.tar')).status, 0);
    const whole = await readFile(path.join(galley.dir, 'shop.tar'));
    const flipped = Buffer.from(whole);
    flipped[Math.floor(whole.length / 2)] ^= 1;
    const bad = [[flipped, /other checksums/], [whole.subarray(0, whole.length - 2048), /cut short|no backup/],
        [whole.subarray(0, 70_000), /cut short/], [Buffer.alloc(1024), /no backup/], [Buffer.from('PK'), /cut short/]];
    for (const [bytes, why] of bad) {
        await writeFile(path.join(galley.dir, 'bad.tar'), bytes);
        const { status, stderr } = await restore(galley, 'bad.tar', 'new');
        assert.equal(status, 1);
        assert.match(stderr, why);
        assert.deepEqual(await readdir(path.join(galley.dir, 'new')), []);
    }
    assert.equal((await restore(galley, 'shop.tar', 'new')).status, 0);
});

test('what is in use or not empty is not restored over', async () => {
    const galley = await startGalley({ config: OWN_KEY });
    assert.equal((await backup(galley, 'shop.tar')).status, 0);
    const { status, stderr } = await restore(galley, 'shop.tar', 'data');
    assert.equal(status, 1);
    assert.match(stderr, /data: it is not empty: restore into a new directory\n$/);
});

test('two restores into one directory at once do not lose it', async () => {
    const galley = await startGalley();
    await backup(galley, 'b.tar');
    for (let i = 0; i < 5; i++) {
        const both = await Promise.all([restore(galley, 'b.tar', `both-${i}`), restore(galley, 'b.tar', `both-${i}`)]);
        assert.equal(both.filter(({ status }) => status === 0).length, 1, JSON.stringify(both));
        assert.deepEqual(await readdir(path.join(galley.dir, `both-${i}`)), ['data.mdb']);
    }
});

test('a compact backup of a database with a lost page is refused, a plain one is as it is', async () => {
    const galley = await startGalley();
    await galley.terminate();
    await losePage(galley);
    const compact = await backup(galley, 'c.tar', '--compact');
    assert.equal(compact.status, 1);
    assert.match(compact.stderr, /the table docs: page \d+ .*; without --compact it is copied as it is\n$/);
    assert.deepEqual((await readdir(galley.dir)).filter((name) => name.startsWith('c.tar')), []);
    assert.equal((await backup(galley, 'b.tar')).status, 0);
    assert.equal((await restore(galley, 'b.tar', 'restored')).status, 0);
    assert.equal((await runGalley(['verify', '--repair', '--data', path.join(galley.dir, 'restored')])).status, 0);
});

test('a directory without a database, and a name too few, are said', async () => {
    const galley = await startGalley();
    const nothing = await runGalley(['backup', 'x.tar', '--data', '/nowhere'], { cwd: galley.dir });
    assert.equal(nothing.status, 1);
    assert.match(nothing.stderr, /^galley backup: \/nowhere(\/data\.mdb)?: No such file or directory\n$/);
    assert.equal((await runGalley(['backup'], { cwd: galley.dir })).status, 2);
    assert.equal((await runGalley(['restore'], { cwd: galley.dir })).status, 2);
});
