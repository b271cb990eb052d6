// The page Jobs: what is to be done, why it failed, once more or never.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { eventually, startGalley } from '../lib/galley.mjs';
import { browse } from './pages.mjs';

const it = browse();

const FILE_MAX = 2 ** 30; // bytes; far more than the database takes

const config = { 'queue mail': { attempts: 1 }, mail: { box_size: '4GiB' } };
const boxOf = (galley) => path.join(galley.dataDir, 'mail/outbox.mbox');

// So many jobs that die, as their e-mails find no room in the file until the next start.
async function letJobsDie(galley, count) {
    await truncate(boxOf(galley), FILE_MAX); // a hole
    await promisify(execFile)('prlimit', [`--pid=${galley.pid}`, `--fsize=${FILE_MAX}`]);
    const token = await galley.login();
    for (let i = 0; i < count; i++)
        await galley.request('POST', '/place-order', { token, json: { productId: 7, qty: 1 } });
    await eventually('they are dead', async () =>
        (await galley.metric('galley_queue_jobs{queue="mail",state="dead"}')) === count);
}

// A server with so many dead jobs whose e-mails would find room now.
async function withDeadJobs(count) {
    const galley = await startGalley({ config });
    await letJobsDie(galley, count);
    await galley.stop();
    await rm(boxOf(galley));
    await galley.start();
    it.watchHosts(galley);
    await it.setUp(galley);
    await it.isLive();
    return galley;
}

const row = () => it.page.locator('tbody tr');
const tab = (state) => it.page.getByRole('navigation', { name: 'States' }).getByRole('link', { name: state });

test('a dead job shows its error and payload, runs again, and is completed', async () => {
    await withDeadJobs(3);
    await it.page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Jobs' }).click();
    await it.page.waitForURL('**/_/jobs');
    await eventually('three rows', async () => (await row().count()) === 3);
    assert.match(await row().first().innerText(), /send-email.*dead.*1 of 1.*outbox.mbox/s);
    assert.equal(await it.page.title(), 'Jobs · Galley');
    await it.isAccessible('jobs-dead');

    await row().first().getByRole('link', { name: 'send-email' }).click();
    await it.page.waitForURL('**/_/jobs/*');
    await it.page.getByText('alice@example.com').waitFor();
    await it.page.getByRole('heading', { name: 'Last error' }).waitFor();
    await it.isAccessible('job-dead');
    await it.page.getByRole('button', { name: /^Run the job send-email/ }).click();
    await it.page.getByText('The job send-email runs again.').waitFor();
    await it.page.locator('main .pill', { hasText: 'completed' }).waitFor();

    await it.page.goBack();
    await eventually('two are left', async () => (await row().count()) === 2);
    await tab('completed').click();
    await it.page.waitForURL('**state=completed');
    await eventually('one is completed', async () => (await row().count()) === 1);
    assert.deepEqual(it.troubles, []);
});

test('a job is deleted only after a question, and an empty list says so', async () => {
    const galley = await withDeadJobs(1);
    await it.page.goto(`${galley.url}/_/jobs?state=dead`);
    await it.page.getByRole('button', { name: /^Delete the job/ }).click();
    const dialog = it.page.getByRole('dialog', { name: 'Delete this job?' });
    await it.shoot('job-delete', { width: 390, height: 844 }, 'dark');
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    assert.equal(await row().count(), 1);
    await it.page.getByRole('button', { name: /^Delete the job/ }).click();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await it.page.getByText('No job is dead').waitFor();
    await it.isAccessible('jobs-empty');
    assert.deepEqual(it.troubles, []);
});

test('a job that is gone, and a server that is gone, are said so', async () => {
    const galley = await it.begin({}, '/_/jobs/018f0000-0000-7000-8000-000000000000');
    await it.page.getByText('There is no such job, or no longer.').waitFor();
    await it.isAccessible('job-gone');
    await it.page.goto(`${galley.url}/_/jobs`);
    await it.page.getByText('No job waits to be run.').waitFor();
    await galley.stop();
    await it.page.getByText(/As of \d+:\d+:\d+\. The server cannot be reached\./).first().waitFor();
    await it.shoot('jobs-stale', { width: 1440, height: 900 }, 'light');
    galley.args = ['--listen', `127.0.0.1:${galley.port}`];
    await galley.start();
    await it.isLive();
    await it.page.getByText('No job waits to be run.').waitFor();
});

test('what keeps the mail box from taking messages is said on every page', async () => {
    const galley = await it.begin({ config }, '/_/routes');
    await letJobsDie(galley, 1);
    const { body } = await galley.request('GET', '/readyz');
    assert.equal(body.status, 'degraded');
    await it.page.getByRole('status').getByText(body.alarms[0]).waitFor();
});
