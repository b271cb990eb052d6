// The page Cache: what is in memory, what it does for routes, what is stored under a URL, and purging.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '../lib/galley.mjs';
import { browse } from './pages.mjs';

const it = browse();

const rowOf = (text) => it.page.getByRole('table', { name: 'Routes', exact: true }).locator('tbody tr', { hasText: text });

test('a stored answer is counted, found under its URL, and purged', async () => {
    const config = { 'route shop': { cache: 'yes' }, 'route page': { path: '/page', target: 'respond:301', respond_location: '/', cache: 'yes', cache_ttl: '1h' } };
    const galley = await it.begin({ config }, '/_/cache');
    await it.page.getByText('None has been asked for.').waitFor();
    for (let i = 0; i < 4; i++) await galley.request('GET', '/page');
    await eventually('the route shows', async () => (await rowOf('GET /page').count()) === 1);
    await it.page.getByLabel('The URL').fill(`${galley.url}/page`);
    await it.page.getByRole('button', { name: 'Look' }).click();
    await it.page.getByText('Fresh for').waitFor();
    await it.isAccessible('cache');
    await it.page.getByRole('button', { name: 'Purge' }).click();
    await it.page.getByRole('dialog').getByRole('button', { name: 'Purge' }).click();
    await it.page.getByText('Nothing is stored under this URL.').waitFor();
    assert.deepEqual(it.troubles.filter((one) => !one.includes('404')), []);
});
