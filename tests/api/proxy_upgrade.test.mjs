// WebSockets through Galley: after the handshake bytes go both ways, in no thread's way.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';
import { passingOn, startRawUpstream, startUpstream } from '../lib/upstream.mjs';

const MIB = 1024 * 1024;

// An upstream that agrees to WebSockets and hands `talk` the connection.
async function startTalking(talk) {
    const upstream = await startUpstream();
    upstream.talks = [];
    upstream.server.on('upgrade', (request, socket, head) => {
        upstream.requests.push(request);
        upstream.talks.push(socket);
        socket.on('error', () => {});
        socket.on('end', () => socket.end()); // servers leave them half open
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
            'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n');
        if (head.length > 0) socket.unshift(head);
        talk(socket);
    });
    return upstream;
}

const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13' };

// { response, socket, head } of an upgraded connection.
function connect(galley, path = '/up/socket') {
    return new Promise((resolve, reject) => {
        const request = http.get({ port: galley.port, path, headers, agent: false });
        request.on('upgrade', (response, socket, head) => {
            if (head.length > 0) socket.unshift(head);
            socket.on('error', () => {});
            resolve({ response, socket });
        });
        request.on('response', (response) => reject(new Error(`not upgraded: ${response.statusCode}`)));
        request.on('error', reject);
    });
}

const next = (socket) => new Promise((resolve) => socket.once('data', (bytes) => resolve(bytes.toString())));
const closed = (socket) => new Promise((resolve) => (socket.destroyed ? resolve() : socket.on('close', resolve)));

test('a WebSocket passes a route that changes headers and JSON', async () => {
    const upstream = await startTalking((socket) => socket.pipe(socket));
    const galley = await startGalley(passingOn(upstream, {}, {
        request_header: 'set X-Client {client}', response_header: 'set X-A 1', response_json: 'remove secret', response_status: '200-299 as 203',
    }));
    const { response, socket } = await connect(galley);
    assert.equal(response.statusCode, 101);
    assert.equal(response.headers['x-a'], '1');
    assert.equal(upstream.requests[0].headers['x-client'], '127.0.0.1');
    const echo = next(socket);
    socket.write('{"secret":1}');
    assert.equal(await echo, '{"secret":1}');
    socket.destroy();
});

test('a WebSocket is agreed on with the server, and bytes go both ways', async () => {
    const upstream = await startTalking((socket) => socket.pipe(socket));
    const galley = await startGalley(passingOn(upstream));
    const { response, socket } = await connect(galley);
    assert.equal(response.statusCode, 101);
    assert.equal(response.headers.upgrade, 'websocket');
    assert.equal(response.headers.connection, 'Upgrade');
    assert.equal(response.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    assert.equal(upstream.requests[0].headers['sec-websocket-key'], headers['sec-websocket-key']);
    for (const text of ['one', 'two', 'three']) {
        const echo = next(socket);
        socket.write(text);
        assert.equal(await echo, text);
    }
    socket.destroy();
    await closed(upstream.talks[0]);
});

test('what the client sends with its request is not lost', async () => {
    let received = '';
    const upstream = await startTalking((socket) => socket.on('data', (bytes) => {
        received += bytes;
        if (received === 'early late') socket.end(received);
    }));
    const galley = await startGalley(passingOn(upstream));
    const client = await galley.connect();
    client.send('GET /up/x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\nearly');
    assert.equal((await client.response()).status, 101);
    client.send(' late');
    assert.equal(await client.untilClosed(), 'early late');
});

test('much goes both ways at once, at the pace of who takes it', async () => {
    const upstream = await startTalking((socket) => socket.pipe(socket));
    const galley = await startGalley(passingOn(upstream));
    const { socket } = await connect(galley);
    const piece = Buffer.from(Array.from({ length: 65536 }, (_, i) => i % 251));
    const sent = (async () => {
        for (let i = 0; i < 512; i++) if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve));
    })();
    let received = 0;
    for await (const bytes of socket) {
        const expected = (received % 65536) % 251;
        assert.equal(bytes[0], expected);
        received += bytes.length;
        if (received === 32 * MIB) break;
    }
    await sent;
});

test('either side may end it, and a stop ends all', async () => {
    const upstream = await startTalking((socket) => socket.on('data', (bytes) => bytes.toString() === 'end' && socket.end('bye')));
    const galley = await startGalley(passingOn(upstream));
    const ended = await connect(galley);
    ended.socket.write('end');
    assert.equal(await next(ended.socket), 'bye');
    await closed(ended.socket);
    const left = await connect(galley);
    left.socket.end();
    await closed(upstream.talks[1]);
    const open = await connect(galley);
    open.socket.resume();
    await galley.stop();
    await Promise.all([closed(open.socket), closed(upstream.talks[2])]);
});

test('hundreds of them hold no worker, and no place among the requests of their upstream', async () => {
    const upstream = await startTalking((socket) => socket.pipe(socket));
    const galley = await startGalley(passingOn(upstream, { requests_max: 4 }, {}, { server: { workers: 4 } }));
    const all = [];
    for (let i = 0; i < 300; i++) all.push(await connect(galley));
    assert.equal((await galley.request('GET', '/healthz')).status, 200);
    const echoes = all.map(({ socket }) => next(socket));
    all.forEach(({ socket }, i) => socket.write(`I am ${i}`));
    (await Promise.all(echoes)).forEach((text, i) => assert.equal(text, `I am ${i}`));
    all.forEach(({ socket }) => socket.destroy());
});

test('a server that does not agree answers as it likes; other protocols are not asked for', async () => {
    const upstream = await startUpstream((request, response) => {
        response.statusCode = 426;
        response.setHeader('x-upgrade', request.headers.upgrade ?? 'none');
        response.end('no');
    });
    const galley = await startGalley(passingOn(upstream));
    upstream.server.on('upgrade', (request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'));
    const refused = await galley.request('GET', '/up/x', { headers, agent: false });
    assert.equal(refused.status, 403);
    const other = await galley.request('GET', '/up/x', { headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' }, agent: false });
    assert.equal(other.status, 426);
    assert.equal(other.headers['x-upgrade'], 'none');
    const post = await galley.request('POST', '/up/x', { headers, body: 'a', agent: false });
    assert.equal(post.headers['x-upgrade'], 'none');
});

test('no tunnel is opened that the client or the server has not agreed to', async () => {
    const upstream = await startTalking(() => {});
    const galley = await startGalley(passingOn(upstream));
    upstream.server.on('request', (request, response) => response.setHeader('x-upgrade', request.headers.upgrade ?? 'none'));
    for (const connection of ['keep-alive', 'upgraded', 'keep-alive, x-upgrade']) {
        const client = await galley.connect();
        client.send(`GET /up/x HTTP/1.1\r\nHost: a\r\nConnection: ${connection}\r\nUpgrade: websocket\r\n\r\n`);
        const response = await client.response();
        assert.equal(response.status, 200);
        assert.equal(response.headers['x-upgrade'], 'none');
    }
    const both = await galley.connect();
    both.send('GET /up/x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n');
    assert.equal((await both.response()).status, 101);
    upstream.talks.forEach((socket) => socket.destroy());
});

test('a server that changes to another protocol than was asked for answers nothing', async () => {
    for (const said of ['Upgrade: h2c\r\nConnection: Upgrade\r\n', '']) {
        const upstream = await startRawUpstream((socket) => socket.on('data', () => socket.write(`HTTP/1.1 101 Switching Protocols\r\n${said}\r\n`)));
        const galley = await startGalley(passingOn(upstream, { retries: 0 }));
        assert.equal((await galley.request('GET', '/up/x', { headers, agent: false })).status, 502);
    }
});
