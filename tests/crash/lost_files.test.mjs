// Files of the data directory that are missing, moved, emptied or something else.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';

import { assertError } from '../lib/assertions.mjs';
import { eventually, runGalley, startGalley } from '../lib/galley.mjs';

const run = promisify(execFile);

const order = (galley, token) =>
    galley.request('POST', '/place-order', { token, json: { productId: 7, qty: 1 } });

for (const [what, lose] of [
    ['deleted', (data) => rm(path.join(data, 'data.mdb'))],
    ['moved with its directory', (data) => rename(data, `${data}-moved`)],
    ['replaced', async (data) => {
        await rename(path.join(data, 'data.mdb'), path.join(data, 'data.old'));
        await writeFile(path.join(data, 'data.mdb'), '');
    }],
]) {
    test(`a database that is ${what} while it is in use takes no more orders`, async () => {
        const galley = await startGalley();
        const token = await galley.login();
        assert.equal((await order(galley, token)).status, 201);
        await lose(galley.dataDir);
        const ready = await eventually('it is noticed', async () => {
            const answer = await galley.request('GET', '/readyz');
            return answer.status === 503 && answer;
        });
        assert.match(ready.body.cause, /data\.mdb was moved or deleted while it was in use/);
        assertError(await order(galley, token), 503, 'READ_ONLY');
        assert.equal((await galley.request('GET', '/orders', { token })).body.data.length, 1);
    });
}

// The key is made by the server itself.
const OWN_KEY = { config: { auth: null } };

async function refusal(galley) {
    const { status, stderr } = await runGalley(['serve'], { cwd: galley.dir });
    assert.equal(status, 1);
    return stderr;
}

for (const [what, lose] of [
    ['missing', (file) => rm(file)],
    ['empty', (file) => truncate(file, 0)],
]) {
    test(`a database that is ${what} beside a signing key is no new shop`, async () => {
        const galley = await startGalley(OWN_KEY);
        await galley.stop();
        await lose(path.join(galley.dataDir, 'data.mdb'));
        assert.match(await refusal(galley), /data\.mdb is missing or empty, but signing\.key is there: restore .* or .* begin anew/);

        await rm(path.join(galley.dataDir, 'signing.key'));
        await galley.start();
        assert.equal((await galley.request('GET', '/readyz')).status, 200);
    });
}

test('a missing database beside a mail box is no new shop', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    assert.equal((await order(galley, token)).status, 201);
    await galley.mails();
    await galley.stop();
    await rm(path.join(galley.dataDir, 'data.mdb'));
    assert.match(await refusal(galley), /data\.mdb is missing or empty, but mail\/outbox\.mbox is there/);
});

for (const [what, make, said] of [
    ['shorter', (file) => truncate(file, 32), /signing\.key: it has 32 bytes; a key has 64/],
    ['longer', (file) => writeFile(file, Buffer.alloc(65, 7)), /signing\.key: it has 65 bytes; a key has 64/],
    ['empty', (file) => truncate(file, 0), /signing\.key: it has 0 bytes/],
    ['a PEM file', (file) => writeFile(file, `-----BEGIN PRIVATE KEY-----\n${'A'.repeat(80)}`), /signing\.key: it is a PEM file/],
    ['a directory', async (file) => { await rm(file); await mkdir(file); }, /signing\.key: it is a directory/],
    ['a FIFO', async (file) => { await rm(file); await run('mkfifo', ['-m', '600', file]); }, /signing\.key: it is no file/],
]) {
    test(`a signing key that is ${what} is said to be that`, async () => {
        const galley = await startGalley(OWN_KEY);
        await galley.stop();
        await make(path.join(galley.dataDir, 'signing.key'));
        assert.match(await refusal(galley), said);
    });
}
