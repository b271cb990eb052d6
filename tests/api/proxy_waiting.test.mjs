// How long a request to an upstream may take, how many there may be at once, and who waits.
import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { eventually, startGalley } from '../lib/galley.mjs';
import { passingOn, startUpstream } from '../lib/upstream.mjs';

// A server whose answers to /up/held come when the test says so.
async function startHolding() {
    const held = [];
    const upstream = await startUpstream((request, response) => {
        if (request.url.startsWith('/up/held')) held.push(response);
        else response.end('now');
    });
    const release = () => held.splice(0).forEach((response) => response.end('then'));
    return { upstream, held, release };
}

const count = (galley, name) => galley.metric(`galley_upstream_${name}{upstream="up"}`);

// A request from an address of its own; resolves to its status.
function askFrom(galley, address, path) {
    const socket = net.connect({ port: galley.port, host: '127.0.0.1', localAddress: address });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    return socket.setEncoding('latin1').toArray().then((parts) => Number(parts.join('').slice(9, 12)));
}

test('a route\'s timeout counts instead of its upstream\'s, shorter or longer', async () => {
    const upstream = await startUpstream((request, response) => {
        if (request.url === '/up/late') setTimeout(() => response.end('late'), 600);
        if (request.url !== '/up/drip') return;
        response.write('x');
        const drip = setInterval(() => response.write('x'), 20);
        response.on('close', () => clearInterval(drip));
    });
    const galley = await startGalley(passingOn(upstream,
        { first_byte_timeout: '200ms', timeout: '300ms', retries: 0 }, { timeout: '30s' }));
    assert.equal((await galley.request('GET', '/up/late')).status, 200);
    await galley.configure(passingOn(upstream, {}, { timeout: '300ms' }).config);
    await galley.reload();
    assertError(await galley.request('GET', '/up/never'), 504, 'GATEWAY_TIMEOUT');
    await assert.rejects(galley.request('GET', '/up/drip')); // an answer that has begun breaks off
});

test('a route\'s timeout bounds all parts of a composed answer', async () => {
    const upstream = await startUpstream((request, response) => {
        if (request.url === '/fast') response.end('{"a":1}');
    });
    const galley = await startGalley(passingOn(upstream, {}, {}, {
        'compose both': { part: ['fast upstream:up/fast', 'slow upstream:up/slow timeout=30s'] },
        'route both': { path: '/both', target: 'compose:both', timeout: '300ms' },
    }));
    assertError(await galley.request('GET', '/both'), 504, 'GATEWAY_TIMEOUT');
});

test('a timeout where nothing waits for others is an error', async () => {
    const galley = await startGalley();
    await galley.configure({ 'route one': { path: '/one', target: 'respond:200', timeout: '1s' } });
    await galley.reload();
    assert.match(galley.log(), /\[route one\] timeout is for upstream: and compose:/);
});

test('one address has its share of requests_max, and others the rest', async () => {
    const { upstream, held, release } = await startHolding();
    const galley = await startGalley(passingOn(upstream, { requests_max: 4, requests_per_address: 3 }));
    const three = [1, 2, 3].map((at) => askFrom(galley, '127.0.0.1', `/up/held/${at}`));
    await eventually('three are there', () => held.length === 3);
    assertError(await galley.request('GET', '/up/x'), 429, 'RATE_LIMITED');
    assert.equal(await askFrom(galley, '127.0.0.2', '/up/x'), 200);
    assert.equal(await count(galley, 'refused_client_total'), 1);
    release();
    assert.deepEqual(await Promise.all(three), [200, 200, 200]);
    assert.equal((await galley.request('GET', '/up/x')).status, 200);
});

for (const [what, upstream, server] of [['requests_max', { requests_max: 1 }, ''], ['max_conns of all servers', {}, ' max_conns=1']]) {
    test(`beyond ${what} requests wait for their turn, in order, and no thread with them`, async () => {
        const { upstream: one, held, release } = await startHolding();
        const galley = await startGalley(passingOn(`${one.address}${server}`,
            { queue: 5, queue_timeout: '60s', ...upstream }, {}, { server: { workers: 4 } }));
        const answers = [];
        for (let at = 0; at < 6; at++) {
            answers.push(galley.request('GET', `/up/held/${at}`));
            await eventually(`${at} is there`, async () => held.length === 1 && await count(galley, 'queued') === at);
        }
        assertError(await galley.request('GET', '/up/x'), 503, 'SERVICE_UNAVAILABLE'); // the queue is full
        assert.equal((await galley.request('GET', '/healthz')).status, 200);
        for (let at = 0; at < 6; at++) {
            await eventually(`the turn of ${at}`, () => held.length === 1);
            release();
        }
        for (const answer of answers) assert.equal((await answer).status, 200);
        assert.deepEqual(one.requests.map(({ url }) => url), [0, 1, 2, 3, 4, 5].map((at) => `/up/held/${at}`));
        assert.equal(await count(galley, 'queued'), 0);
        assert.equal(await count(galley, 'queued_total'), 5);
        assert.equal(await count(galley, 'refused_full_total'), 1);
    });
}

test('who has waited for queue_timeout gets 503, and whose client goes gives its turn to the next', async () => {
    const { upstream, held, release } = await startHolding();
    const galley = await startGalley(passingOn(upstream, { requests_max: 1, queue: 10, queue_timeout: '300ms' }));
    const first = galley.request('GET', '/up/held/first');
    await eventually('it is there', () => held.length === 1);
    assertError(await galley.request('GET', '/up/x'), 503, 'SERVICE_UNAVAILABLE');
    assert.equal(await count(galley, 'queue_timeouts_total'), 1);
    await galley.configure(passingOn(upstream, { requests_max: 1, queue: 10, queue_timeout: '60s' }).config);
    await galley.reload();
    const gone = await galley.connect();
    gone.send('GET /up/gone HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually('it waits', async () => await count(galley, 'queued') === 1);
    const next = galley.request('GET', '/up/next');
    await eventually('both wait', async () => await count(galley, 'queued') === 2);
    gone.destroy();
    await eventually('one has left', async () => await count(galley, 'queued') === 1);
    release();
    assert.equal((await first).status, 200);
    assert.equal((await next).status, 200);
    assert.deepEqual(upstream.requests.map(({ url }) => url), ['/up/held/first', '/up/next']);
});

test('a reload that has room calls those who wait, and a stop waits for them', async () => {
    const { upstream, held, release } = await startHolding();
    const settings = { queue: 10, queue_timeout: '60s' };
    const galley = await startGalley(passingOn(upstream, { ...settings, requests_max: 1 }));
    const answers = [1, 2, 3].map((at) => galley.request('GET', `/up/held/${at}`));
    await eventually('two wait', async () => await count(galley, 'queued') === 2);
    await galley.configure(passingOn(upstream, { ...settings, requests_max: 2 }).config);
    await galley.reload();
    await eventually('one has its turn', async () => held.length === 2 && await count(galley, 'queued') === 1);
    const stopped = galley.stop();
    release();
    await eventually('the last one has its turn', () => held.length === 1);
    release();
    for (const answer of answers) assert.equal((await answer).status, 200);
    await stopped;
});
