// What all pages share: navigation, addresses, roles of what is read aloud, the way in and back.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startGalley } from '../lib/galley.mjs';
import { ADMIN, browse } from './pages.mjs';

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
