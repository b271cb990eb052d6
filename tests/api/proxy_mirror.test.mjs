// Copies of requests for another upstream, which nobody notices who has sent the request.
import assert from 'node:assert/strict';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';
import { passingOn, readAll, startRawUpstream, startUpstream } from '../lib/upstream.mjs';

// A server that keeps what it is asked, and answers as it likes.
async function startSeeing(answer = (response) => response.end('copy')) {
    const seen = [];
    const upstream = await startUpstream(async (request, response) => {
        const body = await readAll(request);
        const { method, url, headers } = request;
        seen.push({ method, url, headers, body: body.toString() });
        answer(response);
    });
    return { upstream, seen };
}

const mirroring = (first, second, route = {}, shadow = {}) => passingOn(first, {}, { mirror: 'upstream:shadow', ...route },
    { 'upstream shadow': { check: 'no', server: second.address, requests_max: 1000, requests_per_address: 1000, ...shadow } });
const mirrored = (galley, outcome) => galley.metric(`galley_upstream_mirrored_total{upstream="shadow",outcome="${outcome}"}`);
const yes = () => startSeeing((response) => response.end('yes'));

test('the copy is the request as the first one got it', async () => {
    const first = await yes(), second = await startSeeing((response) => response.writeHead(500).end('no'));
    const galley = await startGalley(mirroring(first.upstream, second.upstream, { strip_prefix: '/up' }));
    for (const [method, body] of [['GET'], ['POST', 'hello'], ['PUT', 'x'.repeat(60000)], ['DELETE']]) {
        const { status, body: text } = await galley.request(method, '/up/a%20b/c?d=e', { body, headers: { 'x-own': 'mine' } });
        assert.deepEqual([status, text], [200, 'yes']);
    }
    await eventually('all copies are there', () => second.seen.length === 4);
    const byMethod = (list) => list.map(({ method, url, headers, body }) => {
        const { host, 'x-own': own, 'x-request-id': id, 'x-forwarded-for': client } = headers;
        return { method, url, body, host, own, id, client };
    }).sort((a, b) => (a.method < b.method ? -1 : 1));
    assert.deepEqual(byMethod(second.seen), byMethod(first.seen));
    assert.equal(second.seen[0].url, '/a%20b/c?d=e');
    await eventually('they are counted', async () => await mirrored(galley, 'sent') === 4);
});

test('an upstream for copies that is down, silent or talks nonsense costs nobody anything', async () => {
    const first = await yes();
    const silent = await startSeeing(() => {});
    const nonsense = await startRawUpstream((socket) => socket.on('data', () => socket.write('no HTTP\r\n\r\n')));
    const endless = await startSeeing((response) => {
        const more = () => response.write('x'.repeat(65536), more);
        response.on('error', () => {});
        more();
    });
    const down = await yes();
    await down.upstream.stop();
    for (const shadow of [silent.upstream, nonsense, endless.upstream, down.upstream]) {
        const galley = await startGalley(mirroring(first.upstream, shadow));
        for (let i = 0; i < 20; i++) assert.equal((await galley.request('GET', '/up/x')).status, 200);
        assert.equal(await mirrored(galley, 'sent'), 20);
        await galley.stop(); // with copies under way
    }
});

test('beyond 256 copies under way no more are made', async () => {
    const first = await yes(), silent = await startSeeing(() => {});
    const galley = await startGalley(mirroring(first.upstream, silent.upstream));
    for (let i = 0; i < 260; i++) assert.equal((await galley.request('GET', '/up/x')).status, 200);
    assert.equal(await mirrored(galley, 'sent'), 256);
    assert.equal(await mirrored(galley, 'too_many'), 4);
});

test('mirror_share = 25: one of four', async () => {
    const first = await yes(), second = await startSeeing();
    const galley = await startGalley(mirroring(first.upstream, second.upstream, { mirror_share: 25 }));
    for (let i = 0; i < 40; i++) assert.equal((await galley.request('GET', `/up/${i}`)).status, 200);
    await eventually('ten are there', () => second.seen.length === 10);
    assert.equal(await mirrored(galley, 'sent'), 10);
});

test('what is large, comes in chunks, or is a WebSocket is not copied', async () => {
    const first = await yes(), second = await startSeeing();
    const galley = await startGalley(mirroring(first.upstream, second.upstream));
    assert.equal((await galley.request('POST', '/up/large', { body: 'x'.repeat(65537) })).status, 200);
    const raw = await galley.connect();
    raw.send('POST /up/chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n');
    assert.equal((await raw.response()).status, 200);
    raw.send('GET /up/socket HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
    assert.equal((await raw.response()).status, 200);
    assert.equal((await galley.request('GET', '/up/last')).status, 200);
    await eventually('the last one is there', () => second.seen.length === 1);
    assert.equal(second.seen[0].url, '/up/last');
    assert.equal(await mirrored(galley, 'unfit'), 3);
});

test('a body that comes slowly is copied when it is there, and a reload ends the copies', async () => {
    const first = await yes(), second = await startSeeing();
    const galley = await startGalley(mirroring(first.upstream, second.upstream));
    const raw = await galley.connect();
    raw.send('POST /up/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc');
    raw.send('def');
    assert.equal((await raw.response()).status, 200);
    await eventually('the copy is there', () => second.seen.length === 1);
    assert.equal(second.seen[0].body, 'abcdef');
    await galley.configure(passingOn(first.upstream).config);
    await galley.reload();
    assert.equal((await galley.request('GET', '/up/x')).status, 200);
    assert.equal(first.seen.length, 2);
    assert.equal(second.seen.length, 1);
});

test('a mirror that leads nowhere, or of what is not passed on, is an error with its line', async () => {
    const galley = await startGalley();
    await galley.configure({ 'route a': { path: '/a', target: 'respond:200', mirror: 'upstream:b' }, 'upstream b': { server: '127.0.0.1:1' } });
    await galley.reload();
    assert.match(galley.log(), /config\.ini:\d+: \[route a\] mirror is for requests to upstream: and compose:/);
    await galley.configure({ 'route a': { path: '/a', target: 'upstream:b', mirror: 'upstream:c' }, 'upstream b': { server: '127.0.0.1:1' } });
    await galley.reload();
    assert.match(galley.log(), /config\.ini:\d+: \[route a\] mirror: there is no such upstream/);
});
