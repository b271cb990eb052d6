// Servers behind us that do what they should not: their clients get an error of ours, nobody else notices,
// and no answer reaches whom it is not for.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { eventually, startGalley } from '../lib/galley.mjs';
import { passingOn, startRawUpstream, startUpstream } from '../lib/upstream.mjs';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const QUICK = { first_byte_timeout: '300ms', timeout: '600ms', retries: 0, outlier_errors: 0, breaker_share: 0 };
const head = (...lines) => ['HTTP/1.1 200 OK', ...lines, '', ''].join('\r\n');

// A Galley with two upstreams: /up/ is the hostile one, /well/ a good one.
async function startBoth(hostile, upstream = {}) {
    const well = await startUpstream();
    const galley = await startGalley(passingOn(hostile, { ...QUICK, ...upstream }, {}, {
        'upstream well': { server: well.address },
        'route well': { path: '/well/*', target: 'upstream:well' },
    }));
    galley.well = async () => {
        const { status, body } = await galley.request('GET', '/well/x');
        assert.equal(status, 200);
        assert.equal(body.url, '/well/x');
    };
    return galley;
}

// What is no answer: each is said to a request of its own.
const malformed = {
    'two lengths': head('Content-Length: 2', 'Content-Length: 3') + 'ok!',
    'the same length twice': head('Content-Length: 2', 'Content-Length: 2') + 'ok',
    'a list of lengths': head('Content-Length: 2, 2') + 'ok',
    'a length with a sign': head('Content-Length: +2') + 'ok',
    'a negative length': head('Content-Length: -2') + 'ok',
    'a length beyond all numbers': head('Content-Length: 99999999999999999999') + 'ok',
    'chunks and a length': head('Transfer-Encoding: chunked', 'Content-Length: 2') + '2\r\nok\r\n0\r\n\r\n',
    'another coding': head('Transfer-Encoding: gzip, chunked') + '2\r\nok\r\n0\r\n\r\n',
    'chunked twice': head('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') + '2\r\nok\r\n0\r\n\r\n',
    'chunks of HTTP/1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    'a folded line': head('X-A: 1', ' folded', 'Content-Length: 2') + 'ok',
    'a space before the colon': head('Content-Length : 2') + 'ok',
    'a field without a name': head(': 2') + 'ok',
    'a bare LF': 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok',
    'a bare CR': head('X-A: a\rb', 'Content-Length: 2') + 'ok',
    'a NUL': head('X-A: a\0b', 'Content-Length: 2') + 'ok',
    'a version that is none': 'HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
    'no HTTP': 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
    'bytes before the answer': '\r\n\r\n' + OK,
    'a status of two digits': 'HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok',
    'a status of four digits': 'HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok',
    'a status above all': 'HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok',
    '101 that nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    '204 with a body': 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok',
    '65 fields': head(...Array.from({ length: 65 }, (_, i) => `X-${i}: 1`), 'Content-Length: 2') + 'ok',
    'a head above 16 KiB': head(`X-A: ${'a'.repeat(20000)}`, 'Content-Length: 2') + 'ok',
    'a chunk size that is none': head('Transfer-Encoding: chunked') + '0x2\r\nok\r\n0\r\n\r\n',
    'a negative chunk size': head('Transfer-Encoding: chunked') + '-2\r\nok\r\n0\r\n\r\n',
    'a chunk that is longer than it says': head('Transfer-Encoding: chunked') + '2\r\nokay\r\n0\r\n\r\n',
    'chunks with bare LF': head('Transfer-Encoding: chunked') + '2\nok\n0\n\n',
    'Connection names too much': head(`Connection: ${Array.from({ length: 40 }, (_, i) => `x${i}`).join(',')}`, 'Content-Length: 2') + 'ok',
};

test('what is no answer is 502, and its connection is not used again', async () => {
    const said = Object.values(malformed);
    let next = 0;
    const upstream = await startRawUpstream((socket) => socket.on('data', () => socket.write(said[next], 'latin1')));
    const galley = await startBoth(upstream);
    for (const [name, bytes] of Object.entries(malformed)) {
        next = said.indexOf(bytes);
        const before = upstream.connections;
        const answer = await galley.request('GET', '/up/x');
        assert.equal(answer.status, 502, name);
        assertError(answer, 502, 'BAD_GATEWAY');
        assert.equal(upstream.connections, before + 1, name);
    }
    await galley.well();
    const name = `galley_upstream_requests_total{upstream="up",server="${upstream.address}",outcome="malformed"}`;
    assert.equal(await galley.metric(name), said.length);
});

test('a request that two parsers could read in two ways never reaches a server', async () => {
    const upstream = await startUpstream();
    const galley = await startGalley(passingOn(upstream));
    const hostile = {
        'two lengths': 'POST /up/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
        'chunks and a length': 'POST /up/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'a coding that is none': 'POST /up/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
        'a folded line': 'GET /up/x HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n',
        'a space before the colon': 'GET /up/x HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n',
        'a bare LF': 'GET /up/x HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n',
        'two hosts': 'GET /up/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
        'a slash that is none': 'GET /up/a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n',
        'a backslash': 'GET /up/a%5Cb HTTP/1.1\r\nHost: a\r\n\r\n',
        'a NUL': 'GET /up/a%00b HTTP/1.1\r\nHost: a\r\n\r\n',
    };
    for (const [name, bytes] of Object.entries(hostile)) {
        const client = await galley.connect();
        client.send(bytes);
        const { status } = await client.response();
        assert.ok(status === 400 || status === 501, `${name}: ${status}`);
        client.destroy();
    }
    assert.equal(upstream.requests.length, 0);
});

test('a chunk that is none ends the request at the server too', async () => {
    let whole = 0;
    const upstream = await startUpstream((request, response) => {
        request.on('end', () => whole++);
        request.on('error', () => {});
        request.resume();
        request.on('end', () => response.end());
    });
    const galley = await startGalley(passingOn(upstream));
    const client = await galley.connect();
    client.send('POST /up/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await eventually('it has begun', () => upstream.requests.length === 1);
    client.send('0x5\r\nhello\r\n0\r\n\r\n');
    assert.equal((await client.response()).status, 400);
    assert.equal(whole, 0);
});

test('what ends too early is 502', async () => {
    const said = ['', 'HTTP/1.1 200', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n', head('Content-Length: 5'), head('Content-Length: 5') + 'half'];
    let next = 0;
    for (const end of ['end', 'resetAndDestroy']) {
        const upstream = await startRawUpstream((socket) => socket.once('data', () =>
            (said[next] ? socket.write(said[next], () => socket[end]()) : socket[end]())));
        const galley = await startBoth(upstream);
        for (next = 0; next < said.length; next++)
            assertError(await galley.request('GET', '/up/x'), 502, 'BAD_GATEWAY');
        await galley.well();
    }
});

test('what stalls is 504, wherever it does', async () => {
    const said = ['HTTP/1.1 200', head('Content-Length: 5'), head('Content-Length: 5') + 'half'];
    let next = 0;
    const upstream = await startRawUpstream((socket) => socket.once('data', () => socket.write(said[next])));
    const galley = await startBoth(upstream);
    for (next = 0; next < said.length; next++) {
        assertError(await galley.request('GET', '/up/x'), 504, 'GATEWAY_TIMEOUT');
        await galley.well();
    }
});

test('endless heads, and endless answers below 200, come to an end', async () => {
    const lines = ['X-A: 1\r\n', 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n'];
    for (const line of lines) {
        const upstream = await startRawUpstream((socket) => socket.once('data', () => {
            if (line.startsWith('X')) socket.write('HTTP/1.1 200 OK\r\n');
            const more = () => {
                while (!socket.destroyed && socket.write(line.repeat(100)));
            };
            socket.on('drain', more);
            more();
        }));
        const galley = await startBoth(upstream);
        assertError(await galley.request('GET', '/up/x'), 502, 'BAD_GATEWAY');
        await galley.well();
    }
});

test('a few answers below 200 are passed over', async () => {
    const upstream = await startRawUpstream((socket) => socket.on('data', () =>
        socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n' + OK)));
    const galley = await startBoth(upstream);
    for (let i = 0; i < 3; i++) assert.equal((await galley.request('GET', '/up/x')).body, 'ok');
    assert.equal(upstream.connections, 1);
});

test('an answer byte by byte is cut off when its time is over', async () => {
    const upstream = await startRawUpstream((socket) => socket.once('data', () => {
        let at = 0;
        const long = head('X-A: ' + 'a'.repeat(1000), 'Content-Length: 2') + 'ok';
        const timer = setInterval(() => socket.write(long[at++]), 20);
        socket.on('close', () => clearInterval(timer));
    }));
    const galley = await startBoth(upstream);
    const answer = galley.request('GET', '/up/x');
    await galley.well();
    assertError(await answer, 504, 'GATEWAY_TIMEOUT');
});

test('the second of two answers is nobody\'s', async () => {
    const second = OK.replace('ok', 'no');
    const upstream = await startRawUpstream((socket) => socket.on('data', () => socket.write(OK + second)));
    const galley = await startBoth(upstream);
    for (let i = 0; i < 5; i++) assert.equal((await galley.request('GET', '/up/x')).body, 'ok');
    assert.equal(upstream.connections, 5);
});

test('nor is one that comes when nobody has asked', async () => {
    const sockets = [];
    const upstream = await startRawUpstream((socket) => {
        sockets.push(socket);
        socket.on('data', () => socket.write(OK));
    });
    const galley = await startBoth(upstream);
    for (let i = 0; i < 3; i++) {
        assert.equal((await galley.request('GET', '/up/x')).body, 'ok');
        await new Promise((resolve) => sockets.at(-1).write(OK.replace('ok', 'no'), resolve));
        await galley.well(); // so that it is there
    }
    assert.equal(upstream.connections, 3);
});

test('the answer of a client that has gone is not the next one\'s', async () => {
    const waiting = [];
    const upstream = await startRawUpstream((socket) => socket.on('data', (bytes) => {
        const [, path] = /^GET (\S+)/.exec(bytes.toString());
        const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`;
        if (path.startsWith('/up/wait')) waiting.push(() => socket.write(answer));
        else socket.write(answer);
    }));
    const galley = await startBoth(upstream, { first_byte_timeout: '20s', timeout: '30s' });
    for (let i = 0; i < 5; i++) {
        const client = await galley.connect();
        client.send(`GET /up/wait${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
        await eventually('it is there', () => waiting.length === i + 1);
        client.destroy();
        waiting[i]();
        for (let j = 0; j < 5; j++) assert.equal((await galley.request('GET', `/up/${i}-${j}`)).body, `/up/${i}-${j}`);
    }
});

// How a streamed answer ends for its client: 'end' or 'cut'.
function streamed(galley, path) {
    return new Promise((resolve, reject) => {
        http.get(galley.url + path, { agent: false }, (response) => {
            response.resume();
            response.on('error', () => resolve('cut'));
            response.on('end', () => resolve('end'));
        }).on('error', reject);
    });
}

test('a stream that breaks is cut, never ended as if it were whole', async () => {
    const large = 'x'.repeat(100000);
    const said = {
        '/up/half-chunk': head('Transfer-Encoding: chunked') + '5\r\nab',
        '/up/no-last-chunk': head('Transfer-Encoding: chunked') + '2\r\nab\r\n',
        '/up/bad-chunk': head('Transfer-Encoding: chunked') + `186a0\r\n${large}\r\nzz\r\n`,
        '/up/short': head('Content-Length: 200000') + large,
    };
    const upstream = await startRawUpstream((socket) => socket.once('data', (bytes) => {
        const [, path] = /^GET (\S+)/.exec(bytes.toString());
        socket.write(said[path]);
        setTimeout(() => socket.end(), 100); // by then it is a stream
    }));
    const galley = await startBoth(upstream, { first_byte_timeout: '5s', timeout: '5s' });
    for (const path of Object.keys(said)) assert.equal(await streamed(galley, path), 'cut', path);
    await galley.well();
});

test('a stream that stalls is cut, and one without a known end ends with its connection', async () => {
    const upstream = await startRawUpstream((socket) => socket.once('data', (bytes) => {
        socket.write(head() + 'some');
        if (bytes.toString().startsWith('GET /up/whole')) setTimeout(() => socket.end('more'), 50);
    }));
    const galley = await startBoth(upstream);
    assert.equal(await streamed(galley, '/up/whole'), 'end');
    assert.equal(await streamed(galley, '/up/stall'), 'cut');
    await galley.well();
});

test('a hostile server among good ones costs nobody an answer', async () => {
    const said = [...Object.values(malformed), '', 'HTTP/1.1 200'];
    let at = 0;
    const hostile = await startRawUpstream((socket) => socket.once('data', () => socket.end(said[at++ % said.length], 'latin1')));
    const [one, two] = [await startUpstream(), await startUpstream()];
    const galley = await startGalley(passingOn([hostile, one, two], { retry_budget: 100, breaker_share: 0 }));
    await Promise.all(Array.from({ length: 8 }, async (_, client) => {
        for (let i = 0; i < 25; i++) {
            const { status, body } = await galley.request('GET', `/up/${client}-${i}`);
            assert.equal(status, 200);
            assert.equal(body.url, `/up/${client}-${i}`);
        }
    }));
});
