// The log as whoever operates the server meets it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';
import { startUpstream } from '../lib/upstream.mjs';

const PATIENCE_MS = 2000; // LOG_PATIENCE_MS

// The access lines, or those that fit; undefined if there are none.
function access(galley, fits = () => true) {
    const lines = galley.log().split('\n').filter((line) => line.endsWith('}') && line.includes('"component":"access"'));
    const found = lines.map((line) => JSON.parse(line)).filter(fits);
    return found.length > 0 ? found : undefined;
}

const paths = (galley) => (access(galley) ?? []).map((line) => line.path);

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

const passing = (upstream, more = {}) => ({
    'upstream up': { server: ['127.0.0.1:1 max_fails=0', `${upstream.address} backup`], check: 'no' },
    'route up': { path: '/up/*', target: 'upstream:up', ...more },
});

test('the line of a request that was passed on has who was asked, how often, and when the answer began', async () => {
    const galley = await startGalley({ config: passing(await startUpstream((request, response) => response.end('x'))) });
    assert.equal((await galley.request('GET', '/up/x')).status, 200);
    const [line] = await eventually('it is logged', () => access(galley, (one) => one.path === '/up/x'));
    assert.match(line.upstream, /^127\.0\.0\.1:1 unreachable, 127\.0\.0\.1:\d+ 200$/);
    assert.equal(line.target, 'up');
    assert.equal(line.tries, 2);
    assert.ok(line.firstByteMs > 0 && line.firstByteMs <= line.durationMs, JSON.stringify(line));
});

test('the line of a route with a cache has what that did', async () => {
    const upstream = await startUpstream((request, response) => {
        response.setHeader('cache-control', request.url.endsWith('/not') ? 'no-store' : 'max-age=60');
        response.end('x');
    });
    const galley = await startGalley({ config: passing(upstream, { cache: 'yes' }) });
    for (const target of ['/up/x', '/up/x', '/up/not', '/none']) await galley.request('GET', target);
    const lines = await eventually('all are logged', () => access(galley, (one) => one.path === '/none') && access(galley));
    assert.deepEqual(lines.map((line) => line.cache), ['stored', 'hit', 'not_stored', undefined]);
    assert.deepEqual(lines.map((line) => line.tries), [2, undefined, 2, undefined]);
});

test('access lines look as access_format says, from a reload on, and nobody writes lines of his own into them', async () => {
    const galley = await startGalley({ config: { log: { format: 'json', access_format: 'combined' } } });
    const agent = { 'user-agent': 'a "b"', referer: 'https://example.org/' };
    await galley.request('GET', '/none/%22%20200', { headers: agent });
    await eventually('the combined line', () => /^127\.0\.0\.1 - - \[.* \+0000\] "GET \/none\/\\"\\x20200 HTTP\/1\.1" 404 \d+ "https:\/\/example\.org\/" "a \\"b\\""$/m
        .test(galley.log()));
    await galley.configure({ log: { format: 'json', access_format: '{status} {path}' } });
    await galley.reload();
    await galley.request('GET', '/none/%20x');
    await eventually('the line of the template', () => /^404 \/none\/\\x20x$/m.test(galley.log()));
    await galley.configure({ log: { format: 'json', access_format: '{stauts}' } });
    await galley.reload();
    assert.match(galley.log(), /not reloaded[^]*\[log\] access_format: [^]*{stauts}[^]* is none of {time} /);
});
