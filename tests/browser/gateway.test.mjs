// The page Gateway: upstreams and their servers, routes, and what a request would take.
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

test('a request that is tried shows its route, its stages and what was passed over', async () => {
    const config = {
        'route orders': { path: '/orders/*', target: 'app:shop', rate_limit: '100/min by user' },
        'route beta': { path: '/orders/{id}', method: 'GET', header: 'X-Beta: yes', target: 'respond:503', roles: 'staff' },
    };
    await it.begin({ config }, '/_/gateway');
    const routes = it.page.getByRole('table', { name: 'Routes', exact: true });
    await routes.getByText('respond:503').first().waitFor();
    assert.match(await routes.locator('tbody tr', { hasText: 'respond:503' }).innerText(), /\/orders\/[^]*header X-Beta: yes[^]*\[route beta\] line \d+/);

    await it.page.getByLabel('URL').fill('/orders/7');
    await it.page.getByLabel('Headers').fill('X-Beta: yes\nAccept: text/html');
    await it.page.getByRole('button', { name: 'Try' }).click();
    const way = it.page.getByRole('region', { name: 'Its way' });
    await way.getByText('[route beta]').waitFor();
    const words = await way.innerText();
    assert.match(words, /auth[^]*the role staff[^]*target[^]*respond:503/);
    await it.page.getByRole('table', { name: 'Passed over' }).getByText('it fits, but the other is more particular').first().waitFor();
    await it.isAccessible('gateway-try');

    await it.page.getByLabel('URL').fill('/nothing/here');
    await it.page.getByRole('button', { name: 'Try' }).click();
    await way.getByText('takes no route').waitFor();
    await it.page.getByLabel('URL').fill('/a%2fb');
    await it.page.getByRole('button', { name: 'Try' }).click();
    await it.page.getByText('not a path that is served').waitFor();
    assert.deepEqual(it.troubles.filter((one) => !one.includes('422')), []);
});
