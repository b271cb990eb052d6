// The page Routes: where requests go, which of them fail or take long.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '../lib/galley.mjs';
import { browse } from './pages.mjs';

const it = browse();

const table = (name) => it.page.getByRole('table', { name, exact: true });
const rowOf = (name, text) => table(name).locator('tbody tr', { hasText: text });

test('each route shows its rate, codes and percentiles; errors show their request id', async () => {
    const galley = await it.begin({}, '/_/routes');
    const token = await galley.login();
    for (let i = 0; i < 30; i++) await galley.request('GET', '/products/17', { token });
    const refused = await galley.request('POST', '/place-order', { token, json: { productId: 1, qty: -1 } });
    assert.equal(refused.status, 422);
    await galley.request('GET', '/nothing/here');

    await eventually('the products show', async () => (await rowOf('Routes', 'GET /products/{id}').count()) === 1);
    await eventually('their answers are counted', async () =>
        /200 × 30/.test(await rowOf('Routes', 'GET /products/{id}').innerText()));
    assert.match(await rowOf('Routes', 'GET /products/{id}').innerText(), /\d+\/s.*[µm]s.*[µm]s.*0 %/s);
    assert.match(await rowOf('Routes', 'no route').innerText(), /404 × 1/);
    assert.equal(await rowOf('Routes', '/_/*').count(), 0);
    await it.page.getByLabel("the server's own pages too").check();
    await rowOf('Routes', 'GET /_/*').waitFor();

    const error = rowOf('Last errors', 'POST /place-order');
    assert.match(await error.innerText(), /422/);
    await error.getByRole('link', { name: refused.headers['x-request-id'] }).waitFor();
    assert.ok((await table('Slowest in the last hour').locator('tbody tr').count()) > 5);
    await it.isAccessible('routes');

    const head = table('Routes').getByRole('columnheader', { name: 'p99' });
    await head.getByRole('button').click();
    assert.equal(await head.getAttribute('aria-sort'), 'descending');
    assert.deepEqual(it.troubles, []);
});
