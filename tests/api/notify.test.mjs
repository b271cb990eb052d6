// What the service manager is told: ready, reloading, stopping, and that the watchdog is fed as long as we serve.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { eventually, runGalley, startGalley } from '../lib/galley.mjs';
import { inject } from '../lib/strace.mjs';

const tools = process.env.GALLEY_TOOLS ?? 'build/tests';

// A service manager that only listens; messages() is what it was told.
async function manager(t) {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'galley-notify-'));
    const socket = path.join(dir, 'notify');
    const child = spawn(path.join(tools, 'notify_socket'), [socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (more) => (text += more));
    t.after(async () => {
        child.kill('SIGKILL');
        await rm(dir, { recursive: true, force: true });
    });
    await eventually('the socket is there', () => text.startsWith('bound\n'));
    return { socket, messages: () => text.split('\n').slice(1, -1) };
}

const meals = (told) => told.messages().filter((message) => message === 'WATCHDOG=1').length;

test('it says when it is ready, reloads, is ready again, and stops', async (t) => {
    const told = await manager(t);
    const galley = await startGalley({ env: { NOTIFY_SOCKET: told.socket } });
    await eventually('ready', () => told.messages().length === 1);
    assert.equal((await runGalley(['reload', '--data', galley.dataDir])).status, 0);
    await galley.stop();
    await eventually('all was told', () => told.messages().length === 4);
    const [ready, reloading, again, stopping] = told.messages();
    assert.deepEqual([ready, again, stopping], ['READY=1', 'READY=1', 'STOPPING=1']);
    assert.match(reloading, /^RELOADING=1 MONOTONIC_USEC=\d+$/);
});

test('a start that fails never says that it is ready', async (t) => {
    const told = await manager(t);
    const { status } = await runGalley(['serve', '--listen', '127.0.0.1:0', '--data', '/nowhere/data'],
        { cwd: path.dirname(told.socket), env: { ...process.env, NOTIFY_SOCKET: told.socket } });
    assert.notEqual(status, 0);
    assert.deepEqual(told.messages(), []);
});

test('the watchdog is fed while the server serves, and starves while the store cannot write', async (t) => {
    const told = await manager(t);
    const galley = await startGalley({
        env: { NOTIFY_SOCKET: told.socket, WATCHDOG_USEC: '2000000' }, config: { server: { workers: 8 } },
    });
    await eventually('it is fed', () => meals(told) >= 2);
    const token = await galley.login();
    const mend = await inject(galley, 'fdatasync', 'delay_enter=50000000'); // microseconds
    const placed = galley.request('POST', '/place-order', { token, json: { productId: 1, qty: 1 } }).catch(() => {});
    await eventually('it starves', () => /is not fed: a write has had no answer/.test(galley.log()));
    const hungry = meals(told);
    assert.equal((await galley.request('GET', '/healthz')).status, 200);
    assert.equal(meals(told), hungry);
    await mend('SIGKILL');
    await galley.kill9();
    await placed;
});

test('a watchdog that is another process\'s is not fed', async (t) => {
    const told = await manager(t);
    const galley = await startGalley({
        env: { NOTIFY_SOCKET: told.socket, WATCHDOG_USEC: '4000', WATCHDOG_PID: '1' },
    });
    await galley.stop();
    assert.deepEqual(told.messages(), ['READY=1', 'STOPPING=1']);
});
