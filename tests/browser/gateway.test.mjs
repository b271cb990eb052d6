// The page Gateway: upstreams and their servers.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually, freePort } from '../lib/galley.mjs';
import { passingOn, startUpstream } from '../lib/upstream.mjs';
import { browse } from './pages.mjs';

const it = browse();

const table = () => it.page.getByRole('table', { name: 'Servers of up', exact: true });
const rowOf = (text) => table().locator('tbody tr', { hasText: text });
const shows = (text, pattern) =>
    eventually(`${text}: ${pattern}`, async () => pattern.test(await rowOf(text).innerText()));

test('servers show their state and figures, are drained, weighed and used again', async () => {
    const a = await startUpstream((request, response) => response.end('a'));
    const dead = `127.0.0.1:${await freePort()}`;
    const galley = await it.begin(passingOn([`${a.address} zone=here`, dead], { check: 'tcp', check_interval: '100ms' }), '/_/gateway');
    for (let i = 0; i < 5; i++) assert.equal((await galley.request('GET', '/up/x')).body, 'a');
    await shows(a.address, /zone here[^]*up[^]*connected/);
    await shows(dead, /down[^]*no connection/);
    await it.page.getByText('breaker closed').waitFor();
    await it.isAccessible('gateway');

    await rowOf(a.address).getByRole('button', { name: 'Drain' }).click();
    await it.page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
    await shows(a.address, /drained/);
    await rowOf(a.address).getByRole('button', { name: `Use ${a.address} again` }).click();
    await shows(a.address, /starting|up/);

    await rowOf(a.address).getByRole('button', { name: `Weight of ${a.address}` }).click();
    await it.page.getByLabel('Weight', { exact: true }).fill('5');
    await it.page.getByRole('dialog').getByRole('button', { name: 'Set' }).click();
    await shows(a.address, /5 \(configured: 1\)/);
    assert.deepEqual(it.troubles, []);
});

test('without an upstream the page says how to have one', async () => {
    await it.begin({}, '/_/gateway');
    await it.page.getByText('No upstream is configured').waitFor();
    assert.deepEqual(it.troubles, []);
});
