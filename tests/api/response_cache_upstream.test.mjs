// Stored answers of an upstream: simultaneous misses, streams, what is stale, an origin that fails, and a stop.
import assert from 'node:assert/strict';
import http from 'node:http';
import { once } from 'node:events';
import test, { after } from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';

// An origin whose answers are given by hand: origin.requests has who waits, answer(request, ...) is theirs.
async function startOrigin() {
    const origin = { requests: [], answer: null };
    const server = http.createServer((request, response) => {
        const asked = { url: request.url, method: request.method, headers: request.headers, response };
        origin.requests.push(asked);
        origin.answer?.(asked);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    after(() => {
        server.closeAllConnections();
        server.close();
    });
    origin.port = server.address().port;
    origin.asked = (count) => eventually(`${count} requests`, () => origin.requests.length >= count);
    return origin;
}

const reply = ({ response }, body, headers = {}, status = 200) => response.writeHead(status, headers).end(body);

async function start(cache = {}, server = {}) {
    const origin = await startOrigin();
    const galley = await startGalley({
        config: {
            'upstream origin': { server: `127.0.0.1:${origin.port}`, retries: 0 },
            'route shop': { path: '/products' },
            'route origin': { path: '/*', target: 'upstream:origin', cache: 'yes' },
            cache,
            server,
        },
    });
    const get = async (path, headers = {}, method = 'GET') => {
        const { status, raw, headers: got } = await galley.request(method, path, { headers, agent: false });
        return { status, text: raw.toString(), headers: got, cache: got['cache-status'] };
    };
    return { origin, galley, get };
}

test('a crowd that asks for one thing is one request to the origin', async () => {
    const { origin, get } = await start();
    const crowd = Array.from({ length: 40 }, () => get('/a'));
    await origin.asked(1);
    const late = Array.from({ length: 10 }, () => get('/a'));
    await new Promise((resolve) => setImmediate(resolve));
    reply(origin.requests[0], 'one', { 'Cache-Control': 'max-age=60' });
    const answers = await Promise.all([...crowd, ...late]);
    assert.deepEqual([...new Set(answers.map(({ status, text }) => `${status} ${text}`))], ['200 one']);
    assert.equal(origin.requests.length, 1);
    assert.equal(answers.filter(({ cache }) => cache === 'galley; fwd=uri-miss; stored').length, 1);
    assert.ok(answers.every(({ cache }) => /stored|collapsed|hit/.test(cache)));
});

test('a crowd that asks for two variants is two requests', async () => {
    const { origin, get } = await start();
    origin.answer = (asked) => asked.headers.foo && setImmediate(() =>
        reply(asked, `foo ${asked.headers.foo}`, { 'Cache-Control': 'max-age=60', Vary: 'Foo' }));
    const crowd = Array.from({ length: 30 }, (_, i) => get('/a', { Foo: String(i % 2) }));
    const answers = await Promise.all(crowd);
    answers.forEach(({ text }, i) => assert.equal(text, `foo ${i % 2}`));
    assert.equal(origin.requests.length, 2);
});

test('what is not to be stored is asked for by each, side by side', async () => {
    const { origin, get } = await start();
    const crowd = Array.from({ length: 10 }, (_, i) => get('/a', { 'X-Number': String(i) }));
    await origin.asked(1);
    reply(origin.requests[0], origin.requests[0].headers['x-number'], { 'Cache-Control': 'no-store' });
    await origin.asked(10);
    for (const asked of origin.requests.slice(1)) reply(asked, asked.headers['x-number'], { 'Cache-Control': 'no-store' });
    (await Promise.all(crowd)).forEach(({ text }, i) => assert.equal(text, String(i)));
});

test('an answer that streams is stored when it has ended, and one that is too large is not', async () => {
    const { origin, get } = await start({ response_max: '200KiB' });
    origin.answer = (asked) => {
        const large = asked.url === '/large';
        asked.response.writeHead(200, { 'Cache-Control': 'max-age=60' });
        for (let i = 0; i < (large ? 4 : 2); i++) asked.response.write(Buffer.alloc(70_000, 97 + i));
        asked.response.end();
    };
    const first = await get('/small'), second = await get('/small');
    assert.equal(first.text.length, 140_000);
    assert.deepEqual([second.text, second.cache], [first.text, 'galley; hit; ttl=60']);
    for (let i = 0; i < 2; i++) assert.equal((await get('/large')).text.length, 280_000);
    assert.equal(origin.requests.length, 3);
});

test('an answer that breaks off is not stored', async () => {
    const { origin, get } = await start();
    origin.answer = ({ response }) => {
        response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Content-Length': 200_000 });
        response.write(Buffer.alloc(100_000), () => response.destroy());
    };
    await assert.rejects(get('/a'));
    origin.answer = (asked) => reply(asked, 'whole', { 'Cache-Control': 'max-age=60' });
    assert.deepEqual([(await get('/a')).text, (await get('/a')).cache], ['whole', 'galley; hit; ttl=60']);
});

test('stale-while-revalidate: the old answer at once, the new one after it, small or streaming', async () => {
    for (const size of [10, 200_000]) {
        const { origin, get } = await start();
        const headers = { 'Cache-Control': 'max-age=0, stale-while-revalidate=60' };
        origin.answer = (asked) => reply(asked, 'a'.repeat(size), headers);
        await get('/a?b=%20c', { Cookie: 'x=1' });
        origin.answer = null;
        const old = await get('/a?b=%20c', { Cookie: 'x=1' });
        assert.match(old.cache, /^galley; hit; ttl=-?\d+$/);
        assert.equal(old.text, 'a'.repeat(size));
        await origin.asked(2);
        assert.deepEqual([origin.requests[1].url, origin.requests[1].headers.cookie], ['/a?b=%20c', 'x=1']);
        assert.equal(origin.requests[1].headers['x-galley-refresh'], undefined);
        await get('/a?b=%20c'); // one is under way
        reply(origin.requests[1], 'b'.repeat(size), { 'Cache-Control': 'max-age=60' });
        await eventually('the new answer', async () => (await get('/a?b=%20c')).text === 'b'.repeat(size));
        assert.equal(origin.requests.length, 2);
    }
});

test('stale-if-error: the old answer for one that fails, and while nobody answers', async () => {
    const { origin, get } = await start();
    origin.answer = (asked) => reply(asked, 'old', { 'Cache-Control': 'max-age=0, stale-if-error=60', ETag: '"1"' });
    await get('/a');
    origin.answer = (asked) => reply(asked, 'broken', {}, 503);
    const answer = await get('/a');
    assert.deepEqual([answer.status, answer.text], [200, 'old']);
    assert.match(answer.cache, /^galley; fwd=stale; fwd-status=503; ttl=-?\d+$/);
    origin.answer = ({ response }) => response.destroy();
    assert.deepEqual([(await get('/a')).status, (await get('/b')).status], [200, 502]);
});

test('what is stale is confirmed, and the client\'s own conditions stay here', async () => {
    const { origin, get } = await start();
    origin.answer = (asked) => reply(asked, 'old', { 'Cache-Control': 'no-cache', ETag: '"1"', A: '1' });
    await get('/a', { 'If-None-Match': '"0"' });
    assert.equal(origin.requests[0].headers['if-none-match'], undefined);
    origin.answer = (asked) => reply(asked, undefined, { ETag: '"1"', A: '2' }, 304);
    const answer = await get('/a', { 'If-None-Match': '"0"' });
    assert.equal(origin.requests[1].headers['if-none-match'], '"1"');
    assert.deepEqual([answer.status, answer.text, answer.headers.a], [200, 'old', '2']);
    assert.equal((await get('/a', { 'If-None-Match': '"1"' })).status, 304);
});

test('a change drops what is stored, and what is being fetched meanwhile is not stored', async () => {
    const { origin, get } = await start();
    const slow = get('/a');
    await origin.asked(1);
    const changed = get('/a', {}, 'DELETE');
    await origin.asked(2);
    reply(origin.requests[1], '', {}, 204);
    assert.equal((await changed).status, 204);
    reply(origin.requests[0], 'before', { 'Cache-Control': 'max-age=60' });
    assert.equal((await slow).text, 'before');
    origin.answer = (asked) => reply(asked, 'after', { 'Cache-Control': 'max-age=60' });
    assert.equal((await get('/a')).text, 'after');
});

test('nobody has stored for others what the origin was not asked for', async () => {
    const { origin, get } = await start();
    origin.answer = (asked) => reply(asked, `${asked.headers.foo} ${asked.headers['x-original-url']}`,
        { 'Cache-Control': 'max-age=60', Vary: 'Foo' });
    const hidden = await get('/a', { Foo: '1', Connection: 'close, foo' });
    assert.deepEqual([hidden.text, hidden.cache], ['undefined undefined', 'galley; fwd=bypass']);
    assert.equal((await get('/a', { Foo: '1', 'X-Original-URL': '/b' })).text, '1 undefined');
    assert.equal((await get('/a', { Foo: '1' })).cache, 'galley; hit; ttl=60');
});

test('a client that leaves does not take the answer away from those who wait for it', async () => {
    const { origin, galley, get } = await start();
    const leader = http.get(`${galley.url}/a`).on('error', () => {});
    await origin.asked(1);
    const others = [get('/a'), get('/a')];
    leader.destroy();
    origin.answer = (asked) => reply(asked, 'answer', { 'Cache-Control': 'max-age=60' });
    if (origin.requests[0].response.writable) origin.answer(origin.requests[0]);
    assert.deepEqual((await Promise.all(others)).map(({ text }) => text), ['answer', 'answer']);
});

test('a stop ends in time though some wait for another, who waits for the origin', async () => {
    const { origin, galley } = await start({}, { drain_timeout: '1s' });
    const crowd = Array.from({ length: 5 }, () => http.get(`${galley.url}/a`).on('error', () => {}));
    await origin.asked(1);
    const exit = await galley.terminate();
    assert.equal(exit.code, 1); // as they had to be cut
    assert.match(galley.log(), /5 connections had to be cut/);
    for (const request of crowd) request.destroy();
});
