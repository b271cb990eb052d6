// The scripts of the build, where something is missing.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

const root = path.resolve('.');

// A folder with nothing in its PATH but these tools of the system, and scripts in the place of others.
function bare(t, tools, scripts) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'galley-build-'));
    t.after(() => rmSync(dir, { recursive: true }));
    const bin = path.join(dir, 'bin');
    mkdirSync(bin);
    for (const tool of tools) symlinkSync(execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim(), path.join(bin, tool));
    for (const [name, text] of Object.entries(scripts)) {
        writeFileSync(path.join(bin, name), `#!/bin/sh\n${text}\n`);
        chmodSync(path.join(bin, name), 0o755);
    }
    return { dir, run: (file, ...args) => spawnSync(path.join(root, file), args, { cwd: dir, env: { PATH: bin }, encoding: 'utf8' }) };
}

test('without root and sudo the set-up says the command to run as root', (t) => {
    const { run } = bare(t, ['sh', 'sort', 'tr', 'grep', 'flock', 'mkdir'], { id: 'echo 1000', 'dpkg-query': 'exit 1' });
    const { status, stderr } = run('tools/deps.sh', 'cost');
    assert.equal(status, 1);
    assert.equal(stderr, 'You are not root and there is no sudo. Run this as root, then make again:\n'
        + '    apt-get update && apt-get install -y --no-install-recommends valgrind\n');
});

test('offline the build says what is missing', (t) => {
    const tools = ['sh', 'mkdir', 'dirname', 'cat', 'sha256sum', 'rm', 'sed', 'grep', 'awk', 'id'];
    const { dir, run } = bare(t, tools, { 'apt-get': 'echo "E: no network" >&2; exit 100' });
    const { status, stderr } = run('tools/civetweb.sh', path.join(dir, 'civetweb'));
    assert.equal(status, 1);
    assert.match(stderr, /the source of civetweb 1\.15\S* is missing and cannot be fetched/);
    assert.match(stderr, /Connect to the network once \(make clean keeps what was fetched\), or set CIVETWEB_SRC=DIR\./);
});

test('what was fetched is not fetched again', (t) => {
    const tools = ['sh', 'mkdir', 'dirname', 'cat', 'sha256sum', 'rm', 'mv', 'cp', 'patch', 'touch', 'id'];
    const { dir, run } = bare(t, tools, {
        'apt-get': 'echo "apt-get was called" >&2; exit 100',
        'dpkg-source': `mkdir -p "$4/src" "$4/include"; exit 3`,
    });
    const dest = path.join(dir, 'civetweb');
    mkdirSync(dest);
    writeFileSync(path.join(dest, 'civetweb_1.15+dfsg-4.dsc'), '');
    assert.doesNotMatch(run('tools/civetweb.sh', dest).stderr, /apt-get was called/);
});

test('the check fails when one of its tools is missing, and names it', (t) => {
    const tools = ['git', 'awk', 'clang-format', 'cppcheck', 'gcc', 'clang-tidy'];
    for (const missing of tools) {
        const others = Object.fromEntries(tools.filter((tool) => tool !== missing).map((tool) => [tool, 'exit 0']));
        const { status, stderr } = bare(t, ['bash'], others).run('tools/check.sh');
        assert.equal(status, 1);
        assert.equal(stderr, `check.sh: ${missing} is missing: make deps\n`);
    }
});

test('make clean keeps downloads, make distclean nothing', () => {
    const env = { PATH: process.env.PATH }; // not the flags of a make that runs the tests
    const says = (target) => execFileSync('make', ['-n', '--no-print-directory', target], { encoding: 'utf8', env });
    assert.equal(says('clean'), 'rm -rf build/release build/dev build/asan build/tsan build/galley build/*.c\n');
    assert.equal(says('distclean'), 'rm -rf build\n');
});

test('nothing is compiled before the packages are there that it takes', () => {
    for (const object of ['server/main.o', 'modules.o', 'templates.o', 'civetweb.o', 'assets.o', 'tests/unit/base/test_ticker.o']) {
        const args = ['-n', '-j1', '-W', 'tools/deps.sh', 'VARIANT=none', `build/none/${object}`];
        const said = execFileSync('make', args, { encoding: 'utf8' });
        const installs = said.indexOf('tools/deps.sh build');
        assert.ok(installs >= 0 && installs < said.indexOf(`-c -o build/none/${object}`), object);
    }
});

test('the first line of the README has all that a bare system needs', () => {
    assert.match(readFileSync('README.md', 'utf8'), /^ {4}apt-get update && apt-get install -y git make && make run /m);
});

test('make check fails when a tool is missing, instead of passing without it', (t) => {
    const tools = ['git', 'awk', 'clang-format', 'cppcheck', 'gcc', 'clang-tidy'];
    for (const gone of ['git', 'cppcheck']) {
        const stand_ins = Object.fromEntries(tools.filter((tool) => tool !== gone).map((tool) => [tool, 'exit 0']));
        const { run } = bare(t, ['bash'], stand_ins);
        const { status, stderr } = run('tools/check.sh');
        assert.equal(status, 1);
        assert.equal(stderr, `check.sh: ${gone} is missing: make deps\n`);
    }
});
