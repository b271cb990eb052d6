// The admin pages in a real browser: from the link of the first start to the live numbers.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { makeCertificates } from '../lib/certificates.mjs';
import { eventually, startGalley } from '../lib/galley.mjs';
import { ADMIN, DESK, PHONE, browse, setupLink } from './pages.mjs';

const it = browse();

const tile = (label) => it.page.locator('.tile', { hasText: label }).locator('.value').innerText();

// Orders and look-ups until the returned function is called.
function traffic(galley, token) {
    let going = true;
    const client = async (n) => {
        for (let i = 0; going; i++) {
            const productId = 1 + ((n + 7 * i) % 50);
            if (i % 3 === 0)
                await galley.request('POST', '/place-order', { token, json: { productId, qty: 1 } });
            else await galley.request('GET', `/products/${productId}`, { token });
        }
    };
    const clients = Array.from({ length: 8 }, (_, n) => client(n));
    return async () => {
        going = false;
        await Promise.all(clients);
    };
}

// The number of a tile, with its k or M taken out.
function numberOf(text) {
    const [, digits, scale] = /^([\d.]+)([kM]?)/.exec(text) ?? [];
    return Number(digits) * { '': 1, k: 1e3, M: 1e6 }[scale ?? ''];
}

test('the link of the first start makes the administrator, once', async () => {
    const galley = await startGalley();
    it.watchHosts(galley);
    const link = setupLink(galley);
    await it.page.goto(`${galley.url}/_/`);
    await it.page.getByText('Open the link that it printed when it started to become its administrator').waitFor();
    await it.setUp(galley);
    await it.isLive();
    assert.equal(await it.page.locator('.user').innerText(), `${ADMIN.username}\nadministrator`);

    await it.context.clearCookies();
    await it.page.goto(link);
    await it.page.getByText('That set-up link has been used already.').waitFor();
    assert.match(it.page.url(), /\/_\/login/);
    assert.deepEqual(it.troubles, []);
});

test('the set-up refuses passwords that differ or are short', async () => {
    const galley = await startGalley();
    await it.page.goto(setupLink(galley));
    await it.fillIn({ ...ADMIN, repeated: 'steady as she went' });
    await it.page.getByRole('alert').getByText('differ').waitFor();
    await it.fillIn({ ...ADMIN, password: 'short', repeated: 'short' });
    assert.equal(await it.page.locator('input[name=password]:invalid').count(), 1);
    assert.match(it.page.url(), /\/_\/setup/);
    assert.deepEqual(it.troubles, []);
});

test('the dashboard shows live numbers of real traffic, in every size and theme', async () => {
    const galley = await startGalley({ config: { server: { workers: 1024 } } });
    it.watchHosts(galley);
    await it.setUp(galley);
    await it.isLive();

    const stop = traffic(galley, await galley.login());
    await eventually('requests show', async () => numberOf(await tile('Requests')) > 20);
    await eventually('the median shows', async () => /[µm]s/.test(await tile('Latency p99')));
    await eventually('cache hits show', async () => /%/.test(await tile('Cache hits')));
    await eventually('commits show', async () =>
        /[µm]s/.test(await it.page.locator('.card', { hasText: 'Commits' }).locator('b').first().innerText()));
    await eventually('workers show', async () =>
        !(await it.page.locator('.load-bar').getAttribute('aria-label')).startsWith('0 of'));
    assert.match(await it.page.locator('.load-bar').getAttribute('aria-label'), /of 1024/);
    assert.equal(await tile('Jobs dead'), '0');
    assert.equal(await tile('Error rate'), '0%');

    const samples = () => it.page.evaluate(() => document.querySelector('.spark path').getAttribute('d'));
    await eventually('the history grows', async () => (await samples()).split('L').length > 12);

    const first = await tile('Requests');
    await eventually('the strip changes', async () => (await tile('Requests')) !== first);

    for (const colorScheme of ['light', 'dark']) {
        await it.shoot('dashboard-desktop', DESK, colorScheme);
        await it.shoot('dashboard-phone', PHONE, colorScheme);
        const overflow = await it.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `the page is ${overflow} px wider than a phone`);
    }
    await stop();
    assert.deepEqual(it.troubles, []);
});

test('a certificate that ends soon is warned of', async () => {
    const { cert, key } = await makeCertificates([], { days: 5 });
    const galley = await startGalley({
        config: { 'listener web': { address: '127.0.0.1:0', tls_cert: cert, tls_key: key } },
    });
    it.watchHosts(galley);
    await it.setUp(galley);
    await it.page.getByText(/The certificate of localhost expires in [45] days\./).waitFor();
    assert.deepEqual(it.troubles, []);
});

test('the chosen theme stays', async () => {
    const galley = await startGalley();
    await it.setUp(galley);
    await it.isLive();
    const background = () => it.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await it.page.getByRole('button', { name: 'Switch to the dark theme' }).click();
    const dark = await background();
    assert.notEqual(light, dark);
    await it.page.reload();
    await it.isLive();
    assert.equal(await background(), dark);
    assert.deepEqual(it.troubles, []);
});

test('a series hides and a longer time shows by keyboard', async () => {
    const galley = await startGalley();
    await it.setUp(galley);
    await it.isLive();
    const p99 = it.page.locator('.card', { hasText: 'Latency' }).getByRole('button', { name: 'p99' });
    await p99.focus();
    await it.page.keyboard.press('Enter');
    assert.equal(await p99.getAttribute('aria-pressed'), 'false');
    await it.page.getByRole('radio', { name: '1 min' }).focus();
    await it.page.keyboard.press('ArrowRight');
    assert.ok(await it.page.getByRole('radio', { name: '10 min' }).isChecked());
    assert.deepEqual(it.troubles, []);
});

test('signing out ends the session, a wrong password does not begin one', async () => {
    const galley = await startGalley();
    await it.setUp(galley);
    await it.isLive();
    await it.page.getByRole('button', { name: 'Sign out' }).click();
    await it.page.waitForURL(`${galley.url}/_/login`);
    await it.page.goto(`${galley.url}/_/`);
    await it.page.waitForURL(`${galley.url}/_/login`);
    assert.deepEqual(it.troubles, []);

    await it.fillIn({ ...ADMIN, password: 'wrong password' });
    await it.page.getByRole('alert').getByText('The name or the password is wrong.').waitFor();
    await it.shoot('login', DESK, 'light');
    await it.fillIn(ADMIN);
    await it.page.waitForURL(`${galley.url}/_/`);
    await it.isLive();
});

test('a page whose server went away says so, and goes on after a restart', async () => {
    const galley = await startGalley();
    await it.setUp(galley);
    await it.isLive();
    const { port } = galley;
    await galley.stop();
    await it.page.getByRole('status').getByText('Reconnecting').waitFor();
    galley.args = ['--listen', `127.0.0.1:${port}`];
    await galley.start();
    await it.isLive(); // the session is still there
});

test('latency is drawn by decades, axes are named, idle tiles are dim', async () => {
    const galley = await it.begin({ config: { server: { workers: 1024 } } });
    await it.page.getByText('nothing asked').waitFor();
    await eventually('idle tiles are dim', () => it.page.evaluate(() =>
        document.querySelectorAll('.tile[data-idle=true]').length >= 4));
    const stop = traffic(galley, await galley.login());
    await eventually('orders show', async () => numberOf(await tile('Requests')) > 5);
    await it.page.getByText(/\d+ of 1024/).waitFor();
    assert.equal(await it.page.locator('.tile', { hasText: 'Requests' }).getAttribute('data-idle'), null);
    await it.isAccessible('overview-busy');
    await stop();
    const below = await it.page.evaluate(() =>
        Math.max(...[...document.querySelectorAll('.card h2')].map((one) => one.getBoundingClientRect().top)));
    assert.ok(below < 900, `a card begins at ${below}`);
    assert.deepEqual(it.troubles, []);
});

test('what fails turns the title and the icon red, and its own pages are counted apart', async () => {
    const galley = await it.begin();
    for (let i = 0; i < 20; i++) await galley.request('GET', '/healthz');
    assert.equal(await it.page.title(), 'Overview · Galley');
    assert.doesNotMatch(await it.page.getAttribute('link[rel=icon]', 'href'), /alarm/);
    await galley.stop();
    await it.page.waitForFunction(() => document.title === '⚠ No connection · Overview · Galley');
    assert.match(await it.page.getAttribute('link[rel=icon]', 'href'), /favicon-alarm/);
});

test('the history is kept over a restart, at falling resolution', async () => {
    const galley = await it.begin();
    const cookie = (await it.context.cookies()).map(({ name, value }) => `${name}=${value}`).join(';');
    const steps = async (headers) =>
        (await galley.request('GET', '/_/api/history?step=10s', { headers })).body.t?.length ?? 0;
    await eventually('ten seconds have passed', async () => (await steps({ cookie })) > 0);
    const { port } = galley;
    await galley.stop();
    galley.args = ['--listen', `127.0.0.1:${port}`];
    await galley.start();
    await it.isLive();
    assert.ok((await steps({ cookie })) > 0);
    await it.page.getByText('1 h', { exact: true }).click();
    await it.page.locator('.card', { hasText: 'Requests' }).locator('canvas').waitFor();
});

test('a page at / leads on where it is wanted, and is a plain 404 elsewhere', async () => {
    const galley = await startGalley({ config: { server: { landing: 'yes' } } });
    await it.page.goto(`${galley.url}/`);
    await it.isAccessible('landing');
    await it.page.getByRole('link', { name: 'Administration' }).click();
    await it.page.waitForURL(`${galley.url}/_/login`);
    await galley.configure({ server: { landing: 'no' } });
    await galley.reload();
    assert.equal((await galley.request('GET', '/')).status, 404);
    assert.deepEqual(it.troubles, []);
});
