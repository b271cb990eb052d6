// The machine gives no more descriptors or threads: who is there is served, and it passes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import test from 'node:test';

import { beginCrowd } from '../lib/crowd.mjs';
import { FrontServer } from '../lib/front_server.mjs';
import { startGalley } from '../lib/galley.mjs';

// The soft limit of a running process; whoever runs it may.
const limit = ({ pid, user }, name, value) =>
    execFileSync('prlimit', ['--pid', String(pid), `--${name}=${value}:`], { ...user });
const openFiles = (pid) => readdirSync(`/proc/${pid}/fd`).length;

// Of one process, user and kernel.
function processorMs(pid) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
}

test('without descriptors newcomers take the places of those who wait, and it takes no processor', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    const before = openFiles(galley.pid);
    limit(galley, 'nofile', before + 10);
    const crowd = await beginCrowd('idle', galley.port, { clients: 100, patience_s: 5 });
    assert.equal(crowd.settled, 100); // each was served once

    const used = processorMs(galley.pid), since = Date.now();
    for (let i = 0; i < 20; i++) {
        const { status } = await galley.request('GET', `/products/${i + 1}`, { token, agent: false });
        assert.equal(status, 200);
        await new Promise((resolve) => setTimeout(resolve, 25)); // while it might turn round and round
    }
    const busy = (processorMs(galley.pid) - used) / (Date.now() - since);
    assert.ok(busy < 0.5, `busy for ${busy} of the time`);
    const { standing } = await crowd.end();
    assert.ok(standing < 20, `${standing} are there`);
});

test('a stop ends in time although somebody knocks who cannot be let in', async (t) => {
    const server = await FrontServer.start(t, { drain_ms: 300 });
    server.exitStatus = 3; // it does not wait for the handler
    await server.hold(); // nobody whose place could be taken
    limit(server.child, 'nofile', 3);
    const knocking = await server.connect();
    server.terminate();
    assert.equal(await server.line(/^cut /), 'cut 1');
    assert.equal(await server.exited, 3);
    assert.match(server.stderr, /cannot accept: Too many open files/);
    server.stderr = '';
    knocking.destroy();
});

// The limit counts the threads of a user, and root has none: another user's server.
const NOBODY = 61234;
const asRoot = process.getuid() === 0;

test('without threads for more workers those that run do the work', { skip: !asRoot && 'needs root' }, async () => {
    const galley = await startGalley({ uid: NOBODY });
    const token = await galley.login();
    const threads = readdirSync(`/proc/${galley.pid}/task`).length;
    limit(galley, 'nproc', threads);
    const orders = Array.from({ length: 64 }, (_, i) => galley.request('POST', '/place-order',
        { token, agent: false, json: { productId: i + 1, qty: 1 } }));
    for (const { status } of await Promise.all(orders)) assert.equal(status, 201);
    assert.ok(readdirSync(`/proc/${galley.pid}/task`).length <= threads);
});
