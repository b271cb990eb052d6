// Answers made of several parts: [compose NAME].
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { eventually, runGalley, startGalley } from '../lib/galley.mjs';
import { startRawUpstream, startUpstream } from '../lib/upstream.mjs';

const json = (response, value, status = 200) => {
    response.statusCode = status;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(value));
};

// A Galley whose /home is composed of these parts, with servers { name: upstream }.
function composing(parts, servers = {}, { compose = {}, route = {}, more = {} } = {}) {
    const upstreams = Object.entries(servers).map(([name, server]) =>
        [`upstream ${name}`, { server: server.address, retries: 0, check: 'no', requests_per_address: 256 }]);
    return {
        config: {
            'compose home': { part: [parts].flat(), ...compose },
            'route home': { path: '/home', target: 'compose:home', ...route },
            ...Object.fromEntries(upstreams),
            ...more,
        },
    };
}

test('parts of routes and of upstreams are one answer, in the order of the file', async () => {
    const catalog = await startUpstream((request, response) => json(response, { url: request.url, user: request.headers['x-user-id'] }));
    const galley = await startGalley(composing(
        ['profile /users/me', 'orders /orders?limit=3', 'catalog upstream:catalog/products?limit=5&q=a%20b'], { catalog },
        { route: { signed_in: 'yes' } }));
    const token = await galley.login();
    const { status, headers, body, text } = await galley.request('GET', '/home', { token });
    assert.equal(status, 200);
    assert.equal(headers['x-galley-completed'], 'true');
    assert.deepEqual(Object.keys(body), ['profile', 'orders', 'catalog']);
    assert.equal(body.profile.username, 'alice');
    assert.ok(Array.isArray(body.orders.data ?? body.orders), text);
    assert.deepEqual(body.catalog, { url: '/products?limit=5&q=a%20b', user: body.profile.id });
});

test('parts are asked for at once', async () => {
    const held = [];
    const server = await startUpstream((request, response) => {
        held.push(response);
        if (held.length === 3) held.forEach((one, i) => json(one, { i }));
    });
    const galley = await startGalley(composing(['a upstream:s/a', 'b upstream:s/b', 'c upstream:s/c'], { s: server }));
    const { status, body } = await galley.request('GET', '/home');
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body), ['a', 'b', 'c']);
});

test('a stored answer that is a part of itself comes to an end', async () => {
    const galley = await startGalley(composing(['self /home'], {}, { route: { cache: 'yes', cache_ttl: '30s' } }));
    const { status } = await galley.request('GET', '/home');
    assert.ok(status >= 500, `${status}`);
});

test('a part may need what others have said', async () => {
    const server = await startUpstream((request, response) => json(response,
        request.url === '/first' ? { user: { id: 17, name: 'J ö/?&' } } : { url: request.url }));
    const galley = await startGalley(composing(
        ['first upstream:s/first', 'own upstream:s/items/{id}', 'second upstream:s/users/{first.user.id}?name={first.user.name}', 'third upstream:s/x{second.url}'],
        { s: server }, { route: { path: '/shops/{id}/home' }, compose: { } }));
    const { status, body, headers } = await galley.request('GET', '/shops/a%20b/home');
    assert.equal(status, 502); // what has slashes is no part of a path
    assert.match(body.error.message, /third/);
    assert.equal(headers['x-galley-missing'], 'third');
    assert.deepEqual(server.requests.map(({ url }) => url).sort(),
        ['/first', '/items/a%20b', '/users/17?name=J%20%C3%B6%2F%3F%26']);
});

test('no value leads out of its place in a path', async () => {
    const values = ['..', '.', '', 'a/b', '..;x', null, ['x'], { y: 1 }];
    let value;
    const server = await startUpstream((request, response) => json(response, { value }));
    const galley = await startGalley(composing(['a upstream:s/a', 'b upstream:s/b/{a.value}/c'], { s: server }));
    for (value of values) assert.equal((await galley.request('GET', '/home')).status, 502, JSON.stringify(value));
    assert.ok(server.requests.every(({ url }) => url === '/a'));
});

test('without an optional part the answer is there, and says so', async () => {
    const server = await startUpstream((request, response) =>
        request.url === '/bad' ? json(response, { secret: 1 }, 500) : json(response, { url: request.url }));
    const galley = await startGalley(composing(
        ['good upstream:s/good', 'bad upstream:s/bad optional', 'other upstream:s/bad fallback={"items": []}', 'html upstream:s/bad optional'], { s: server }));
    const { status, headers, body } = await galley.request('GET', '/home');
    assert.equal(status, 200);
    assert.equal(headers['x-galley-completed'], 'false');
    assert.equal(headers['x-galley-missing'], 'bad, other, html');
    assert.deepEqual(body, { good: { url: '/good' }, other: { items: [] } });
});

test('without a required part it is 502, or 504 if that came too late', async () => {
    const slow = await startRawUpstream(() => {});
    const server = await startUpstream((request, response) => json(response, {}, 404));
    const parts = ['a upstream:s/a', 'b upstream:slow/b timeout=50ms'];
    const late = await startGalley(composing(parts, { s: server, slow }));
    const answer = await late.request('GET', '/home');
    assertError(answer, 504, 'GATEWAY_TIMEOUT');
    assert.match(answer.body.error.message, /part b/);
    const bad = await startGalley(composing(['a upstream:s/a', 'b upstream:slow/b timeout=50ms optional'], { s: server, slow }));
    const other = await bad.request('GET', '/home');
    assertError(other, 502, 'BAD_GATEWAY');
    assert.equal(other.body.error.message, 'The part a was answered with 404.');
});

test('what is no JSON is no part', async () => {
    const bodies = ['', '{', '{"a":1}}', '17 18', '{"a":1,"a":2}', '<html>', '{"a":"\\u0000"}'];
    let body;
    const server = await startUpstream((request, response) => response.end(body));
    const galley = await startGalley(composing(['a upstream:s/a'], { s: server }));
    for (body of bodies) assert.equal((await galley.request('GET', '/home')).status, 502, body);
});

test('a large part is read as it comes, and one that is too large is none', async () => {
    const long = 'x'.repeat(600_000);
    const server = await startUpstream((request, response) => {
        response.write(`{"a":"${long}`);
        setImmediate(() => response.end(request.url === '/a' ? '"}' : `${long}"}`));
    });
    const galley = await startGalley(composing(['a upstream:s/a', 'b upstream:s/b optional'], { s: server }));
    const { status, body, headers } = await galley.request('GET', '/home');
    assert.equal(status, 200);
    assert.equal(body.a.a.length, 600_000);
    assert.equal(headers['x-galley-missing'], 'b');
});

test('merge = flat makes the members of all parts one object; of equal ones the first stays', async () => {
    const server = await startUpstream((request, response) =>
        json(response, request.url === '/list' ? [1] : { [request.url.slice(1)]: 1, same: request.url }));
    const galley = await startGalley(composing(['a upstream:s/a', 'b upstream:s/b', 'list upstream:s/list'], { s: server },
        { compose: { merge: 'flat' } }));
    assert.deepEqual((await galley.request('GET', '/home')).body, { a: 1, same: '/a', b: 1, list: [1] });
});

test('a part of a route passes all that protects the route', async () => {
    const galley = await startGalley(composing(['profile /users/me optional', 'products /products?limit=1'], {},
        { more: { 'route list': { path: '/products', target: 'app:shop', rate_limit: '1/h by ip' } } }));
    const first = await galley.request('GET', '/home');
    assert.equal(first.status, 200);
    assert.equal(first.headers['x-galley-missing'], 'profile'); // nobody has signed in
    assert.equal((await galley.request('GET', '/home')).status, 502); // one too many
});

test('a composed answer is stored only if it is complete and for everybody', async () => {
    let headers = {};
    const server = await startUpstream((request, response) => {
        for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
        json(response, { n: server.requests.length }, headers['x-status'] ?? 200);
    });
    const galley = await startGalley(composing(['a upstream:s/a optional'], { s: server },
        { route: { path: '/home/{n}', cache: 'yes', cache_ttl: '1min' } }));
    const stored = async (n) => {
        await galley.request('GET', `/home/${n}`);
        const { headers: { 'cache-status': status } } = await galley.request('GET', `/home/${n}`);
        return /; hit/.test(status);
    };
    assert.equal(await stored(0), true);
    const personal = [{ 'cache-control': 'private' }, { 'cache-control': 'max-age=60, No-Store' }, { 'set-cookie': 'a=1' }, { vary: 'Cookie' }, { 'x-status': 500 }];
    for (headers of personal) assert.equal(await stored(1 + personal.indexOf(headers)), false, JSON.stringify(headers));
});

test('an answer that is composed of itself comes to an end', async () => {
    const galley = await startGalley(composing(['a /home']));
    assert.equal((await galley.request('GET', '/home')).status, 502);
});

test('a part gets neither the body nor the conditions of the whole', async () => {
    const server = await startUpstream((request, response) => json(response, { headers: request.headers }));
    const galley = await startGalley(composing(['a upstream:s/a'], { s: server }));
    const { body } = await galley.request('GET', '/home', {
        headers: { range: 'bytes=0-1', 'if-none-match': '"x"', 'accept-encoding': 'gzip', 'x-own': 'yes', accept: 'application/json' },
    });
    for (const name of ['range', 'if-none-match', 'accept-encoding', 'content-length']) assert.equal(body.a.headers[name], undefined, name);
    assert.equal(body.a.headers['x-own'], 'yes');
});

test('a client that goes lets its parts go', async () => {
    const slow = await startRawUpstream(() => {});
    const galley = await startGalley(composing(['a upstream:slow/a'], { slow }));
    const client = net.connect(galley.port, '127.0.0.1');
    client.write('GET /home HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await eventually('the part is asked for', () => slow.received.includes('GET /a'));
    client.destroy();
    assert.equal((await galley.request('GET', '/healthz')).status, 200);
});

test('a stop does not wait for parts that do not come', async () => {
    const slow = await startRawUpstream(() => {});
    const galley = await startGalley(composing(['a upstream:slow/a timeout=1h'], { slow },
        { more: { server: { drain_timeout: '300ms' } } }));
    const answer = galley.request('GET', '/home').catch(() => null); // the connection is cut
    await eventually('the part is asked for', () => slow.received.includes('GET /a'));
    assert.equal((await galley.terminate()).code, 1); // something was cut
    await answer;
});

test('a hundred composed requests at once hold no worker while parts are awaited', async () => {
    const held = [];
    const server = await startUpstream((request, response) => held.push(response));
    const galley = await startGalley(composing(['a upstream:s/a', 'b upstream:s/b'], { s: server }, { more: { server: { workers: 4 } } }));
    const answers = Array.from({ length: 100 }, () => galley.request('GET', '/home', { agent: false }));
    await eventually('all are asked for', () => held.length === 128 || held.length === 200);
    assert.equal((await galley.request('GET', '/healthz', { agent: false })).status, 200);
    const answering = setInterval(() => held.splice(0).forEach((one) => json(one, {})), 5);
    for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
    clearInterval(answering);
});

test('what is wrong with a part is said with its line', async (t) => {
    const cwd = await mkdtemp(path.join(os.tmpdir(), 'galley-compose-'));
    t.after(() => rm(cwd, { recursive: true }));
    const check = async (text) => {
        await writeFile(path.join(cwd, 'config.ini'), text);
        return runGalley(['check'], { cwd });
    };
    const wrong = [
        ['part = a b', /a path, or upstream:NAME and a path, is behind the name/],
        ['part = ä /b', /a name has 1 to 64 letters/],
        ['part = a upstream:nowhere/b', /there is no \[upstream nowhere\]/],
        ['part = a /b/{c.d}', /is no target/],
        ['part = a /b timeout=1', /timeout is a duration/],
        ['part = a /b fallback={', /the fallback of a is no JSON/],
        ['part = a /b sometimes', /is none of timeout=, optional, fallback=/],
        ['part = a /b\npart = a /c', /there are two parts a/],
    ];
    for (const [line, message] of wrong) {
        const text = `[compose home]\n${line}\n[route home]\npath = /home\ntarget = compose:home\n`;
        const { status, stderr } = await check(text);
        assert.equal(status, 2, line);
        assert.match(stderr, message);
        assert.match(stderr, /config\.ini:[123]: \[compose home\]/);
    }
    const { stderr } = await check('[route home]\npath = /home\ntarget = compose:home\n');
    assert.match(stderr, /there is no \[compose home\]/);
});
