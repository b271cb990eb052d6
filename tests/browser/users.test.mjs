// The page Users, and what each role sees.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '../lib/galley.mjs';
import { browse } from './pages.mjs';

const it = browse();

const row = (name) => it.page.locator('tbody tr').filter({ has: it.page.locator('b', { hasText: new RegExp(`^${name}$`) }) });
const dialog = (name) => it.page.getByRole('dialog', { name });

async function addViewer(role) {
    await it.page.getByRole('link', { name: 'Who sees these pages' }).click();
    await it.page.getByRole('button', { name: 'Add one' }).click();
    const form = dialog('Add one who sees these pages');
    await form.getByLabel('Name').fill(`the-${role}`);
    await form.getByLabel('New password').fill('long enough for that');
    await form.getByLabel('Role').selectOption(role);
    await form.getByRole('button', { name: 'Add', exact: true }).click();
    await row(`the-${role}`).waitFor();
}

async function signInAs(galley, name) {
    await it.page.getByRole('button', { name: 'Sign out' }).click();
    await it.page.waitForURL(`${galley.url}/_/login`);
    await it.fillIn({ username: name, password: 'long enough for that' });
    await it.isLive();
}

test('a user is added, disabled and enabled, gets roles, and is removed', async () => {
    const galley = await it.begin({}, '/_/users');
    await row('alice').waitFor();
    await it.page.getByRole('button', { name: 'Add a user' }).click();
    const form = dialog('Add a user');
    await form.getByLabel('Name to sign in with').fill('Jörg');
    await form.getByLabel('New password').fill('short');
    await form.getByRole('button', { name: 'Add', exact: true }).click();
    assert.equal(await form.locator('input:invalid').count(), 1);
    await form.getByLabel('New password').fill('a long secret');
    await it.isAccessible('user-add');
    await form.getByRole('button', { name: 'Add', exact: true }).click();
    await it.page.getByText('Jörg is a user.').waitFor();
    await row('Jörg').waitFor();
    await it.isAccessible('users');

    const token = await galley.login('Jörg', 'a long secret');
    assert.equal((await galley.request('GET', '/users/me', { token })).status, 200);
    await it.page.getByRole('button', { name: 'Disable Jörg' }).click();
    await dialog('Disable Jörg?').getByRole('button', { name: 'Disable' }).click();
    await row('Jörg').getByText('disabled').waitFor();
    await eventually('the token has stopped', async () =>
        (await galley.request('GET', '/users/me', { token })).status === 401);
    await it.page.getByRole('button', { name: 'Enable Jörg' }).click();
    await row('Jörg').getByText('active').waitFor();

    await it.page.getByRole('button', { name: 'Roles of Jörg' }).click();
    await dialog('Roles of Jörg').getByLabel('Roles').fill('customer, taster');
    await dialog('Roles of Jörg').getByRole('button', { name: 'Set' }).click();
    await row('Jörg').getByText('customer, taster').waitFor();

    await it.page.getByRole('button', { name: 'Add a user' }).click();
    await form.getByLabel('Name to sign in with').fill('Jörg');
    await form.getByLabel('New password').fill('a long secret');
    await form.getByRole('button', { name: 'Add', exact: true }).click();
    await form.getByRole('alert').getByText(/already|exists|taken/i).waitFor();
    await it.shoot('user-exists', { width: 390, height: 844 }, 'dark');
    await form.getByRole('button', { name: 'Cancel' }).click();

    await it.page.getByRole('button', { name: 'Remove Jörg' }).click();
    await dialog('Remove Jörg?').getByRole('button', { name: 'Remove' }).click();
    await eventually('he is gone', async () => (await row('Jörg').count()) === 0);
    await it.page.getByRole('searchbox').fill('nobody');
    await it.page.getByText('Nobody\'s name begins with “nobody”.').waitFor();
    assert.deepEqual(it.troubles.filter((one) => !one.includes('409')), []);
});

test('a viewer looks, an operator acts, and only an administrator decides who is who', async () => {
    const galley = await it.begin({}, '/_/users');
    await addViewer('viewer');
    await it.isAccessible('administrators');
    await addViewer('operator');

    await signInAs(galley, 'the-viewer');
    await it.page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Users' }).click();
    await row('alice').waitFor();
    assert.equal(await row('alice').getByRole('button').count(), 0);
    assert.equal(await it.page.getByRole('button', { name: 'Add a user' }).count(), 0);
    await it.page.getByRole('link', { name: 'Configuration' }).click();
    await it.page.getByText('Read from').waitFor();
    assert.equal(await it.page.getByRole('button', { name: 'Reload the configuration' }).count(), 0);
    const refused = await it.page.evaluate(async () => {
        const { csrf } = await (await fetch('/_/api/session')).json();
        const headers = { 'X-CSRF-Token': csrf, 'Content-Type': 'application/json' };
        return (await fetch('/_/api/reload', { method: 'POST', headers, body: '{}' })).status;
    });
    assert.equal(refused, 403);

    await signInAs(galley, 'the-operator');
    await it.page.goto(`${galley.url}/_/users`);
    await row('alice').waitFor();
    assert.deepEqual(await row('alice').getByRole('button').allInnerTexts(), ['Disable']);
    assert.deepEqual(it.troubles.filter((one) => !one.includes('403')), []);
});
