// The page Configuration: what holds, where it is said, and a reload of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SIGNING_KEY } from '../lib/galley.mjs';
import { DESK, PHONE, browse } from './pages.mjs';

const it = browse();

const row = (section, key) =>
    it.page.getByRole('table', { name: `[${section}]`, exact: true }).locator('tbody tr')
        .filter({ has: it.page.locator('b', { hasText: new RegExp(`^${key}$`) }) });

test('every setting shows its value, default, line and what a change takes; secrets do not', async () => {
    const hosts = Array.from({ length: 6 }, (_, i) => `a-host-with-a-long-name-${i}.example.org`).join(', ');
    const galley = await it.begin({ config: { server: { hosts } } }, '/_/configuration');
    await row('server', 'workers').waitFor();
    assert.match(await row('server', 'workers').innerText(), /workers.*64\s+256\s+config.ini:\d+\s+a restart/s);
    assert.match(await row('cache', 'size').innerText(), /64MiB\s+64MiB\s+default\s+a restart/s);
    assert.match(await row('auth', 'key').innerText(), /\(secret\)/);
    assert.ok(!(await it.page.content()).includes(SIGNING_KEY));
    await it.isAccessible('configuration');
    await it.page.setViewportSize(DESK);
    const broken = await it.page.locator('td[data-label="Default"] .mono, td[data-label="Said in"] .mono')
        .evaluateAll((cells) => cells.filter((one) => !one.textContent.includes(' ') && one.getBoundingClientRect().height > 24).map((one) => one.textContent));
    assert.deepEqual(broken, [], 'no number is on two lines');

    await galley.configure({ server: { workers: 65 } });
    await galley.reload();
    await it.page.reload();
    await it.page.getByRole('searchbox').fill('threads that serve');
    await it.page.getByText('a restart makes it 65').waitFor();
    assert.equal(await it.page.locator('tbody tr').count(), 1);
    assert.deepEqual(it.troubles, []);
});

test('the configuration is reloaded from the page, which shows what changed or what is wrong', async () => {
    const galley = await it.begin({}, '/_/configuration');
    const dialog = it.page.getByRole('dialog', { name: 'Reload the configuration' });
    const reload = (name) => dialog.getByRole('button', { name, exact: true }).click();
    await it.page.getByRole('button', { name: 'Reload the configuration', exact: true }).click();
    await reload('Reload');
    await dialog.getByText('The file says what it said before.').waitFor();

    await galley.configure({ server: { workers: 65 }, log: { level: 'debug' } });
    await reload('Again');
    await dialog.getByText('[log] level').waitFor();
    assert.match(await dialog.innerText(), /Taken over\s+\[log\] level\s+info → debug\s+Takes a restart\s+\[server\] workers\s+64 → 65/);
    await it.shoot('reload', DESK, 'light');

    await galley.configure('[server]\nworker = 8\n');
    await reload('Again');
    await dialog.getByText('nothing has changed').waitFor();
    await dialog.getByText('config.ini:2: [server] worker: unknown key; did you mean workers?').waitFor();
    await it.shoot('reload-refused', PHONE, 'dark');
    await it.page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    assert.deepEqual(it.troubles.filter((text) => !text.includes('422')), []);
});
