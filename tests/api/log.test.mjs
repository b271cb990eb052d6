// The log as whoever operates the server meets it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';

const PATIENCE_MS = 2000; // LOG_PATIENCE_MS

function paths(galley) {
    const lines = galley.log().split('\n').filter((line) => line.includes('"component":"access"'));
    return lines.map((line) => JSON.parse(line).path);
}

test('health and the admin page\'s assets are logged at debug, unless they fail', async () => {
    const galley = await startGalley();
    const page = await galley.request('GET', '/_/login');
    const [asset] = /\/_\/assets\/[^"]+/.exec(page.body);
    for (const target of ['/healthz', '/readyz', asset, '/_/assets/none', '/products/17']) {
        await galley.request('GET', target);
    }
    await eventually('the last request is logged', () => paths(galley).includes('/products/17'));
    assert.deepEqual(paths(galley), ['/_/login', '/_/assets/none', '/products/17']);
});

test('at debug, health is logged', async () => {
    const galley = await startGalley({ config: { log: { level: 'debug' } } });
    await galley.request('GET', '/healthz');
    await eventually('the request is logged', () => paths(galley).includes('/healthz'));
});

// A pipe whose other end nobody reads.
function unreadPipe(t) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'galley-pipe-'));
    execFileSync('mkfifo', [path.join(dir, 'pipe')]);
    const pipe = openSync(path.join(dir, 'pipe'), 'r+');
    t.after(() => {
        closeSync(pipe);
        rmSync(dir, { recursive: true });
    });
    return pipe;
}

test('a log that nobody reads holds neither requests nor the stop', async (t) => {
    const galley = await startGalley({ stderr: unreadPipe(t) });
    const target = `/nowhere/${'x'.repeat(240)}`;
    const ask = async () => assert.equal((await galley.request('GET', target)).status, 404);
    while (await galley.metric('galley_log_dropped_total') === 0) await Promise.all(Array.from({ length: 200 }, ask));
    const begin = Date.now();
    await galley.stop();
    assert.ok(Date.now() - begin < 3 * PATIENCE_MS);
});
