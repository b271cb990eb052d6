// A bit is wrong in the records of jobs: the server starts, says so, serves all else, and stops when told to.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';

function flipBits(file, text) {
    const bytes = fs.readFileSync(file);
    let flipped = 0;
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
        bytes[at] ^= 1;
        flipped++;
    }
    fs.writeFileSync(file, bytes);
    return flipped;
}

const order = (galley, token) =>
    galley.request('POST', '/place-order', { token, json: { productId: 1, qty: 1 } });

test('damaged jobs are found without being asked for, named and counted, and orders go on', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    for (let i = 0; i < 3; i++) assert.equal((await order(galley, token)).status, 201);
    const completed = () => galley.metric('galley_queue_jobs{queue="mail",state="completed"}');
    await eventually('the e-mails are sent', async () => (await completed()) === 3);
    await galley.stop();
    assert.ok(flipBits(path.join(galley.dataDir, 'data.mdb'), 'send-email') >= 3);

    await galley.start();
    await eventually('all three are found', async () =>
        (await galley.metric('galley_queue_damaged_total{queue="mail"}')) >= 3);
    const { status, body } = await galley.request('GET', '/readyz');
    assert.equal(status, 200);
    assert.equal(body.status, 'degraded');
    assert.match(body.damaged, /^queue mail, job [0-9a-f-]+, its state is damaged$/);
    await eventually('the log names it', () => /Damaged: queue mail, job [0-9a-f-]+, its state/.test(galley.log()));

    assert.equal((await order(galley, token)).status, 201);
    await eventually('its e-mail is sent', async () => (await completed()) === 4);
    await galley.stop();
});
