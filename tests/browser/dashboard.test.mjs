// The admin pages in a real browser: from the link of the first start to the live numbers.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, beforeEach, afterEach, test } from 'node:test';

import { makeCertificates } from '../lib/certificates.mjs';
import { eventually, startGalley } from '../lib/galley.mjs';

// Libraries of tests lie below build/, where `make` has put them.
const require = createRequire(path.resolve('build/tests/browser/package.json'));
const { chromium } = require('playwright-core');

const SCREENSHOTS = path.resolve('build/screenshots');
const ADMIN = { username: 'captain', password: 'steady as she goes' };
const FLAGS = [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

let browser;
let context;
let page;
let troubles; // what the browser complained about, and requests that left the server

before(async () => {
    await mkdir(SCREENSHOTS, { recursive: true });
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
});
after(() => browser?.close());

beforeEach(async () => {
    context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    page = await context.newPage();
    troubles = [];
    page.on('pageerror', (error) => troubles.push(error.message));
    page.on('console', (message) => message.type() === 'error' && troubles.push(message.text()));
});
afterEach(() => context.close());

function watchHosts(galley) {
    context.on('request', (request) => {
        if (!request.url().startsWith(galley.url) && !request.url().startsWith('data:'))
            troubles.push(`a request to ${request.url()}`);
        if (/\/_\/assets\/(?![0-9a-f]{16}\/)/.test(request.url()))
            troubles.push(`a file that browsers may not keep: ${request.url()}`);
    });
}

const setupLink = (galley) => /http:\S+\/_\/setup\?token=\S+/.exec(galley.stdout)[0];

async function fillIn(values) {
    for (const [name, value] of Object.entries(values)) await page.fill(`input[name=${name}]`, value);
    await page.click('button.submit');
}

async function setUp(galley) {
    await page.goto(setupLink(galley));
    await fillIn({ ...ADMIN, repeated: ADMIN.password });
    await page.waitForURL(`${galley.url}/_/`);
}

const isLive = () => page.getByRole('status').getByText('Ready').waitFor();
const tile = (label) => page.locator('.tile', { hasText: label }).locator('.value').innerText();

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

async function shoot(name, size, colorScheme) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme });
    await page.waitForFunction((dark) => matchMedia('(prefers-color-scheme: dark)').matches === dark,
        colorScheme === 'dark');
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
    await page.screenshot({ path: `${SCREENSHOTS}/${name}-${colorScheme}.png`, fullPage: true });
}

test('the link of the first start makes the administrator, once', async () => {
    const galley = await startGalley();
    watchHosts(galley);
    const link = setupLink(galley);
    await setUp(galley);
    await isLive();
    assert.equal(await page.locator('.user').innerText(), ADMIN.username);

    await context.clearCookies();
    await page.goto(link);
    await page.getByText('That set-up link has been used already.').waitFor();
    assert.match(page.url(), /\/_\/login/);
    assert.deepEqual(troubles, []);
});

test('the set-up refuses passwords that differ or are short', async () => {
    const galley = await startGalley();
    await page.goto(setupLink(galley));
    await fillIn({ ...ADMIN, repeated: 'steady as she went' });
    await page.getByRole('alert').getByText('differ').waitFor();
    await fillIn({ ...ADMIN, password: 'short', repeated: 'short' });
    assert.equal(await page.locator('input[name=password]:invalid').count(), 1);
    assert.match(page.url(), /\/_\/setup/);
    assert.deepEqual(troubles, []);
});

test('the dashboard shows live numbers of real traffic, in every size and theme', async () => {
    const galley = await startGalley({ config: { server: { workers: 1024 } } });
    watchHosts(galley);
    await setUp(galley);
    await isLive();

    const stop = traffic(galley, await galley.login());
    await eventually('requests show', async () => numberOf(await tile('Requests')) > 20);
    await eventually('the median shows', async () => /[µm]s/.test(await tile('Latency p99')));
    await eventually('cache hits show', async () => /%/.test(await tile('Cache hits')));
    await eventually('commits show', async () =>
        /[µm]s/.test(await page.locator('.card', { hasText: 'Commits' }).locator('b').first().innerText()));
    await eventually('workers show', async () =>
        !(await page.locator('canvas.cells').getAttribute('aria-label')).startsWith('0 of'));
    assert.match(await page.locator('canvas.cells').getAttribute('aria-label'), /of 1024/);
    assert.equal(await tile('Jobs dead'), '0');
    assert.equal(await tile('Error rate'), '0%');

    const samples = () => page.evaluate(() => document.querySelector('.spark path').getAttribute('d'));
    await eventually('the history grows', async () => (await samples()).split('L').length > 12);

    const first = await tile('Requests');
    await eventually('the strip changes', async () => (await tile('Requests')) !== first);

    for (const colorScheme of ['light', 'dark']) {
        await shoot('dashboard-desktop', { width: 1440, height: 900 }, colorScheme);
        await shoot('dashboard-phone', { width: 390, height: 844 }, colorScheme);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `the page is ${overflow} px wider than a phone`);
    }
    await stop();
    assert.deepEqual(troubles, []);
});

test('a certificate that ends soon is warned of', async () => {
    const { cert, key } = await makeCertificates([], { days: 5 });
    const galley = await startGalley({
        config: { 'listener web': { address: '127.0.0.1:0', tls_cert: cert, tls_key: key } },
    });
    watchHosts(galley);
    await setUp(galley);
    await page.getByText(/The certificate of localhost expires in [45] days\./).waitFor();
    assert.deepEqual(troubles, []);
});

test('the configuration is reloaded from the page, which shows what changed or what is wrong', async () => {
    const galley = await startGalley();
    await setUp(galley);
    await isLive();
    const dialog = page.getByRole('dialog', { name: 'Reload the configuration' });
    const reload = (name) => dialog.getByRole('button', { name, exact: true }).click();
    await page.getByRole('button', { name: 'Reload the configuration' }).click();
    await reload('Reload');
    await dialog.getByText('The file says what it said before.').waitFor();

    await galley.configure({ server: { workers: 65 }, log: { level: 'debug' } });
    await reload('Again');
    await dialog.getByText('[log] level').waitFor();
    assert.match(await dialog.innerText(), /Taken over\s+\[log\] level\s+info → debug\s+Takes a restart\s+\[server\] workers\s+64 → 65/);
    await shoot('reload', { width: 1440, height: 900 }, 'light');

    await galley.configure('[server]\nworker = 8\n');
    await reload('Again');
    await dialog.getByText('nothing has changed').waitFor();
    await dialog.getByText('config.ini:2: [server] worker: unknown key; did you mean workers?').waitFor();
    await shoot('reload-refused', { width: 390, height: 844 }, 'dark');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    assert.deepEqual(troubles.filter((text) => !text.includes('422')), []);
});

test('the chosen theme stays', async () => {
    const galley = await startGalley();
    await setUp(galley);
    await isLive();
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.getByRole('button', { name: 'Switch to the dark theme' }).click();
    const dark = await background();
    assert.notEqual(light, dark);
    await page.reload();
    await isLive();
    assert.equal(await background(), dark);
    assert.deepEqual(troubles, []);
});

test('a series hides and a longer time shows by keyboard', async () => {
    const galley = await startGalley();
    await setUp(galley);
    await isLive();
    const p99 = page.locator('.card', { hasText: 'Latency' }).getByRole('button', { name: 'p99' });
    await p99.focus();
    await page.keyboard.press('Enter');
    assert.equal(await p99.getAttribute('aria-pressed'), 'false');
    await page.getByRole('radio', { name: '1 min' }).focus();
    await page.keyboard.press('ArrowRight');
    assert.ok(await page.getByRole('radio', { name: '5 min' }).isChecked());
    assert.deepEqual(troubles, []);
});

test('signing out ends the session, a wrong password does not begin one', async () => {
    const galley = await startGalley();
    await setUp(galley);
    await isLive();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.waitForURL(`${galley.url}/_/login`);
    await page.goto(`${galley.url}/_/`);
    await page.waitForURL(`${galley.url}/_/login`);
    assert.deepEqual(troubles, []);

    await fillIn({ ...ADMIN, password: 'wrong password' });
    await page.getByRole('alert').getByText('The name or the password is wrong.').waitFor();
    await shoot('login', { width: 1440, height: 900 }, 'light');
    await fillIn(ADMIN);
    await page.waitForURL(`${galley.url}/_/`);
    await isLive();
});

test('a page whose server went away says so, and returns to the login after a restart', async () => {
    const galley = await startGalley();
    await setUp(galley);
    await isLive();
    const { port } = galley;
    await galley.stop();
    await page.getByRole('status').getByText('Reconnecting').waitFor();
    galley.args = ['--listen', `127.0.0.1:${port}`];
    await galley.start();
    await page.waitForURL(`${galley.url}/_/login`);
});
