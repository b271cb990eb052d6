// A second server that is asked when the first takes long.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { eventually, startGalley } from '../lib/galley.mjs';
import { passingOn, startRawUpstream, startUpstream } from '../lib/upstream.mjs';

// A server that answers with its name, or, while it is slow, not before the test says so.
async function startNamed(name, slow = false) {
    const server = { name, slow, held: [], gone: 0 };
    server.upstream = await startUpstream((request, response) => {
        response.on('close', () => (server.gone += !response.writableFinished));
        if (server.slow) server.held.push(response);
        else response.end(name);
    });
    server.release = () => server.held.splice(0).forEach((response) => response.end(name));
    return server;
}

const start = async (servers, upstream = {}, more = {}) => {
    const galley = await startGalley(passingOn(servers.map((one) => one.upstream ?? one),
        { hedge_after: '100ms', retries: 0, ...upstream }, {}, { server: { development: 'yes' }, ...more }));
    return galley;
};
const hedges = (galley) => galley.metric('galley_upstream_hedges_total{upstream="up"}');

test('when the first server takes long the second is asked, and its answer counts', async () => {
    const a = await startNamed('a', true), b = await startNamed('b');
    const galley = await start([a, b]);
    const { status, body, headers } = await galley.request('GET', '/up/x');
    assert.deepEqual([status, body], [200, 'b']);
    assert.equal(headers['x-galley-tried'], `${a.upstream.address} slower, ${b.upstream.address} 200`);
    await eventually('the first is given up', () => a.gone === 1);
    assert.equal(await hedges(galley), 1);
    assert.equal(await galley.metric('galley_upstream_in_flight{upstream="up",server="' + a.upstream.address + '"}'), 0);
});

test('a server that has begun is waited for at rest', async () => {
    const hinting = await startRawUpstream((socket) => socket.once('data', () => {
        socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
        setTimeout(() => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), 1500);
    }));
    const galley = await start([hinting, await startNamed('b')], { balance: 'round_robin' });
    const before = await galley.metric('process_cpu_seconds_total');
    const bodies = [(await galley.request('GET', '/up/x')).body, (await galley.request('GET', '/up/x')).body];
    assert.ok(bodies.includes('ok'), bodies.join());
    assert.ok(await galley.metric('process_cpu_seconds_total') - before < 0.5);
});

test('the first may still win', async () => {
    const a = await startNamed('a', true), b = await startNamed('b', true);
    const galley = await start([a, b]);
    const answer = galley.request('GET', '/up/x');
    await eventually('both are asked', () => a.held.length === 1 && b.held.length === 1);
    a.release();
    assert.equal((await answer).body, 'a');
    await eventually('the second is given up', () => b.gone === 1);
});

test('who answers in time is asked alone, over a connection that is kept', async () => {
    const a = await startNamed('a');
    const galley = await start([a, await startNamed('b')], { hedge_after: '30s', balance: 'hash' });
    const names = new Set();
    for (let i = 0; i < 5; i++) names.add((await galley.request('GET', '/up/x')).body);
    assert.equal(names.size, 1);
    assert.equal(await hedges(galley), 0);
    assert.ok(a.upstream.connections <= 1);
});

test('one of the two that fails leaves the other', async () => {
    const broken = await startRawUpstream((socket) => socket.on('data', () => setTimeout(() => socket.destroy(), 300)));
    const b = await startNamed('b', true);
    const galley = await start([broken, b]);
    const answer = galley.request('GET', '/up/x');
    await eventually('the log has no answer yet, and the first has failed', async () =>
        await galley.metric(`galley_upstream_requests_total{upstream="up",server="${broken.address}",outcome="broken"}`) === 1);
    b.release();
    const { status, headers } = await answer;
    assert.equal(status, 200);
    assert.equal(headers['x-galley-tried'], `${broken.address} broken, ${b.upstream.address} 200`);
});

test('a second server that cannot be reached leaves the first', async () => {
    const a = await startNamed('a', true), b = await startNamed('b');
    await b.upstream.stop();
    const galley = await start([a, b.upstream]);
    const answer = galley.request('GET', '/up/x');
    await eventually('the second was asked in vain', async () =>
        await galley.metric(`galley_upstream_requests_total{upstream="up",server="${b.upstream.address}",outcome="unreachable"}`) === 1);
    a.release();
    assert.equal((await answer).body, 'a');
});

test('neither with a body, nor what changes something, nor without another server', async () => {
    const a = await startNamed('a', true), b = await startNamed('b', true);
    const galley = await start([a, b]);
    const answers = [galley.request('POST', '/up/x', { body: 'a' }), galley.request('DELETE', '/up/x')];
    await eventually('both are there', () => a.held.length + b.held.length === 2);
    const alone = await startGalley(passingOn(a.upstream, { hedge_after: '10ms', first_byte_timeout: '400ms', retries: 0 }));
    assertError(await alone.request('GET', '/up/x'), 504, 'GATEWAY_TIMEOUT');
    assert.equal(await hedges(alone), 0);
    assert.equal(await hedges(galley), 0);
    a.release();
    b.release();
    for (const answer of answers) assert.equal((await answer).status, 200);
});

test('hedges end where the budget of retries does', async () => {
    const a = await startNamed('a', true), b = await startNamed('b', true);
    const galley = await start([a, b], { retry_budget: 0 });
    const answers = [1, 2, 3, 4, 5].map(() => galley.request('GET', '/up/x'));
    await eventually('all are there, and three twice', () => a.held.length + b.held.length === 8);
    a.release();
    b.release();
    for (const answer of answers) assert.equal((await answer).status, 200);
    assert.equal(await hedges(galley), 3);
});

test('when both are silent it is 504, and a client that goes takes both along', async () => {
    const a = await startNamed('a', true), b = await startNamed('b', true);
    const galley = await start([a, b], { first_byte_timeout: '600ms' });
    const { status, headers } = await galley.request('GET', '/up/x');
    assert.equal(status, 504);
    assert.equal(headers['x-galley-tried'], `${a.upstream.address} timeout, ${b.upstream.address} timeout`);
    const patient = await start([a, b], { first_byte_timeout: '60s', timeout: '60s' });
    const before = a.gone + b.gone;
    const client = await patient.connect();
    client.send('GET /up/x HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually('both are asked', () => a.held.length + b.held.length === 4);
    client.destroy();
    await eventually('both are given up', () => a.gone + b.gone === before + 2);
});

test('a part of a composed answer and a copy may be hedged, too', async () => {
    const a = await startNamed('{"n":1}', true), b = await startNamed('{"n":2}');
    const galley = await start([a, b], {}, {
        'compose one': { part: 'it upstream:up/x' },
        'route one': { path: '/one', target: 'compose:one' },
    });
    const { status, body } = await galley.request('GET', '/one');
    assert.equal(status, 200);
    assert.deepEqual(body, { it: { n: 2 } });
});
