// Requests that are passed on to other servers: there and back.
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { eventually, freePort, startGalley } from '../lib/galley.mjs';
import { echo, passingOn, readAll, startRawUpstream, startUpstream } from '../lib/upstream.mjs';

const MIB = 1024 * 1024;
const outcomes = (galley, upstream, outcome) =>
    galley.metric(`galley_upstream_requests_total{upstream="up",server="${upstream.address}",outcome="${outcome}"}`);

test('a request goes on as it came, and its answer comes back', async () => {
    const upstream = await startUpstream((request, response) => {
        response.setHeader('x-own', 'yes');
        response.setHeader('set-cookie', ['a=1', 'b=2']);
        response.statusCode = 201;
        echo(request, response);
    });
    const galley = await startGalley(passingOn(upstream));
    const answer = await galley.request('POST', '/up/a%20b?x=1&y=%2F', { json: { a: 1 }, headers: { 'x-some': 'thing' } });
    assert.equal(answer.status, 201);
    assert.equal(answer.headers['x-own'], 'yes');
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2']);
    assert.equal(answer.headers['x-content-type-options'], 'nosniff');
    assert.equal(answer.headers.via, '1.1 galley');
    assert.equal(answer.body.method, 'POST');
    assert.equal(answer.body.url, '/up/a%20b?x=1&y=%2F');
    assert.equal(answer.body.body, '{"a":1}');
    assert.equal(answer.body.headers['x-some'], 'thing');
    assert.equal(answer.body.headers['content-type'], 'application/json');
    assert.equal(answer.body.headers.host, `127.0.0.1:${galley.port}`);
});

test('the server is told where the request comes from, whatever the client says', async () => {
    const upstream = await startUpstream();
    const galley = await startGalley(passingOn(upstream));
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const { body, headers } = await galley.request('GET', '/up/x', {
        headers: {
            forwarded: 'for=192.0.2.9', 'x-forwarded-for': '192.0.2.9', 'x-forwarded-proto': 'https',
            'x-forwarded-host': 'evil.example', 'x-real-ip': '192.0.2.9', 'x-user-id': 'root',
            'x-user-roles': 'admin', 'x-credential-id': '1', 'x-request-id': 'mine',
            traceparent: `00-${trace}-00f067aa0ba902b7-01`, tracestate: 'a=b',
        },
    });
    assert.equal(body.headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(body.headers['x-forwarded-proto'], 'http');
    assert.equal(body.headers['x-forwarded-host'], `127.0.0.1:${galley.port}`);
    assert.equal(body.headers.forwarded, `for=127.0.0.1;proto=http;host="127.0.0.1:${galley.port}"`);
    assert.equal(body.headers['x-request-id'], headers['x-request-id']);
    for (const name of ['x-real-ip', 'x-user-id', 'x-user-roles', 'x-credential-id'])
        assert.equal(body.headers[name], undefined, name);
    const [, , span] = new RegExp(`^00-(${trace})-([0-9a-f]{16})-01$`).exec(body.headers.traceparent);
    assert.notEqual(span, '00f067aa0ba902b7');
    assert.equal(body.headers.tracestate, 'a=b');
});

test('a trace is started where none came, or none that can be read', async () => {
    const upstream = await startUpstream();
    const galley = await startGalley(passingOn(upstream));
    for (const traceparent of [undefined, 'nonsense', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`]) {
        const headers = traceparent ? { traceparent } : {};
        const { body } = await galley.request('GET', '/up/x', { headers });
        assert.match(body.headers.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    }
});

test('what is for one hop alone stays there, both ways', async () => {
    const upstream = await startRawUpstream((socket) => socket.once('data', () => socket.write(
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Gone, keep-alive\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\n' +
        'Proxy-Authenticate: Basic\r\nX-Stays: 1\r\nUpgrade: h2c\r\n\r\nok')));
    const galley = await startGalley(passingOn(upstream));
    const answer = await galley.request('GET', '/up/x', {
        headers: { connection: 'x-hop, keep-alive', 'x-hop': '1', te: 'trailers', 'keep-alive': 'timeout=1', upgrade: 'h2c', 'x-stays': '1' },
    });
    assert.equal(answer.body, 'ok');
    assert.equal(answer.headers['x-stays'], '1');
    for (const name of ['x-gone', 'proxy-authenticate', 'upgrade']) assert.equal(answer.headers[name], undefined, name);
    assert.match(upstream.received, /^x-stays: 1\r$/mi);
    assert.doesNotMatch(upstream.received, /^(x-hop|te|keep-alive|upgrade|connection):/mi);
});

test('who has signed in is named to the server', async () => {
    const upstream = await startUpstream();
    const config = passingOn(upstream, {}, { roles: 'customer' }).config;
    delete config.shop;
    delete config['route shop'];
    config['route shop'] = { path: '/products/*', target: 'app:shop' };
    const galley = await startGalley({ config });
    assertError(await galley.request('GET', '/up/x'), 401, 'UNAUTHENTICATED');
    const { body } = await galley.request('GET', '/up/x', { token: await galley.login(), headers: { 'x-user-id': 'root' } });
    assert.equal(body.headers['x-user-roles'], 'customer');
    assert.ok(body.headers['x-user-id'].length > 0);
    assert.notEqual(body.headers['x-user-id'], 'root');
    assert.match(body.headers['x-credential-id'], /^[0-9a-f-]{36}$/);
});

test('each method, and answers without a body', async () => {
    const upstream = await startUpstream((request, response) => {
        if (request.url === '/up/304') return response.writeHead(304, { etag: '"a"' }).end();
        if (request.url === '/up/204') return response.writeHead(204).end();
        response.setHeader('x-method', request.method);
        response.setHeader('content-length', 5);
        return response.end(request.method === 'HEAD' ? undefined : 'hello');
    });
    const galley = await startGalley(passingOn(upstream));
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
        const { body, headers } = await galley.request(method, '/up/x');
        assert.equal(body, 'hello');
        assert.equal(headers['x-method'], method);
    }
    const head = await galley.request('HEAD', '/up/x');
    assert.equal(head.headers['x-method'], 'HEAD');
    assert.equal(head.headers['content-length'], '5');
    assert.equal((await galley.request('GET', '/up/204')).status, 204);
    const known = await galley.request('GET', '/up/304');
    assert.equal(known.status, 304);
    assert.equal(known.headers.etag, '"a"');
    assert.equal(await outcomes(galley, upstream, 'answered'), 9);
});

test('connections are used again, and a server that has closed one is asked over another', async () => {
    const upstream = await startUpstream();
    const galley = await startGalley(passingOn(upstream));
    for (let i = 0; i < 5; i++) assert.equal((await galley.request('GET', '/up/x')).status, 200);
    assert.equal(upstream.connections, 1);
    upstream.server.closeAllConnections();
    assert.equal((await galley.request('GET', '/up/x')).status, 200);
    assert.equal((await galley.request('POST', '/up/x', { body: 'a' })).status, 200);
    assert.equal(upstream.connections, 2);
});

test('a connection that ends when its request comes costs a GET nothing, and a POST is not sent twice', async () => {
    let posts = 0;
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    const upstream = await startRawUpstream((socket) => {
        let requests = 0;
        socket.on('data', (bytes) => {
            posts += bytes.toString().startsWith('POST') ? 1 : 0;
            if (requests++ === 0) socket.write(answer);
            else socket.destroy();
        });
    });
    const galley = await startGalley(passingOn(upstream));
    assert.equal((await galley.request('GET', '/up/1')).status, 200);
    assert.equal((await galley.request('GET', '/up/2')).status, 200);
    assert.equal(upstream.connections, 2);
    assertError(await galley.request('POST', '/up/3', { body: 'a' }), 502, 'BAD_GATEWAY');
    assert.equal(posts, 1);
});

test('keepalive = 0: a connection for each request, and the server is told', async () => {
    const upstream = await startUpstream();
    const galley = await startGalley(passingOn(upstream, { keepalive: 0 }));
    for (let i = 0; i < 3; i++)
        assert.equal((await galley.request('GET', '/up/x')).body.headers.connection, 'close');
    assert.equal(upstream.connections, 3);
});

test('a server on a Unix socket', async () => {
    const socket = path.join('/tmp', `galley-up-${process.pid}.sock`);
    const upstream = await startUpstream(echo, { listen: { path: socket } });
    const galley = await startGalley(passingOn(upstream));
    assert.equal((await galley.request('GET', '/up/x')).body.url, '/up/x');
    await upstream.stop();
    assertError(await galley.request('GET', '/up/x'), 502, 'BAD_GATEWAY');
});

test('nobody there: 502; the next server is asked first', async () => {
    const upstream = await startUpstream();
    const nobody = `127.0.0.1:${await freePort()}`;
    const alone = await startGalley(passingOn(nobody));
    assertError(await alone.request('GET', '/up/x'), 502, 'BAD_GATEWAY');
    const galley = await startGalley(passingOn([nobody, upstream]));
    for (let i = 0; i < 6; i++) assert.equal((await galley.request('POST', '/up/x', { body: 'a' })).status, 200);
});

test('an answer of 503 is another server\'s turn, where the request may be repeated', async () => {
    const tired = await startUpstream((request, response) => response.writeHead(503, { 'x-by': 'tired' }).end('tired'));
    const awake = await startUpstream();
    const galley = await startGalley(passingOn([tired, awake], { outlier_errors: 0, breaker_share: 0, retry_budget: 100 }));
    for (let i = 0; i < 6; i++) assert.equal((await galley.request('GET', '/up/x')).status, 200);
    const posts = [];
    for (let i = 0; i < 6; i++) posts.push((await galley.request('POST', '/up/x', { body: 'a' })).status);
    assert.deepEqual(posts.sort(), [200, 200, 200, 503, 503, 503]);
});

test('a server that does not answer in time: 504, and it can be told by phase', async () => {
    const upstream = await startUpstream((request, response) => {
        if (request.url === '/up/head') return;
        response.setHeader('content-length', 10);
        response.write('half');
    });
    const galley = await startGalley(passingOn(upstream, { first_byte_timeout: '300ms', retries: 0 }));
    assertError(await galley.request('GET', '/up/head'), 504, 'GATEWAY_TIMEOUT');
    assertError(await galley.request('GET', '/up/body'), 504, 'GATEWAY_TIMEOUT');
    assert.equal(await outcomes(galley, upstream, 'timeout'), 2);
});

test('a client that goes takes its request along', async () => {
    const gone = [];
    const upstream = await startUpstream((request) => request.socket.on('close', () => gone.push(request.url)));
    const galley = await startGalley(passingOn(upstream));
    const client = await galley.connect();
    client.send('GET /up/wait HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually('the request is there', () => upstream.requests.length === 1);
    client.destroy();
    await eventually('its connection is closed', () => gone.length === 1);
    assert.equal(await outcomes(galley, upstream, 'abandoned'), 1);
});

test('many wait for a silent server, and nobody else waits', async () => {
    const waiting = [];
    const upstream = await startUpstream((request, response) => waiting.push(response));
    const galley = await startGalley(passingOn(upstream, { requests_per_address: 256 }, {}, { server: { workers: 4 } }));
    const agent = new http.Agent({ maxSockets: Infinity });
    const answers = Array.from({ length: 100 }, () => galley.request('GET', '/up/x', { agent }));
    await eventually('all are there', () => waiting.length === 100);
    assert.equal((await galley.request('GET', '/healthz')).status, 200);
    assertError(await galley.request('GET', '/none'), 404, 'NOT_FOUND');
    waiting.forEach((response) => response.end('late'));
    for (const { status, body } of await Promise.all(answers)) {
        assert.equal(status, 200);
        assert.equal(body, 'late');
    }
});

// ---- Large bodies

const piece = Buffer.alloc(64 * 1024, 'x');

async function pour(size, stream) {
    for (let left = size; left > 0; left -= piece.length) {
        if (!stream.write(left < piece.length ? piece.subarray(0, left) : piece))
            await new Promise((resolve) => stream.once('drain', resolve));
    }
    stream.end();
}

async function count(stream) {
    let bytes = 0;
    for await (const chunk of stream) bytes += chunk.length;
    return bytes;
}

// The answer's status, and how many bytes its body has; -1: it was cut.
function exchange(galley, method, target, { headers, body = (request) => request.end() } = {}) {
    return new Promise((resolve, reject) => {
        const request = http.request({ port: galley.port, method, path: target, headers });
        request.on('error', reject);
        request.on('response', async (response) => {
            resolve({ status: response.statusCode, headers: response.headers, bytes: await count(response).catch(() => -1) });
        });
        body(request);
    });
}

test('a large answer comes as it is made, with its length or without', async () => {
    const upstream = await startUpstream((request, response) => {
        if (request.url === '/up/sized') response.setHeader('content-length', 64 * MIB);
        pour(64 * MIB, response);
    });
    const galley = await startGalley(passingOn(upstream));
    const sized = await exchange(galley, 'GET', '/up/sized');
    assert.equal(sized.bytes, 64 * MIB);
    assert.equal(sized.headers['content-length'], String(64 * MIB));
    const chunked = await exchange(galley, 'GET', '/up/chunked');
    assert.equal(chunked.bytes, 64 * MIB);
    assert.equal(chunked.headers['transfer-encoding'], 'chunked');
    const { bytes } = await exchange(galley, 'GET', '/up/sized');
    assert.equal(bytes, 64 * MIB);
    assert.equal(upstream.connections, 1);
});

test('a large body goes up as it comes, with its length or in chunks', async () => {
    const upstream = await startUpstream(async (request, response) => {
        const bytes = await count(request);
        response.setHeader('x-length', request.headers['content-length'] ?? 'chunked');
        response.end(String(bytes));
    });
    const galley = await startGalley(passingOn(upstream, {}, { body_max: '1GiB' }));
    const sized = await exchange(galley, 'PUT', '/up/x', {
        headers: { 'content-length': 64 * MIB }, body: (request) => pour(64 * MIB, request),
    });
    assert.equal(sized.status, 200);
    assert.equal(sized.headers['x-length'], String(64 * MIB));
    const chunked = await exchange(galley, 'PUT', '/up/x', { body: (request) => pour(64 * MIB, request) });
    assert.equal(chunked.status, 200);
    assert.equal(chunked.headers['x-length'], 'chunked');
    assert.equal(upstream.connections, 1);
});

test('a body above body_max is refused, and the server does not get all of it', async () => {
    const upstream = await startUpstream(async (request, response) => response.end(String(await count(request).catch(() => -1))));
    const galley = await startGalley(passingOn(upstream, {}, { body_max: '1MiB' }));
    const sized = await galley.connect();
    sized.send(`PUT /up/x HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 * MIB}\r\n\r\n`);
    assert.equal((await sized.response()).status, 413);
    assert.equal(upstream.requests.length, 0);
    const chunked = await galley.connect();
    chunked.send('PUT /up/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 17; i++) chunked.send(Buffer.concat([Buffer.from('10000\r\n'), piece, Buffer.from('\r\n')]));
    assert.equal((await chunked.response()).status, 413);
});

test('a server may refuse a body before it has read it', async () => {
    const upstream = await startRawUpstream((socket) => socket.once('data', () => {
        socket.pause();
        socket.write('HTTP/1.1 401 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
    }));
    const galley = await startGalley(passingOn(upstream, {}, { body_max: '1GiB' }));
    const client = await galley.connect();
    client.send(`PUT /up/x HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 * MIB}\r\n\r\n`);
    for (let i = 0; i < 32; i++) client.send(piece);
    const answer = await client.response();
    assert.equal(answer.status, 401);
    assert.equal(answer.body, 'no');
});

test('a client that waits for "100 Continue" gets it', async () => {
    const upstream = await startUpstream();
    const galley = await startGalley(passingOn(upstream));
    const client = await galley.connect();
    client.send('POST /up/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
    assert.equal((await client.response()).status, 100);
    client.send('hello');
    const answer = await client.response();
    assert.equal(answer.status, 200);
    assert.equal(JSON.parse(answer.body).body, 'hello');
});

test('events come as they happen', async () => {
    let say;
    let gone = false;
    const upstream = await startUpstream((request, response) => {
        request.socket.on('close', () => (gone = true));
        response.setHeader('content-type', 'text/event-stream');
        response.flushHeaders();
        say = (text) => response.write(`data: ${text}\n\n`);
    });
    const galley = await startGalley(passingOn(upstream, { first_byte_timeout: '200ms' }));
    const response = await new Promise((resolve) => http.get(`${galley.url}/up/events`, resolve));
    assert.equal(response.headers['content-type'], 'text/event-stream');
    const events = response[Symbol.asyncIterator]();
    for (const text of ['one', 'two', 'three']) {
        say(text);
        assert.equal((await events.next()).value.toString(), `data: ${text}\n\n`);
    }
    response.destroy();
    await eventually('the server is told', () => gone);
    assert.equal(await outcomes(galley, upstream, 'answered'), 1);
});

test('a stop ends events in good order, and lets a download finish', async () => {
    const responses = {};
    const upstream = await startUpstream((request, response) => {
        responses[request.url] = response;
        if (request.url === '/up/events') response.setHeader('content-type', 'text/event-stream');
        response.write('begin');
    });
    const galley = await startGalley(passingOn(upstream));
    const get = (url) => new Promise((resolve) => http.get(galley.url + url, resolve));
    const [events, download] = [await get('/up/events'), await get('/up/download')];
    const stopped = galley.stop();
    assert.equal((await readAll(events)).toString(), 'begin');
    responses['/up/download'].end(' end');
    assert.equal((await readAll(download)).toString(), 'begin end');
    await stopped;
});

test('a reload takes servers in and out, and loses nothing', async () => {
    const [one, two] = [await startUpstream(), await startUpstream()];
    const galley = await startGalley(passingOn(one));
    let stop = false;
    const statuses = {};
    const load = Array.from({ length: 4 }, async () => {
        while (!stop) {
            const { status } = await galley.request('GET', '/up/x');
            statuses[status] = (statuses[status] ?? 0) + 1;
        }
    });
    for (let i = 0; i < 10; i++) {
        await galley.configure(passingOn(i % 2 ? one : two).config);
        await galley.reload();
    }
    stop = true;
    await Promise.all(load);
    assert.deepEqual(Object.keys(statuses), ['200']);
    assert.ok(two.requests.length > 0);
    await galley.configure(passingOn(one, { tls: 'yes', tls_ca: '/nowhere' }).config);
    await galley.reload();
    assert.match(galley.log(), /\[upstream up\]: \/nowhere/);
    assert.equal((await galley.request('GET', '/up/x')).status, 200);
});

test('a route to an upstream that is not there is an error with its line', async () => {
    const galley = await startGalley();
    await galley.configure({ 'route up': { path: '/up/*', target: 'upstream:nowhere' } });
    await galley.reload();
    assert.match(galley.log(), /config\.ini:\d+: \[route up\] target: there is no \[upstream nowhere\]/);
});

test('what goes out to clients at their pace takes no place of requests_max', async () => {
    const big = Buffer.alloc(64 * MIB);
    const upstream = await startUpstream((request, response) => response.end(request.url === '/up/big' ? big : 'ok'));
    const galley = await startGalley(passingOn(upstream, { requests_max: 1 }));
    const slow = await new Promise((resolve, reject) => {
        http.get({ port: galley.port, path: '/up/big', agent: false }, resolve).on('error', reject);
    });
    assert.equal((await galley.request('GET', '/up/small')).status, 200);
    slow.destroy();
});
