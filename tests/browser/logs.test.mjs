// The page Logs: the last lines, those to come, and what they say about one request.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '../lib/galley.mjs';
import { browse } from './pages.mjs';

const it = browse();

const lines = () => it.page.locator('ol.log li');

test('lines come as they are logged, and one request is found by its id', async () => {
    const galley = await it.begin({}, '/_/logs');
    await it.page.locator('ol.log').getByText('started on').waitFor();
    const token = await galley.login();
    const refused = await galley.request('POST', '/place-order', { token, json: { productId: 1, qty: 10_000 } });
    await galley.request('GET', '/products/3', { token });
    const line = lines().filter({ hasText: 'POST /place-order' });
    await line.waitFor();
    assert.match(await line.innerText(), new RegExp(`${refused.status}.*ms|µs.*user`, 's'));
    await it.isAccessible('logs');

    await line.getByRole('link', { name: refused.headers['x-request-id'] }).click();
    await it.page.waitForURL(`**q=${refused.headers['x-request-id']}`);
    await eventually('only that one', async () => (await lines().count()) === 1);
    assert.equal(await it.page.getByRole('searchbox').inputValue(), refused.headers['x-request-id']);
    assert.deepEqual(it.troubles, []);
});

test('a filter leaves lines out, a pause holds them back', async () => {
    const galley = await it.begin({}, '/_/logs?q=nothing+like+this');
    await it.page.getByText('No line holds “nothing like this”.').waitFor();
    await it.isAccessible('logs-empty');
    await it.page.getByRole('searchbox').fill('/products/4');
    await it.page.waitForURL('**q=%2Fproducts%2F4');
    await it.page.getByRole('status').getByText('Live').waitFor();
    const token = await galley.login();
    await galley.request('GET', '/products/5', { token });
    await galley.request('GET', '/products/4', { token });
    await eventually('the wanted one', async () => (await lines().count()) === 1);
    await it.page.getByRole('button', { name: 'Pause' }).click();
    await galley.request('GET', '/products/4', { token });
    await it.page.getByText('Paused').waitFor();
    assert.equal(await lines().count(), 1);
    await it.page.getByRole('button', { name: 'Go on' }).click();
    await eventually('the other one', async () => (await lines().count()) === 2);
    assert.deepEqual(it.troubles, []);
});
