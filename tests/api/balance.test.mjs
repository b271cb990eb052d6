// Several servers behind one upstream: who gets what, and what happens when they fail and come back.
import assert from 'node:assert/strict';
import test from 'node:test';

import { eventually, freePort, startGalley } from '../lib/galley.mjs';
import { passingOn, startRawUpstream, startUpstream } from '../lib/upstream.mjs';

const named = (name, more = {}) => startUpstream((request, response) => {
    response.setHeader('x-server', name);
    response.end(name);
}, more);

// The servers that so many requests came from, one after the other: 'aab'.
async function ask(galley, count, options) {
    let names = '';
    for (let i = 0; i < count; i++) {
        const { status, body } = await galley.request('GET', '/up/x', options);
        assert.equal(status, 200);
        names += body;
    }
    return names;
}

const up = (galley, upstream) =>
    galley.metric(`galley_upstream_up{upstream="up",server="${upstream.address}"}`);
const quick = { check: 'tcp', check_interval: '100ms', check_timeout: '5s', slow_start: '0ms' };

test('servers get requests by their weight, in turn', async () => {
    const a = await named('a'), b = await named('b');
    const galley = await startGalley(passingOn([`${a.address} weight=3`, b.address]));
    assert.equal(await ask(galley, 8), 'aabaaaba');
});

test('balance = hash keeps who has the same cookie at the same server', async () => {
    const servers = [await named('a'), await named('b'), await named('c')];
    const galley = await startGalley(passingOn(servers, { balance: 'hash', hash_key: 'cookie:sid' }));
    const seen = new Set();
    for (let user = 0; user < 20; user++) {
        const names = await ask(galley, 3, { headers: { cookie: `x=1; sid=user-${user}` } });
        assert.equal(new Set(names).size, 1, names);
        seen.add(names[0]);
    }
    assert.equal(seen.size, 3);
});

test('requests of a server that is gone are answered by the others, and none is lost', async () => {
    const a = await named('a'), b = await named('b');
    const galley = await startGalley(passingOn([a, b], { check: 'no' }));
    assert.equal(await ask(galley, 2), 'ab');
    await a.stop();
    assert.equal(await ask(galley, 10), 'b'.repeat(10));
    assert.equal(await up(galley, a), 0);
    assert.equal(await up(galley, b), 1);
});

test('a zone of our own comes first, a backup last, and all come back', async () => {
    const port = await freePort();
    const here = await named('h', { listen: { port, host: '127.0.0.1' } });
    const there = await named('t'), backup = await named('b');
    const galley = await startGalley(passingOn(
        [`${here.address} zone=here`, `${there.address} zone=there`, `${backup.address} backup`],
        { zone: 'here', ...quick },
    ));
    assert.equal(await ask(galley, 3), 'hhh');
    await here.stop();
    assert.equal(await ask(galley, 3), 'ttt');
    await there.stop();
    assert.equal(await ask(galley, 3), 'bbb');
    await named('h', { listen: { port, host: '127.0.0.1' } });
    await eventually('the first is back', async () => (await ask(galley, 1)) === 'h');
});

test('a server that comes and goes costs nobody an answer, and has its share whenever it is there', async () => {
    const a = await named('a'), port = await freePort();
    const galley = await startGalley(passingOn([a.address, `127.0.0.1:${port} fail_timeout=100ms`],
        { ...quick, breaker_share: 0, outlier_errors: 0, retry_budget: 100 }));
    for (let round = 0; round < 8; round++) {
        const flapping = await named('f', { listen: { port, host: '127.0.0.1' } });
        await eventually('it has its share', async () => (await ask(galley, 2)).includes('f'));
        await flapping.stop();
        assert.equal(await ask(galley, 6), 'aaaaaa');
    }
    const post = await galley.request('POST', '/up/x', { body: 'once' });
    assert.deepEqual([post.status, post.body], [200, 'a']);
});

test('checks find a server that is down before anybody needs it, and when it is back', async () => {
    const port = await freePort();
    const a = await named('a');
    const galley = await startGalley(passingOn([a, `127.0.0.1:${port}`], quick));
    const late = { address: `127.0.0.1:${port}` };
    await eventually('it is down', async () => (await up(galley, late)) === 0);
    assert.equal(await ask(galley, 5), 'aaaaa');
    await eventually('the log says so', () => /is down: its checks fail/.test(galley.log()));
    await named('b', { listen: { port, host: '127.0.0.1' } });
    await eventually('it is up', async () => (await up(galley, late)) === 1);
    assert.deepEqual(new Set(await ask(galley, 4)), new Set('ab'));
});

test('check = http wants its status and its text', async () => {
    let status = 200, text = 'all is well';
    const asked = new Set();
    const a = await startUpstream((request, response) => {
        if (request.url === '/health') asked.add(request.headers.host);
        response.statusCode = request.url === '/health' ? status : 200;
        response.end(request.url === '/health' ? text : 'a');
    });
    const b = await startUpstream((request, response) => response.end(request.url === '/health' ? 'all is well' : 'b'));
    const galley = await startGalley(passingOn([a, b], {
        ...quick, check: 'http', check_path: '/health', check_status: '200-204', check_body: 'is well',
    }));
    await eventually('it was asked', () => asked.size > 0);
    assert.deepEqual([...asked], [a.address]);
    status = 503;
    await eventually('the status took it out', async () => (await up(galley, a)) === 0);
    status = 200;
    await eventually('it is back', async () => (await up(galley, a)) === 1);
    text = 'all is lost';
    await eventually('the text took it out', async () => (await up(galley, a)) === 0);
});

test('a server that takes a connection and says nothing fails its check in time', async () => {
    const mute = await startRawUpstream(() => {}), b = await named('b');
    const galley = await startGalley(passingOn([mute, b], { ...quick, check: 'http', check_timeout: '100ms' }));
    await eventually('it is down', async () => (await up(galley, mute)) === 0);
    assert.equal(await up(galley, b), 1);
});

test('errors in a row eject a server, and the last one stays', async () => {
    const bad = await startUpstream((request, response) => {
        response.statusCode = 500;
        response.end('bad');
    });
    const b = await named('b');
    const galley = await startGalley(passingOn([bad, b], { check: 'no', breaker_share: 0 }));
    for (let i = 0; i < 10; i++) await galley.request('GET', '/up/x');
    assert.equal(await up(galley, bad), 0);
    assert.equal(await ask(galley, 6), 'bbbbbb');
    assert.equal(await galley.metric(
        `galley_upstream_ejections_total{upstream="up",server="${bad.address}"}`), 1);

    const alone = await startGalley(passingOn(bad, { check: 'no', breaker_share: 0 }));
    for (let i = 0; i < 10; i++) assert.equal((await alone.request('GET', '/up/x')).status, 500);
    assert.equal(await up(alone, bad), 1);
});

test('the breaker opens when half of twenty fail, and answers 503 without asking', async () => {
    const bad = await startUpstream((request, response) => {
        response.statusCode = 500;
        response.end('bad');
    });
    const galley = await startGalley(passingOn(bad, { check: 'no' }));
    for (let i = 0; i < 20; i++) assert.equal((await galley.request('GET', '/up/x')).status, 500);
    const refused = await galley.request('GET', '/up/x');
    assert.equal(refused.status, 503);
    assert.ok(refused.headers['retry-after']);
    assert.equal(bad.requests.length, 20);
    assert.equal(await galley.metric('galley_upstream_breaker_open{upstream="up"}'), 1);
    assert.equal(await galley.metric('galley_upstream_refused_open_total{upstream="up"}'), 1);
});

test('retries end where the budget does', async () => {
    const bad = await startUpstream((request, response) => {
        response.statusCode = 503;
        response.end('bad');
    });
    const galley = await startGalley(passingOn([bad], {
        check: 'no', breaker_share: 0, retry_delay: '0ms', retry_delay_max: '0ms', retry_budget: 10,
    }));
    for (let i = 0; i < 40; i++) await galley.request('GET', '/up/x');
    assert.equal(bad.requests.length, 44);
    assert.equal(await galley.metric('galley_upstream_retries_total{upstream="up"}'), 4);
    assert.equal(await galley.metric('galley_upstream_retries_denied_total{upstream="up"}'), 36);
});

test('a reload brings servers, takes others, and what is known of those that stay is kept', async () => {
    const a = await named('a'), b = await named('b'), c = await named('c');
    const more = { ...quick, check: 'no' };
    const galley = await startGalley(passingOn([a, b], more));
    await b.stop();
    assert.equal(await ask(galley, 4), 'aaaa');
    await galley.configure(passingOn([b, c], more).config);
    await galley.reload();
    assert.equal(await up(galley, b), 0);
    assert.equal(await up(galley, a), undefined);
    assert.equal(await ask(galley, 4), 'cccc');
});

test('operators see how servers do, drain them and give them other weights', async () => {
    const a = await named('a'), b = await named('b');
    const galley = await startGalley(passingOn([`${a.address} zone=here weight=2`, `${b.address} backup`],
        { slow_start: '0ms', check: 'tcp', check_interval: '100ms' }));
    const post = await galley.administrator();
    assert.equal(await ask(galley, 3), 'aaa');
    await eventually('they were checked', async () => {
        const { body } = await post.get('upstreams');
        return body.data[0].servers.every(({ lastCheck }) => lastCheck === 'connected');
    });
    const { body: { data: [upstream, ...others] } } = await post.get('upstreams');
    assert.equal(others.length, 0);
    const { servers: [first, second], ...rest } = upstream;
    assert.deepEqual(rest, {
        upstream: 'up', breaker: 'closed', breakerEndsInMs: null, inFlight: 0, requests: 3, refusedByBreaker: 0,
        refusedAsFull: 0, refusedOfClients: 0, queued: 0, retries: 0, retriesDenied: 0,
    });
    const { latencyMs, p50, p95, p99, ...figures } = first;
    for (const ms of [latencyMs, p50, p95, p99]) assert.ok(ms > 0);
    assert.deepEqual(figures, {
        server: a.address, zone: 'here', backup: false, weight: 2, configuredWeight: 2, state: 'up', stateEndsInMs: null,
        lastCheck: 'connected', inFlight: 0, requests: 3, errors: 0, failures: 0, ejections: 0,
        codes: { '2xx': 3 }, bytes: 3,
    });
    assert.equal(second.backup, true);

    const drain = (server, on) => post('upstreams/drain', { upstream: 'up', server, drain: on });
    assert.equal((await drain(a.address, true)).status, 204);
    assert.equal(await ask(galley, 3), 'bbb');
    assert.equal((await post.get('upstreams')).body.data[0].servers[0].state, 'drained');
    assert.equal((await drain(b.address, true)).status, 204);
    assert.equal((await galley.request('GET', '/up/x')).status, 503);
    assert.equal((await drain(a.address, false)).status, 204);
    assert.equal(await ask(galley, 2), 'aa');
    await eventually('the log says who', () => galley.log().includes(
        `captain: server ${a.address} of upstream up gets requests again`));

    const weigh = (weight) => post('upstreams/weight', { upstream: 'up', server: a.address, weight });
    assert.equal((await weigh(7)).status, 204);
    assert.equal((await post.get('upstreams')).body.data[0].servers[0].weight, 7);
    assert.equal((await weigh(0)).status, 204);
    assert.equal((await post.get('upstreams')).body.data[0].servers[0].weight, 2);
    assert.equal((await weigh(1001)).status, 422);
    assert.equal((await drain('127.0.0.1:1', true)).status, 404);
});

test('the log says which servers were asked, and in development the answer does', async () => {
    const dead = `127.0.0.1:${await freePort()}`, b = await named('b');
    const galley = await startGalley(passingOn([dead, b], {}, {}, { server: { development: 'yes' } }));
    const answer = await ask(galley, 1) && await galley.request('GET', '/up/x');
    assert.equal(answer.headers['x-galley-tried'], `${b.address} 200`);
    await eventually('the log has it', () => galley.log().includes(
        `"upstream":"${dead} unreachable, ${b.address} 200"`));
    await galley.configure(passingOn([dead, b]).config);
    await galley.reload();
    assert.equal((await galley.request('GET', '/up/x')).headers['x-galley-tried'], undefined);
    assert.equal((await galley.request('GET', '/healthz')).headers['x-galley-tried'], undefined);
});

test('a fallback is answered when no server has an answer, and is never kept', async () => {
    let status = 200;
    const a = await startUpstream((request, response) => {
        response.statusCode = status;
        response.setHeader('etag', '"1"');
        response.end('{"data":[1]}');
    });
    const galley = await startGalley(passingOn(a, { slow_start: '0ms' },
        { fallback: 203, fallback_body: '{"data":[]}' }));
    assert.deepEqual((await galley.request('GET', '/up/x')).raw.toString(), '{"data":[1]}');
    for (const bad of [502, 503, 504, 'gone']) {
        if (bad === 'gone') await a.stop();
        else status = bad;
        const { status: got, headers, body } = await galley.request('GET', '/up/x');
        assert.equal(got, 203, bad);
        assert.deepEqual(body, { data: [] });
        assert.equal(headers['x-galley-fallback'], 'true');
        assert.equal(headers['cache-control'], 'no-store');
        assert.equal(headers.etag, undefined);
        assert.ok(headers['x-request-id']);
    }
});

test('when all servers are down a stale answer is given, as long as the route says, then the fallback', async () => {
    const servers = [];
    for (const at of [1, 2]) {
        servers.push(await startUpstream((request, response) => response.writeHead(200,
            { 'cache-control': 'max-age=10', age: request.url === '/up/old' ? 100 : 15 }).end(`from ${at}`)));
    }
    const galley = await startGalley(passingOn(servers, {},
        { cache: 'yes', cache_stale_if_error: '1min', fallback: 200, fallback_body: 'nothing' }));
    for (const path of ['/up/young', '/up/old']) assert.equal((await galley.request('GET', path)).status, 200);
    for (const server of servers) await server.stop();
    const stale = await galley.request('GET', '/up/young');
    assert.equal(stale.status, 200);
    assert.match(stale.body, /^from/);
    assert.match(stale.headers['cache-status'], /stale/);
    const gone = await galley.request('GET', '/up/old');
    assert.deepEqual([gone.status, gone.body, gone.headers['x-galley-fallback']], [200, 'nothing', 'true']);
});

test('an error that a server means is passed on, also where there is a fallback', async () => {
    const a = await startUpstream((request, response) => {
        response.statusCode = Number(request.url.slice(-3));
        response.end('mine');
    });
    const galley = await startGalley(passingOn(a, {}, { fallback: 200, fallback_body: 'yours' }));
    for (const status of [404, 500, 501]) {
        const answer = await galley.request('GET', `/up/${status}`);
        assert.equal(answer.status, status);
        assert.equal(answer.body, 'mine');
    }
});
