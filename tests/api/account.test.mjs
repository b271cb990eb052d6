// Whom the process runs as, and that its files are nobody else's. What needs root is left out elsewhere.
import assert from 'node:assert/strict';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { configText, eventually, runGalley, startGalley } from '../lib/galley.mjs';

const asRoot = { skip: process.getuid() !== 0 && 'needs root' };
const NOBODY = 65534;

// A directory that everybody may enter, with a configuration and an empty data directory.
async function directory(t, config) {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'galley-account-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    await chmod(dir, 0o755);
    await writeFile(path.join(dir, 'config.ini'), configText(config));
    await mkdir(path.join(dir, 'data'), { mode: 0o700 });
    return { dir, data: path.join(dir, 'data') };
}

async function refused(dir, why, options = {}) {
    const { status, stdout, stderr } = await runGalley(['serve'], { cwd: dir, ...options });
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, why);
}

test('a data directory that others may use is refused', async (t) => {
    const { dir, data } = await directory(t);
    for (const [mode, shown] of [[0o750, '0750'], [0o701, '0701'], [0o777, '0777']]) {
        await chmod(data, mode);
        await refused(dir, new RegExp(`^galley: cannot start: data directory ${data}: is open to others \\(mode ${shown}\\); chmod 700 ${data}\\n$`));
    }
});

test('a data directory or key of another owner is refused', asRoot, async (t) => {
    const { dir, data } = await directory(t, { auth: null });
    await chown(data, NOBODY, NOBODY);
    await refused(dir, /data directory \S+: belongs to user 65534, but user 0 runs this\n$/);

    const galley = await startGalley({ config: { auth: null } });
    await galley.stop();
    await chown(path.join(galley.dataDir, 'signing.key'), NOBODY, NOBODY);
    await refused(galley.dir, /signing\.key: it belongs to another user\n$/);
});

test('a user that there is not, or that one cannot become, is refused', asRoot, async (t) => {
    const nowhere = await directory(t, { server: { user: 'no-such-user' } });
    await refused(nowhere.dir, /\[server\] user = no-such-user: there is no such user\n$/);
    const other = await directory(t, { server: { user: 'root' } });
    await refused(other.dir, /\[server\] user = root: only root can become another user\n$/, { uid: NOBODY, gid: NOBODY });
});

test('root becomes the user, for good, with the listeners that root has opened', asRoot, async () => {
    const galley = await startGalley({ open: true, config: { server: { user: 'nobody' }, auth: null } });
    for (const task of await readdir(`/proc/${galley.pid}/task`)) {
        const text = await readFile(`/proc/${galley.pid}/task/${task}/status`, 'utf8');
        assert.match(text, /^Uid:\t65534\t65534\t65534\t65534$/m);
        assert.match(text, /^Gid:\t65534\t65534\t65534\t65534$/m);
        assert.match(text, /^Groups:\t65534 $/m);
        assert.match(text, /^CapEff:\t0+$/m);
    }
    for (const file of ['.', 'signing.key', 'control.sock', 'data.mdb'])
        assert.equal((await stat(path.join(galley.dataDir, file))).uid, NOBODY, file);
    assert.equal((await galley.request('GET', '/products?limit=1')).status, 200);
    const token = await galley.login();
    assert.equal((await galley.request('POST', '/place-order', { token, json: { productId: 1, qty: 1 } })).status, 201);
    assert.equal((await runGalley(['reload'], { cwd: galley.dir, uid: NOBODY, gid: NOBODY })).status, 0);
    assert.equal((await stat(`/proc/${galley.pid}/environ`)).uid, 0, 'can be dumped');
});

test('running as root is warned of', asRoot, async () => {
    const galley = await startGalley();
    await eventually('the warning', () => galley.log().includes('runs as root; [server] user says whom to become instead'));
});

test('the files that it makes are its own alone', async () => {
    const galley = await startGalley({ config: { auth: null } });
    for (const file of ['.', 'signing.key']) {
        const { mode, uid } = await stat(path.join(galley.dataDir, file));
        assert.deepEqual([mode & 0o077, uid], [0, process.getuid()], file);
    }
});
