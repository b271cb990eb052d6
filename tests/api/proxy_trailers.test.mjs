// Fields behind the body of an answer, or of a request.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';

import { startGalley } from '../lib/galley.mjs';
import { passingOn, startRawUpstream, startUpstream } from '../lib/upstream.mjs';

// An answer of so many bytes with trailers, by a server of node's.
const startSumming = (size) => startUpstream((request, response) => {
    response.writeHead(200, { trailer: 'X-Sum, X-More' });
    response.write('x'.repeat(size));
    response.addTrailers({ 'X-Sum': '42', 'X-More': 'yes' });
    response.end();
});

async function get(galley, headers) {
    const response = await new Promise((resolve, reject) => {
        http.get({ port: galley.port, path: '/up/x', headers, agent: false }, resolve).on('error', reject);
    });
    const body = (await response.setEncoding('latin1').toArray()).join('');
    return { headers: response.headers, body, trailers: response.trailers };
}

for (const size of [5, 1024 * 1024]) {
    test(`a client that takes trailers gets them, behind ${size} bytes`, async () => {
        const upstream = await startSumming(size);
        const galley = await startGalley(passingOn(upstream));
        const answer = await get(galley, { te: 'trailers', connection: 'TE' });
        assert.equal(answer.body.length, size);
        assert.equal(answer.headers.trailer, 'X-Sum, X-More');
        assert.equal(answer.headers['x-sum'], undefined);
        assert.deepEqual({ ...answer.trailers }, { 'x-sum': '42', 'x-more': 'yes' });
        assert.equal(upstream.requests[0].headers.te, 'trailers');
    });

    test(`one that does not gets none, behind ${size} bytes`, async () => {
        const upstream = await startSumming(size);
        const galley = await startGalley(passingOn(upstream));
        const answer = await get(galley, { te: 'trailers' }); // of a proxy before us, that has not taken it away
        assert.equal(answer.body.length, size);
        assert.equal(answer.headers.trailer, undefined);
        assert.equal(answer.headers['x-sum'], undefined);
        assert.deepEqual({ ...answer.trailers }, {});
        assert.equal(upstream.requests[0].headers.te, undefined);
    });
}

test('an answer whose JSON is changed has none, and does not wait for them', async () => {
    const upstream = await startUpstream((request, response) => {
        response.writeHead(200, { 'content-type': 'application/json', trailer: 'X-Sum' });
        response.write('{"a":1,"b":2}');
        response.addTrailers({ 'X-Sum': '42' });
        response.end();
    });
    const galley = await startGalley(passingOn(upstream, {}, { fields: 'a' }));
    const answer = await get(galley, { te: 'trailers', connection: 'TE' });
    assert.equal(answer.body, '{"a":1}');
    assert.deepEqual([answer.headers.trailer, { ...answer.trailers }], [undefined, {}]);
    assert.equal(upstream.requests.length, 1);
});

test('trailers of a request go to the server if they were announced, and are none that name its client', async () => {
    const upstream = await startUpstream(async (request, response) => {
        for await (const piece of request) piece.length;
        response.end(JSON.stringify({ headers: request.headers, trailers: request.trailers }));
    });
    const galley = await startGalley(passingOn(upstream));
    const send = async (announced) => {
        const client = await galley.connect();
        client.send(`POST /up/x HTTP/1.1\r\nHost: a\r\n${announced}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
        client.send('0\r\nX-Sum: 42\r\nX-User-Id: root\r\nContent-Length: 3\r\n');
        client.send('\r\n');
        const { status, body } = await client.response();
        assert.equal(status, 200);
        client.send('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n'); // the connection goes on behind them
        assert.equal((await client.response()).status, 200);
        client.destroy();
        return JSON.parse(body);
    };
    const said = await send('Trailer: X-Sum, X-User-Id\r\nTrailer: Content-Length\r\n');
    assert.deepEqual(said.trailers, { 'x-sum': '42' });
    assert.equal(said.headers.trailer, 'X-Sum, X-User-Id, Content-Length');
    assert.equal(said.headers['x-sum'], undefined);
    const silent = await send('');
    assert.deepEqual(silent.trailers, {});
    assert.equal(silent.headers.trailer, undefined);
});

test('what was not announced, and what a head alone may say, goes nowhere; the connection is used again', async () => {
    const upstream = await startRawUpstream((socket) => socket.on('data', () => socket.write(
        'HTTP/1.1 200 OK\r\nTrailer: X-Sum, Set-Cookie, Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n' +
        'X-Sum: 1\r\nX-Other: 2\r\nSet-Cookie: a=b\r\nContent-Length: 7\r\nX-Request-Id: z\r\n\r\n')));
    const galley = await startGalley(passingOn(upstream));
    const client = await galley.connect();
    for (let i = 0; i < 2; i++) {
        client.send('GET /up/x HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n'.replace(i ? '' : 'close, ', ''));
        if (i === 0) assert.equal((await client.response()).status, 200);
    }
    const text = await client.untilClosed();
    assert.match(text, /2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n$/);
    assert.doesNotMatch(text, /X-Other|a=b|: 7/);
    assert.equal(upstream.connections, 1);
});
