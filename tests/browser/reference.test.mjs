// The page API: every operation that is served, and a request of each that can be sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { browse } from './pages.mjs';

const it = browse();
const WIDE = { width: 1280, height: 900 }, NARROW = { width: 400, height: 900 };

const operation = (method, path) => it.page.locator('details.operation').filter({ has: it.page.getByText(path, { exact: true }) })
    .filter({ has: it.page.getByText(method, { exact: true }) });
const opened = async (method, path) => {
    const one = operation(method, path);
    await one.locator('summary').first().click();
    return one;
};

test('operations are listed, found and tried', async () => {
    const galley = await it.begin({
        config: { 'collection notes': { list: 'public', read: 'public', create: 'user' } },
    }, '/_/reference');
    await operation('POST', '/place-order').waitFor();
    await operation('POST', '/api/v1/collections/notes').waitFor();

    const product = await opened('GET', '/products/{id}');
    await product.getByLabel('id', { exact: true }).fill('17');
    await product.getByRole('button', { name: 'Send' }).click();
    await product.getByRole('status').getByText('401', { exact: true }).waitFor(); // the administrator's own session is nobody here
    await product.getByLabel('Token').fill(await galley.login());
    await product.getByRole('button', { name: 'Send' }).click();
    await product.getByLabel('Answer').getByText('"id": 17').waitFor();
    await product.getByText('The same with curl').click();
    const command = await product.getByText(`curl -X GET '${galley.url}/products/17'`).innerText();
    assert.match(command, /-H "Authorization: Bearer \$TOKEN"$/);

    const order = await opened('POST', '/place-order');
    assert.deepEqual(JSON.parse(await order.getByLabel('Body, application/json').inputValue()), { productId: 1, qty: 1 });
    await order.getByLabel('Body, application/json').fill('{"productId":17,"qty":0}');
    await order.getByRole('button', { name: 'Send' }).click();
    await order.getByLabel('Answer').getByText('"pointer": "/qty"').waitFor();
    await it.shoot('reference-open-wide', WIDE, 'light');
    await it.shoot('reference-open-narrow', NARROW, 'dark');
    await it.isAccessible('reference-open');

    await it.page.getByRole('searchbox').fill('notes');
    await operation('POST', '/place-order').waitFor({ state: 'detached' });
    assert.ok((await it.page.locator('details.operation').count()) >= 6);
    assert.deepEqual(it.troubles.filter((text) => !/40[0-9]|422/.test(text)), []);
});

test('a description that is switched off is said to be so', async () => {
    await it.begin({ config: { server: { openapi: 'off' } } }, '/_/reference');
    await it.page.getByText('[server] openapi = off').waitFor();
});
