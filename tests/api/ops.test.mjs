// The pages for whoever operates it.
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';

const galley = await startGalley();
const token = await galley.login();

test('/healthz and /readyz say yes', async () => {
    const alive = await galley.request('GET', '/healthz');
    assert.deepEqual([alive.status, alive.body], [200, { status: 'ok' }]);
    const ready = await galley.request('GET', '/readyz');
    assert.deepEqual([ready.status, ready.body], [200, { status: 'ready' }]);
});

test('/metrics is Prometheus text with help and type for every name', async () => {
    const { status, headers, raw } = await galley.request('GET', '/metrics');
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);
    const types = new Map();
    for (const line of raw.toString().trimEnd().split('\n')) {
        const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
        if (type) types.set(type[1], type[2]);
        else if (!line.startsWith('# HELP ')) {
            const [, name, value] = /^([a-z_]+)(?:\{(?:[a-z]+="[^"]*",?)*\})? (\S+)$/.exec(line) ?? assert.fail(line);
            assert.ok(types.has(name) || types.get(name.replace(/_(bucket|sum|count)$/, '')) === 'histogram', line);
            assert.ok(Number.isFinite(Number(value)), line);
        }
    }
    for (const name of ['galley_http_requests_total', 'galley_http_request_duration_seconds', 'galley_cache_hits_total',
        'galley_cache_bytes', 'galley_queue_jobs', 'galley_job_duration_seconds', 'galley_store_commit_seconds',
        'galley_store_batch_size', 'galley_store_bytes', 'galley_workers_busy', 'process_resident_memory_bytes']) {
        assert.ok(types.has(name), `${name} is missing`);
    }
});

test('requests are counted by route, never by path', async () => {
    const name = 'galley_http_requests_total{route="/products/{id}",method="GET",code="200"}';
    const before = (await galley.metric(name)) ?? 0;
    for (const id of [1, 2, 3]) await galley.request('GET', `/products/${id}`, { token });
    assert.equal(await galley.metric(name), before + 3);
    await galley.request('GET', '/surely/not/there');
    const { raw } = await galley.request('GET', '/metrics');
    assert.doesNotMatch(raw.toString(), /surely/);
});

test('a second look at a product is a hit in the cache', async () => {
    await galley.request('GET', '/products/40', { token });
    const before = await galley.metric('galley_cache_hits_total');
    await galley.request('GET', '/products/40', { token });
    assert.equal(await galley.metric('galley_cache_hits_total'), before + 1);
});

test('jobs are counted by queue and state', async () => {
    const name = 'galley_queue_jobs{queue="mail",state="completed"}';
    const before = await galley.metric(name);
    await galley.request('POST', '/place-order', { token, json: { productId: 41, qty: 1 } });
    await galley.mails();
    assert.equal(await galley.metric(name), before + 1);
});

test('/_ leads to the admin pages', async () => {
    const { status, headers } = await galley.request('GET', '/_');
    assert.deepEqual([status, headers.location], [308, '/_/']);
});

test('what is kept is for the owner of the process alone', async () => {
    assert.equal((await stat(galley.dataDir)).mode & 0o077, 0);
    assert.equal((await stat(path.join(galley.dataDir, 'mail/outbox.mbox'))).mode & 0o077, 0);
});

test('each request is one line of the access log, without the query and without the token', async () => {
    await galley.request('GET', '/products/42?secret=hush', { token });
    await galley.restart();
    const lines = galley.log().trim().split('\n').map((line) => JSON.parse(line));
    const mine = lines.filter(({ path: where }) => where === '/products/42');
    assert.equal(mine.length, 1);
    assert.equal(mine[0].status, 200);
    assert.equal(mine[0].user, 'alice');
    assert.equal(mine[0].route, '/products/{id}');
    assert.doesNotMatch(galley.log(), /hush/);
    assert.ok(!galley.log().includes(token));
});

test('429: over the limit, with when to come back', async () => {
    const limited = await startGalley({ config: { 'route shop': { rate_limit: '3/min by user' } } });
    const who = await limited.login();
    const look = () => limited.request('GET', '/products/1', { token: who });
    for (let i = 0; i < 3; i++) {
        const { status, headers } = await look();
        assert.equal(status, 200);
        assert.equal(headers['x-ratelimit-limit'], undefined);
        assert.equal(headers['ratelimit-policy'], '"default";q=3;w=60');
        assert.match(headers.ratelimit, new RegExp(`^"default";r=${2 - i};t=\\d+$`));
    }
    const answer = await look();
    assertError(answer, 429, 'RATE_LIMITED');
    const wait = answer.headers['retry-after'];
    assert.ok(Number(wait) >= 1 && Number(wait) <= 20);
    assert.equal(answer.body.error.message, `Too many requests; try again in ${wait} s.`);
});

test('a limit may be shared by all, or go by a header, and be a window', async () => {
    const all = { path: '/products', target: 'app:shop', rate_limit: 'fixed 2/h by route' };
    const tenants = { path: '/products/{id}', target: 'app:shop', rate_limit: 'sliding 1/h by header X-Tenant' };
    const limited = await startGalley({ config: { 'route all': all, 'route tenants': tenants } });
    const statuses = async (target, ...options) => {
        const found = [];
        for (const option of options) found.push((await limited.request('GET', target, option)).status);
        return found;
    };
    assert.deepEqual(await statuses('/products', {}, { token: await limited.login() }, {}), [200, 200, 429]);
    const token = await limited.login();
    const by = (tenant) => ({ token, headers: tenant ? { 'X-Tenant': tenant } : {} });
    assert.deepEqual(await statuses('/products/1', by('a'), by('b'), by('a'), by(), by()), [200, 200, 429, 200, 429]);
});

test('users with a role have the limit of their tier', async () => {
    const limited = await startGalley({
        config: { 'route shop': { rate_limit: '2/h by user', rate_tier: 'customer sliding 3/min by user' } },
    });
    const look = async (target, token) => (await limited.request('GET', target, { token })).headers;
    const headers = await look('/products/1', await limited.login());
    assert.equal(headers['ratelimit-policy'], '"customer";q=3;w=60');
    assert.match(headers.ratelimit, /^"customer";r=2;t=/);
    assert.equal((await look('/products?limit=1'))['ratelimit-policy'], '"default";q=2;w=3600');
});

test('the headers of a limit that there were before the standard are sent on request', async () => {
    const old = await startGalley({ config: { server: { rate_limit_headers: 'all' }, 'route shop': { rate_limit: '3/min by ip' } } });
    const { headers } = await old.request('GET', '/products?limit=1');
    assert.deepEqual([headers['x-ratelimit-limit'], headers['x-ratelimit-remaining']], ['3', '2']);
    assert.match(headers['x-ratelimit-reset'], /^\d+$/);
    assert.equal(headers['ratelimit-policy'], '"default";q=3;w=60');
});
