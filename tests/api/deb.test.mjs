// What `make deb` builds; tests/fresh/run.sh installs it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFile, cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { promisify } from 'node:util';

import { binary } from '../lib/galley.mjs';

const run = promisify(execFile);
let dir, deb;

before(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'galley-deb-'));
    deb = path.join(dir, 'galley.deb');
    await run('tools/deb.sh', [binary, deb], { env: { ...process.env, DEB_VERSION: '9.8.7' } });
});
after(() => rm(dir, { recursive: true, force: true }));

const field = async (name) => (await run('dpkg-deb', ['-f', deb, name])).stdout.trim();

test('it depends on the libraries that the program is linked with, and on what makes its user', async () => {
    assert.equal(await field('Version'), '9.8.7');
    const depends = await field('Depends');
    for (const name of ['libc6', 'liblmdb0', 'libjansson4', 'libssl3', 'adduser']) {
        assert.match(depends, new RegExp(`(^|, )${name}($|,| )`), name);
    }
});

test('it has program, unit, manual page, completion and documentation, all root\'s', async () => {
    const { stdout } = await run('dpkg-deb', ['-c', deb]);
    const lines = stdout.trim().split('\n');
    for (const file of ['usr/bin/galley', 'lib/systemd/system/galley.service', 'usr/share/man/man1/galley.1.gz',
        'usr/share/bash-completion/completions/galley', 'usr/share/doc/galley/copyright', 'usr/share/doc/galley/config.md']) {
        assert.ok(lines.some((line) => line.endsWith(` ./${file}`)), file);
    }
    for (const line of lines) assert.match(line, /^\S+ root\/root /);
});

test('what an administrator changes is a conffile', async () => {
    assert.equal((await run('dpkg-deb', ['-I', deb, 'conffiles'])).stdout, '/etc/galley/config.ini\n/etc/logrotate.d/galley\n');
});

test('the scripts of the package are right, and lintian has no errors or warnings', async (t) => {
    for (const script of ['postinst', 'prerm', 'postrm']) await run('sh', ['-n', `packaging/debian/${script}`]);
    if (/sanitize|asan|tsan/.test(binary)) return t.skip('a program for tests');
    const lintian = await run('lintian', ['--allow-root', '--fail-on', 'error,warning', deb]).catch((error) => error);
    if (lintian.code === 'ENOENT') return t.skip('needs lintian');
    assert.equal(lintian.code ?? 0, 0, lintian.stdout);
});

test('a build of what is not committed is an upgrade of the commit, and the next commit one of it', async () => {
    const tree = path.join(dir, 'tree');
    await mkdir(tree);
    for (const name of ['LICENSE', 'README.md', 'docs', 'packaging', 'tools', 'server/version.h']) await cp(name, path.join(tree, name), { recursive: true });
    const options = { cwd: tree, env: { ...process.env, DEB_VERSION: '' } };
    const commit = async () => {
        await run('git', ['add', '-A'], options);
        await run('git', ['-c', 'user.name=x', '-c', 'user.email=x@example.org', 'commit', '-qm', 'x'], options);
    };
    const version = async () => /: galley (\S+),/.exec((await run('tools/deb.sh', [binary, '../other.deb'], options)).stdout)[1];
    await run('git', ['init', '-q'], options);
    await commit();
    const versions = [await version()];
    await appendFile(path.join(tree, 'README.md'), 'more\n');
    versions.push(await version());
    await commit();
    versions.push(await version());
    assert.match(versions[0], /\+1$/);
    for (const i of [0, 1]) await run('dpkg', ['--compare-versions', versions[i], 'lt', versions[i + 1]]);
});
