// Every page of the list, in both themes, at a desk and on a phone, on a server with something to show: pictures are in
// build/screenshots/all-*.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';

import { eventually } from '../lib/galley.mjs';
import { startSmtp } from '../lib/smtp_server.mjs';
import { browse } from './pages.mjs';

const it = browse();
const LONG = 'a-name-that-is-as-long-as-names-may-be-and-has-no-place-to-break';

// The paths of admin-ui/js/pages/list.js that stand alone.
async function paths() {
    const list = await readFile(new URL('../../admin-ui/js/pages/list.js', import.meta.url), 'utf8');
    const found = [...list.matchAll(/\bpath: '([^']+)'/g)].map(([, path]) => path);
    assert.ok(found.length >= 6);
    return [...found, '/_/users/administrators', '/_/jobs?state=completed'];
}

// Runs in the page, as the administrator.
const act = (target, body) => it.page.evaluate(async ([path, json]) => {
    const { csrf } = await (await fetch('/_/api/session')).json();
    const headers = { 'X-CSRF-Token': csrf, 'Content-Type': 'application/json' };
    return (await fetch(`/_/api/${path}`, { method: 'POST', headers, body: JSON.stringify(json) })).status;
}, [target, body]);

async function fill(galley) {
    const token = await galley.login();
    for (const username of ['Jörg', LONG])
        assert.equal(await act('users/add', { username, password: 'a long secret', name: 'Jörg Müller-Lüdenscheidt',
            email: 'joerg@example.com', roles: ['customer', 'taster'] }), 201);
    await act('users/disable', { username: 'Jörg' });
    await act('administrators/add', { username: 'the-viewer', password: 'a long secret', role: 'viewer' });
    for (let i = 0; i < 12; i++) await galley.request('POST', '/place-order', { token, json: { productId: 5 + i, qty: 1 } });
    for (const target of ['/nowhere', `/products/${'9'.repeat(80)}`, '/orders']) await galley.request('GET', target);
    await galley.request('POST', '/place-order', { token, json: { productId: 5, qty: -1 } });
}

test('every page can be read, in both themes, at a desk and on a phone', async () => {
    const galley = await it.begin();
    await fill(galley);
    await galley.mails();
    for (const path of await paths()) {
        await it.page.goto(galley.url + path);
        await it.page.locator('main h1').waitFor();
        if (path === '/_/logs') await it.page.getByText('POST /place-order').first().waitFor();
        await it.isAccessible(`all-${path.replace('/_/', '').replace(/[/?=]+/g, '-') || 'overview'}`);
    }
    assert.deepEqual(it.troubles.filter((one) => !one.includes('404')), []);
});

test('an alarm and a dead job can be read likewise', async () => {
    const server = await startSmtp();
    server.answers.RCPT = () => `550 5.1.1 ${'there is nobody of this name here '.repeat(4)}`;
    const galley = await it.begin({ config: { mail: { smtp: `smtp://127.0.0.1:${server.port}`, tls: 'no', from: 'shop@example.org' } } });
    const token = await galley.login();
    await galley.request('POST', '/place-order', { token, json: { productId: 5, qty: 1 } });
    const dead = 'galley_queue_jobs{queue="mail",state="dead"}';
    await eventually('it is dead', async () => (await galley.metric(dead)) === 1);
    await server.stop();
    await galley.request('POST', '/place-order', { token, json: { productId: 5, qty: 1 } });
    await eventually('the alarm', async () => (await galley.request('GET', '/readyz')).body.alarms);
    await it.page.goto(`${galley.url}/_/`);
    await it.page.getByText('the mail server').first().waitFor();
    await it.isAccessible('all-overview-alarm');
    await it.page.goto(`${galley.url}/_/jobs?state=dead`);
    const job = await it.page.evaluate(async () =>
        (await (await fetch('/_/api/jobs?queue=mail&state=dead')).json()).data[0].id);
    await it.page.goto(`${galley.url}/_/jobs/${job}`);
    await it.page.getByText('550 5.1.1').first().waitFor();
    await it.isAccessible('all-job-dead');
    assert.deepEqual(it.troubles, []);
});
