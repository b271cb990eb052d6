// What the browser tests share: one Chromium for a file, a fresh context for each test, and what the
// browser complained about.
//   const it = browse();
//   test('...', async () => { const galley = await it.begin(); await it.page.getByText('Ready').waitFor(); });
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, afterEach, before, beforeEach } from 'node:test';

import { startGalley } from '../lib/galley.mjs';

// Libraries of tests lie below build/, where `make` has put them.
const require = createRequire(path.resolve('build/tests/browser/package.json'));
const { chromium } = require('playwright-core');

const SCREENSHOTS = path.resolve('build/screenshots');
export const ADMIN = { username: 'captain', password: 'steady as she goes' };
export const DESK = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };
const FLAGS = [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

export const setupLink = (galley) => /http:\S+\/_\/setup\?token=\S+/.exec(galley.stdout)[0];

export function browse() {
    const it = { troubles: [] }; // troubles: complaints, and requests that left the server
    let browser;
    let axe;

    before(async () => {
        await mkdir(SCREENSHOTS, { recursive: true });
        axe = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8');
        browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
    });
    after(() => browser?.close());
    beforeEach(async () => {
        it.context = await browser.newContext({ viewport: DESK });
        it.page = await it.context.newPage();
        it.troubles = [];
        it.page.on('pageerror', (error) => it.troubles.push(error.message));
        it.page.on('console', (message) => message.type() === 'error' && it.troubles.push(message.text()));
    });
    afterEach(() => it.context.close());

    it.watchHosts = (galley) =>
        it.context.on('request', (request) => {
            if (!request.url().startsWith(galley.url) && !request.url().startsWith('data:'))
                it.troubles.push(`a request to ${request.url()}`);
            if (/\/_\/assets\/(?![0-9a-f]{16}\/)/.test(request.url()))
                it.troubles.push(`a file that browsers may not keep: ${request.url()}`);
        });

    it.fillIn = async (values) => {
        for (const [name, value] of Object.entries(values)) await it.page.fill(`input[name=${name}]`, value);
        await it.page.click('button.submit');
    };

    it.setUp = async (galley) => {
        await it.page.goto(setupLink(galley));
        await it.fillIn({ ...ADMIN, repeated: ADMIN.password });
        await it.page.waitForURL(`${galley.url}/_/`);
    };

    it.isLive = () => it.page.getByRole('status').getByText('Ready').waitFor();

    // A server whose administrator looks at the view of that path.
    it.begin = async (options, view = '/_/') => {
        const galley = await startGalley(options);
        it.watchHosts(galley);
        await it.setUp(galley);
        await it.isLive();
        if (view !== '/_/') await it.page.goto(galley.url + view);
        return galley;
    };

    it.look = async (size, colorScheme) => {
        await it.page.setViewportSize(size);
        await it.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        await it.page.waitForFunction((dark) => matchMedia('(prefers-color-scheme: dark)').matches === dark,
            colorScheme === 'dark');
        await it.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))));
    };

    it.shoot = async (name, size, colorScheme) => {
        await it.look(size, colorScheme);
        await it.page.screenshot({ path: `${SCREENSHOTS}/${name}-${colorScheme}.png`, fullPage: size === PHONE });
    };

    const complaints = async () => {
        const { violations } = await it.page.evaluate(`${axe}; axe.run(document, { resultTypes: ['violations'] })`);
        return violations.map(({ id, nodes }) =>
            `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`);
    };

    // Axe finds nothing in this view, in both themes, at a desk and on a phone, where nothing is wider than it.
    it.isAccessible = async (name) => {
        for (const [kind, size, colorScheme] of [
            ['desk', DESK, 'light'], ['desk', DESK, 'dark'], ['phone', PHONE, 'light'], ['phone', PHONE, 'dark'],
        ]) {
            await it.shoot(`${name}-${kind}`, size, colorScheme);
            assert.deepEqual(await complaints(), [], `${name}, ${kind}, ${colorScheme}`);
            const wider = await it.page.evaluate(() =>
                Math.max(...[document.documentElement, ...document.querySelectorAll('.table-frame')]
                    .map((one) => one.scrollWidth - one.clientWidth)));
            assert.ok(wider <= 0, `${name}: something is ${wider} px wider than the ${kind}`);
        }
        await it.look(DESK, 'light');
    };
    return it;
}
