// What `make install` puts in place.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';

import { binary, runGalley, startGalley } from '../lib/galley.mjs';

const run = promisify(execFile);
const has = (tool) => run('sh', ['-c', `command -v ${tool}`]).then(() => true, () => false);

async function installed(t) {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'galley-install-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    const env = { ...process.env, DESTDIR: dir, PREFIX: '/usr/local', UNITDIR: '/usr/local/lib/systemd/system' };
    const script = (...args) => run('tools/install.sh', args, { env });
    await script('install', binary);
    const files = async () => (await run('find', ['.', '-type', 'f'], { cwd: dir })).stdout.trim().split('\n').sort();
    return { dir, script, files, text: (file) => readFile(path.join(dir, file), 'utf8') };
}

test('it installs below DESTDIR, and takes away all but the configuration', async (t) => {
    const { dir, script, files } = await installed(t);
    assert.deepEqual(await files(), [
        './etc/galley/config.ini',
        './etc/logrotate.d/galley',
        './usr/local/bin/galley',
        './usr/local/lib/systemd/system/galley.service',
        './usr/local/share/bash-completion/completions/galley',
        './usr/local/share/man/man1/galley.1',
    ]);
    assert.equal((await stat(path.join(dir, 'usr/local/bin/galley'))).mode & 0o777, 0o755);
    await script('uninstall');
    assert.deepEqual(await files(), ['./etc/galley/config.ini']);
});

test('a configuration that is there stays as it is', async (t) => {
    const { dir, script, text } = await installed(t);
    await writeFile(path.join(dir, 'etc/galley/config.ini'), '; mine\n');
    await script('install', binary);
    assert.equal(await text('etc/galley/config.ini'), '; mine\n');
});

test('unit and logrotate name the program where it is', async (t) => {
    const { text } = await installed(t);
    assert.match(await text('usr/local/lib/systemd/system/galley.service'), /^ExecStart=\/usr\/local\/bin\/galley serve -c \/etc\/galley\/config\.ini$/m);
    assert.match(await text('etc/logrotate.d/galley'), /^ +\/usr\/local\/bin\/galley reload /m);
});

test('the production configuration is right, and serves', async (t) => {
    const { dir, text } = await installed(t);
    const file = path.join(dir, 'etc/galley/config.ini');
    assert.equal((await runGalley(['check', '-c', file])).status, 0);
    const here = (await text('etc/galley/config.ini'))
        .replace('127.0.0.1:8080', '127.0.0.1:0').replace('127.0.0.1:8081', '127.0.0.1:0')
        .replace('/var/lib/galley', './data').replace('/var/log/galley/galley.log', './galley.log').replace('user = galley', 'user =');
    const galley = await startGalley({ config: here });
    assert.equal((await galley.request('GET', '/readyz')).body.status, 'ready');
    assert.equal((await galley.request('GET', '/metrics')).status, 404); // the administration's listener has it
    await galley.stop();
    assert.match(await readFile(path.join(galley.dir, 'galley.log'), 'utf8'), /"stopped"/);
});

test('the container\'s configuration is right too', async () => {
    assert.equal((await runGalley(['check', '-c', 'packaging/container.ini'])).status, 0);
});

test('systemd finds nothing wrong with the unit, and little that it may do', async (t) => {
    if (!(await has('systemd-analyze'))) return t.skip('needs systemd-analyze');
    const { dir } = await installed(t);
    const unit = path.join(dir, 'galley.service');
    const source = await readFile('packaging/galley.service', 'utf8');
    await writeFile(unit, source.replaceAll('@BINDIR@/galley', binary).replace(/^Documentation=.*\n/m, ''));
    await run('systemd-analyze', ['verify', '--man=no', unit]);
    const { stdout } = await run('systemd-analyze', ['security', '--offline=true', '--threshold=20', unit]);
    assert.match(stdout, /Overall exposure level for galley\.service: 1\.\d OK/);
});

test('logrotate takes its file', async (t) => {
    if (!(await has('logrotate'))) return t.skip('needs logrotate');
    const { dir } = await installed(t);
    await run('logrotate', ['-d', '-s', path.join(dir, 'state'), path.join(dir, 'etc/logrotate.d/galley')]);
});
