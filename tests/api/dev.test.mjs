// Working on a copy of the tree: a module of one's own, `make dev`, `make run`.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { access, appendFile, constants, cp, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';
import { promisify } from 'node:util';

import { binary, eventually, freePort, withDeadline } from '../lib/galley.mjs';

const run = promisify(execFile);
const BUILD_MS = 600_000;

// The sources, what was downloaded, and objects of such a build if there are any.
async function copyTree() {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'galley-tree-'));
    after(() => rm(dir, { recursive: true, force: true }));
    const files = (await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { maxBuffer: 1 << 24 })).stdout;
    const tops = new Set(files.split('\0').filter((file) => file).map((file) => file.split('/')[0]));
    const kept = ['build/civetweb', 'build/admin-ui', 'build/dev', 'build/.deps-build', 'build/.deps-test', 'build/assets.c'];
    for (const part of [...tops, ...kept]) {
        if (existsSync(part)) await cp(part, path.join(dir, part), { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    }
    return dir;
}

// A command with what it says; its processes are one group, which ends with the test.
function begin(dir, command, args) {
    const child = spawn(command, args, { cwd: dir, detached: true, env: { ...process.env, MAKEFLAGS: '' } });
    const it = { text: '', child, exited: new Promise((resolve) => child.on('close', resolve)) };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (it.text += text));
    it.end = async () => {
        try {
            process.kill(-child.pid, 'SIGTERM');
        } catch {
            return;
        }
        await withDeadline(`the end of ${command}`, it.exited);
    };
    after(it.end);
    return it;
}

const saying = (it, what, times = 1) => withDeadline(`${what} from:\n${it.text}`, (async () => {
    while ((it.text.match(what)?.length ?? 0) < times) {
        assert.equal(it.child.exitCode, null, it.text);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
})(), BUILD_MS);

const LISTENING = /^listening on http:\/\/\S+/gm;
const last = (it) => it.text.match(LISTENING).at(-1).slice('listening on '.length);

const dir = await copyTree();

test('make run hands its arguments on', async () => {
    const port = await freePort();
    const it = begin(dir, 'make', ['run', 'VARIANT=dev', `ARGS=--listen :${port}`]);
    await saying(it, LISTENING);
    assert.match(last(it), new RegExp(`:${port}$`));
    assert.equal((await fetch(`${last(it)}/healthz`)).status, 200);
    await it.end();
});

test('what is measured with links without LTO too', async () => {
    const tools = ['large_documents', 'cache_bench', 'queue_cost', 'fill_jobs', 'answer_sweep'];
    await run('make', ['VARIANT=dev', ...tools.map((name) => `build/dev/tests/${name}`)], { cwd: dir });
});

// How often nobody could have started the program while the promise was open.
async function absences(program, promise) {
    let open = true, count = 0;
    promise.finally(() => (open = false)).catch(() => {});
    for (; open; await new Promise(setImmediate)) {
        count += await access(program, constants.X_OK).then(() => 0, () => 1);
    }
    await promise;
    return count;
}

test('a new module is built and served by make dev, which starts anew when a file changes', async () => {
    await run(binary, ['new', 'module', 'diary'], { cwd: dir });
    await appendFile(path.join(dir, 'config.ini'), '\n[route diary]\npath = /diary/*\ntarget = app:diary\n');

    const dev = begin(dir, 'make', ['dev', 'ARGS=--listen :0']);
    await saying(dev, LISTENING);
    assert.equal((await fetch(`${last(dev)}/diary`)).status, 401, 'its route is there');

    const env = { ...process.env, GALLEY_BIN: path.join(dir, 'build/dev/galley') };
    const { NODE_TEST_CONTEXT: _, ...alone } = env;
    const { stdout } = await run('node', ['--test', 'tests/api/diary.test.mjs'], { cwd: dir, env: alone });
    assert.match(stdout, /^# pass [1-9]|^ℹ pass [1-9]/m);

    await appendFile(path.join(dir, 'modules/diary.c'), '\n/* changed */\n');
    const gone = await absences(path.join(dir, 'build/dev/galley'), saying(dev, LISTENING, 2));
    assert.equal(gone, 0, 'a program to call is there all the time');
    assert.equal((await fetch(`${last(dev)}/healthz`)).status, 200);

    await appendFile(path.join(dir, 'modules/diary.c'), '\nthis is no C\n');
    await saying(dev, /does not build; what ran before runs on/g);
    assert.equal((await fetch(`${last(dev)}/healthz`)).status, 200);

    await dev.end();
    await eventually('the server has ended too', () => fetch(`${last(dev)}/healthz`).then(() => false, () => true));
});
