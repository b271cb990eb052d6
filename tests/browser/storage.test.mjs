// The page Storage: the file, and what the last check of everything stored has found.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';

import { startGalley } from '../lib/galley.mjs';
import { ADMIN, browse } from './pages.mjs';

const it = browse();

const checkNow = () => it.page.getByRole('button', { name: 'Check now' }).click();
const verdict = (label) => it.page.locator('main .pill').getByText(label).waitFor();

test('a check that is asked for reads everything and says that it is whole', async () => {
    await it.begin({}, '/_/storage');
    await verdict('Not checked since the start');
    await it.page.getByText('none since the start').waitFor();
    await checkNow();
    await verdict(/^\d[\d,]* entries, all whole$/);
    assert.match(await it.page.locator('main').innerText(), /File\s+[\d.]+ [KM]iB\s+May grow to\s+[\d.]+ [GT]iB/);
    assert.match(await it.page.locator('main').innerText(), /in use, .* free for new data/);
    await it.isAccessible('storage');
    assert.deepEqual(it.troubles, []);
});

test('what is damaged is named, with what depends on it', async () => {
    const galley = await startGalley();
    await it.setUp(galley);
    await galley.stop();
    const file = path.join(galley.dataDir, 'data.mdb');
    const bytes = await readFile(file);
    for (let at = 0; (at = bytes.indexOf('"id":"0000000017"', at)) >= 0; at++) bytes[at + 1] ^= 1;
    await writeFile(file, bytes);
    await galley.start();
    await it.page.goto(`${galley.url}/_/login?to=/_/storage`);
    await it.fillIn(ADMIN);
    await checkNow();
    await verdict('1 damaged');
    await it.page.locator('.findings').getByText(/^a document of products, .*0000000017: its checksum is wrong/).waitFor();
    await it.isAccessible('storage-damaged');
    assert.deepEqual(it.troubles.filter((one) => !/Failed to load resource|ERR_/.test(one)), []);
});
