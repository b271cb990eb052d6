// What all pages share: navigation, addresses, roles of what is read aloud, the way in and back.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startGalley } from '../lib/galley.mjs';
import { inject } from '../lib/strace.mjs';
import { ADMIN, DESK, browse } from './pages.mjs';

const it = browse();

test('the set-up and the login are accessible in every size and theme', async () => {
    const galley = await startGalley();
    it.watchHosts(galley);
    await it.page.goto(/http:\S+setup\?token=\S+/.exec(galley.stdout)[0]);
    await it.page.getByRole('heading', { name: 'Welcome aboard' }).waitFor();
    await it.isAccessible('setup');
    await it.page.goto(`${galley.url}/_/login`);
    await it.page.getByText('Nobody has set up this server yet').waitFor();
    await it.isAccessible('login');
    assert.deepEqual(it.troubles, []);
});

test('the overview is accessible in every size and theme', async () => {
    await it.begin();
    await it.isAccessible('overview-idle');
    assert.deepEqual(it.troubles, []);
});

test('on a phone the menu opens by keyboard and leads on', async () => {
    await it.begin();
    await it.page.setViewportSize({ width: 390, height: 844 });
    const menu = it.page.getByRole('button', { name: 'Menu' });
    assert.equal(await it.page.getByRole('navigation', { name: 'Pages' }).isVisible(), false);
    await menu.focus();
    await it.page.keyboard.press('Enter');
    assert.equal(await menu.getAttribute('aria-expanded'), 'true');
    await it.page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Overview' }).waitFor();
    await it.shoot('menu', { width: 390, height: 844 }, 'light');
});

test('who signs in comes to the view that was asked for', async () => {
    const galley = await it.begin();
    await it.context.clearCookies();
    await it.page.goto(`${galley.url}/_/jobs`);
    await it.page.waitForURL(`${galley.url}/_/login?to=/_/jobs`);
    await it.fillIn(ADMIN);
    await it.page.getByRole('heading', { name: 'Jobs' }).waitFor();
    await it.page.goto(`${galley.url}/_/login?to=//elsewhere.example/_/a`);
    await it.page.waitForURL(`${galley.url}/_/`);
    assert.deepEqual(it.troubles, []);
});

test('a view that fails says so and leaves the others alone', async () => {
    const galley = await it.begin();
    await it.context.route('**/_/api/queues', (route) => route.fulfill({ json: { data: [{ name: 'broken' }] } }));
    await it.page.getByRole('link', { name: 'Jobs' }).click();
    await it.page.getByRole('heading', { name: 'This view failed' }).waitFor();
    await it.shoot('view-failed', DESK, 'light');
    await it.page.getByRole('link', { name: 'Overview' }).click();
    await it.page.getByRole('heading', { name: 'Latency' }).waitFor();
    assert.equal(await galley.request('GET', '/_/nowhere').then(({ status }) => status), 404);
});

test('a store that has turned read-only is said on every page, in red', async () => {
    const galley = await it.begin({ config: { server: { workers: 8 } } }, '/_/jobs');
    const token = await galley.login();
    const mend = await inject(galley, 'fdatasync', 'error=EIO');
    const order = await galley.request('POST', '/place-order', { token, json: { productId: 1, qty: 1 } });
    await mend();
    assert.equal(order.status, 503);
    await it.page.getByRole('alert').getByText('The store is read-only until a restart.').waitFor();
    await it.page.getByRole('status').getByText('Read-only').waitFor();
    await it.page.waitForFunction(() => document.title === '⚠ The store is read-only until a restart · Jobs · Galley');
    assert.match(await it.page.getAttribute('link[rel=icon]', 'href'), /favicon-alarm/);
    await it.isAccessible('read-only');
});
