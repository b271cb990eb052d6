// Certificates for tests, made by `galley cert dev`.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';

import { runGalley } from './galley.mjs';

// In a directory of their own, which goes with the test (or file) that asked for it.
export async function makeCertificates(hosts = [], { days = 90 } = {}) {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'galley-certs-'));
    after(() => rm(dir, { recursive: true, force: true }));
    const { status, stderr } = await runGalley(['cert', 'dev', '--dir', dir, '--days', `${days}`, ...hosts]);
    assert.equal(status, 0, stderr);
    const cert = path.join(dir, 'dev.crt');
    const key = path.join(dir, 'dev.key');
    return { dir, cert, key, ca: await readFile(path.join(dir, 'dev-ca.crt')) };
}

// Puts `fresh` in the place of `old`, as those do who renew certificates: one file after the other.
export async function replaceCertificates(old, fresh) {
    await rename(fresh.cert, old.cert);
    await rename(fresh.key, old.key);
}
