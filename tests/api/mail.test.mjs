// The development mail box: one message after the other, whatever happened to the file before.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { startGalley } from '../lib/galley.mjs';

const order = (galley, token) =>
    galley.request('POST', '/place-order', { token, json: { productId: 17, qty: 1 } });
const box = (galley) => path.join(galley.dataDir, 'mail/outbox.mbox');

test('a configuration without [queue mail] has that queue with its defaults', async () => {
    const galley = await startGalley({ config: { 'queue mail': null } });
    assert.equal((await order(galley, await galley.login())).status, 201);
    assert.equal((await galley.mails()).length, 1);
});

test('a message that a crash has cut is gone after the next start', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    await order(galley, token);
    const [first] = await galley.mails();
    await order(galley, token);
    await galley.mails();
    await galley.stop();
    const both = await readFile(box(galley), 'utf8');
    const second = both.indexOf('\nFrom ') + 1;
    const headers = both.indexOf('\n\n', second) + 2;
    for (const cut of [second + 1, second + 100, headers - 2, headers - 1, headers, headers + 10, both.length - 1]) {
        await writeFile(box(galley), both.slice(0, cut));
        await galley.start();
        const { body } = await order(galley, token);
        const mails = await galley.mails();
        assert.equal(mails.length, 2, `cut at ${cut} of ${both.length}`);
        assert.equal(mails[0], first);
        assert.ok(mails[1].includes(body.orderId));
        await galley.stop();
    }
    await writeFile(box(galley), both);
    await galley.start();
    assert.equal((await galley.mails()).length, 2, 'whole messages stay');
});

test('a mail box that was emptied is written on', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    await order(galley, token);
    await galley.mails();
    await writeFile(box(galley), '');
    const { body } = await order(galley, token);
    const mails = await galley.mails();
    assert.equal(mails.length, 1);
    assert.ok(mails[0].includes(body.orderId));
});
