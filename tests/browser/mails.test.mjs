// The page Mail box: what was sent is shown as text, whatever it holds.
import assert from 'node:assert/strict';
import { appendFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';

import { eventually } from '../lib/galley.mjs';
import { browse } from './pages.mjs';

const it = browse();

const rows = () => it.page.locator('tbody tr');

test('an order leads to a message, the latest first', async () => {
    const galley = await it.begin({}, '/_/mails');
    await it.page.getByText('No e-mail yet.').waitFor();
    await it.isAccessible('mails-empty');
    const token = await galley.login();
    for (const qty of [1, 2]) await galley.request('POST', '/place-order', { token, json: { productId: 5, qty } });
    await eventually('two messages', async () => (await rows().count()) === 2);
    await it.isAccessible('mails');
    await rows().first().getByRole('link').click();
    await it.page.locator('.mail-head').getByText('alice@example.com').waitFor();
    assert.match(await it.page.locator('.mail-text').innerText(), /2 ×|2 x|qty|order/i);
    await it.isAccessible('mail');
    assert.deepEqual(it.troubles, []);
});

test('a message that is hostile is nothing but text', async () => {
    const galley = await it.begin();
    const subject = `=?utf-8?B?${Buffer.from('Grüße <b>\u202egnp.exe').toString('base64')}?=`;
    const text = '<img src=x onerror="document.title=1"><script>document.title=2</script>\n>From Adam\n\u202eevil';
    await appendFile(path.join(galley.dataDir, 'mail/outbox.mbox'),
        `From eve@example.com Thu Jan  1 00:00:00 1970\nFrom: Eve <eve@example.com>\nSubject: ${subject}\n\n${text}\n\n`);
    await it.page.goto(`${galley.url}/_/mails`);
    await it.page.getByRole('link', { name: 'Grüße <b>⟨U+202E⟩gnp.exe' }).click();
    await it.page.locator('.mail-text').getByText('⟨U+202E⟩evil').waitFor();
    assert.match(await it.page.locator('.mail-text').innerText(), /<img src=x onerror.*\nFrom Adam/s);
    assert.equal(await it.page.locator('main img, main script').count(), 0);
    assert.equal(await it.page.title(), 'Message · Galley');

    for (const place of ['1', '99999', '-1', 'x'])
        assert.equal(await it.page.evaluate(async (at) => (await fetch(`/_/api/mails/${at}`)).status, place), 404);
    assert.deepEqual(it.troubles.filter((one) => !one.includes('404')), []);
});

test('messages of the former box are listed behind those of the present one', async () => {
    const galley = await it.begin();
    const box = (name, subject) => appendFile(path.join(galley.dataDir, `mail/${name}`),
        `From eve@example.com Thu Jan  1 00:00:00 1970\nFrom: Eve <eve@example.com>\nSubject: ${subject}\n\ntext of ${subject}\n\n`);
    await box('outbox.old.mbox', 'the first\n =?utf-8?B?YWxs?=');
    await box('outbox.mbox', 'the second');
    await it.page.goto(`${galley.url}/_/mails`);
    await eventually('both are there', async () => (await rows().count()) === 2);
    assert.match(await rows().first().innerText(), /the second/);
    await it.page.getByRole('link', { name: 'the first all' }).click();
    await it.page.locator('.mail-text').getByText('text of the first').waitFor();
    assert.deepEqual(it.troubles, []);
});
