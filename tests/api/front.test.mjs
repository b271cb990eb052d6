// The front alone, over raw sockets: what it takes, what it refuses, how it treats slow clients and
// how it stops. tests/front_server.c answers with what it understood of a request.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { FrontServer, parseAll } from '../lib/front_server.mjs';
import { RawConnection } from '../lib/raw.mjs';

const HOST = 'Host: shop.example\r\n';
const get = (target, fields = '') => `GET ${target} HTTP/1.1\r\n${HOST}${fields}\r\n`;
const post = (fields, body = '') => `POST /p HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;
const last = (target) => get(target, 'Connection: close\r\n');
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const echo = (response) => {
    assert.equal(response?.status, 200, JSON.stringify(response));
    return JSON.parse(response.body);
};

// ---- What is refused

const smuggled = get('/smuggled');
const many = (count) => Array.from({ length: count }, (_, i) => `X-${i}: ${i}\r\n`).join('');

const refused = {
    'more than 64 fields': [get('/', many(64)), 431, 'HEADER_TOO_LARGE'],
    'more than 16 KiB of head': [get('/', `A: ${'a'.repeat(17000)}\r\n`), 431],
    'a target of more than 8 KiB': [get(`/${'a'.repeat(8200)}`), 414, 'URI_TOO_LONG'],
    'an endless target': [`GET /${'a'.repeat(20000)}`, 414],
    'a folded field': [get('/', 'A: 1\r\n 2\r\n'), 400, 'MALFORMED_REQUEST'],
    'a field block that begins with white space': [`GET / HTTP/1.1\r\n ${HOST}\r\n`, 400],
    'a folded Content-Length': [post('A: 1\r\n\tx\r\nContent-Length: 5\r\n', 'hello'), 400],
    'Transfer-Encoding with Content-Length': [post(`${CHUNKED}Content-Length: 5\r\n`, '0\r\n\r\n'), 400],
    'Content-Length with Transfer-Encoding': [post(`Content-Length: 5\r\n${CHUNKED}`, '0\r\n\r\n'), 400],
    'two different lengths': [post('Content-Length: 1\r\nContent-Length: 2\r\n', 'ab'), 400],
    'two equal lengths': [post('Content-Length: 1\r\nContent-Length: 1\r\n', 'a'), 400],
    'a list of lengths': [post('Content-Length: 1, 1\r\n', 'a'), 400],
    'a length with a sign': [post('Content-Length: +2\r\n', 'ab'), 400],
    'a negative length': [post('Content-Length: -2\r\n', 'ab'), 400],
    'a length with letters': [post('Content-Length: 2abc\r\n', 'ab'), 400],
    'a length in hexadecimal': [post('Content-Length: 0x2\r\n', 'ab'), 400],
    'an empty length': [post('Content-Length:\r\n'), 400],
    'a length that overflows': [post('Content-Length: 18446744073709551618\r\n', 'ab'), 400],
    'a space before the colon': [post('Content-Length : 2\r\n', 'ab'), 400],
    'bare line feeds': [`GET / HTTP/1.1\n${HOST}\r\n`, 400],
    'a bare line feed after a field': [get('/', 'A: 1\nB: 2\r\n'), 400],
    'a head that ends with a bare line feed': [`GET / HTTP/1.1\r\n${HOST}\n`, 400],
    'a bare carriage return in a field': [get('/', 'A: 1\rB: 2\r\n'), 400],
    'a bare carriage return in the request line': [`GET /\rx HTTP/1.1\r\n${HOST}\r\n`, 400],
    'Transfer-Encoding on HTTP/1.0': [`POST / HTTP/1.0\r\n${HOST}${CHUNKED}\r\n0\r\n\r\n`, 400],
    'another transfer coding': [post('Transfer-Encoding: gzip\r\n'), 400],
    'a list of transfer codings': [post('Transfer-Encoding: gzip, chunked\r\n'), 400],
    'identity as transfer coding': [post('Transfer-Encoding: identity\r\nContent-Length: 2\r\n', 'ab'), 400],
    'chunked twice': [post(CHUNKED + CHUNKED, '0\r\n\r\n'), 400],
    'chunked with a vertical tab': [post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'), 400],
    'a NUL in the target': [get('/a\0b'), 400],
    'a NUL in a field': [get('/', 'A: 1\0\r\n'), 400],
    'a control byte in a field': [get('/', 'A: \x01\r\n'), 400],
    'no Host': ['GET / HTTP/1.1\r\n\r\n', 400],
    'two Hosts': [get('/', HOST), 400],
    'a Host with a path': ['GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
    'a Host with two ports': ['GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n', 400],
    'a Host with a port of letters': ['GET / HTTP/1.1\r\nHost: a:x\r\n\r\n', 400],
    'an absolute target with half an address': [get('http://[::1/'), 400],
    'version 2.0': [`GET / HTTP/2.0\r\n${HOST}\r\n`, 400],
    'version 1.2': [`GET / HTTP/1.2\r\n${HOST}\r\n`, 400],
    'no version': [`GET /\r\n${HOST}\r\n`, 400],
    'a version in lower case': [`GET / http/1.1\r\n${HOST}\r\n`, 400],
    'the preface of HTTP/2': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    'two spaces after the method': [`GET  / HTTP/1.1\r\n${HOST}\r\n`, 400],
    'a brace in the method': [`GE{T / HTTP/1.1\r\n${HOST}\r\n`, 400],
    'a bracket in a field name': [get('/', 'A[0]: 1\r\n'), 400],
    'a field without a colon': [get('/', 'A\r\n'), 400],
    'a field without a name': [get('/', ': 1\r\n'), 400],
    'a TLS hello': ['\x16\x03\x01\x02\x00\x01\x00', 400],
    'an unknown method': [`BREW / HTTP/1.1\r\n${HOST}\r\n`, 501, 'NOT_IMPLEMENTED'],
    'TRACE': [`TRACE / HTTP/1.1\r\n${HOST}\r\n`, 501],
    'CONNECT': [`CONNECT shop.example:80 HTTP/1.1\r\n${HOST}\r\n`, 501],
    'an asterisk that is not for OPTIONS': [get('*'), 400],
    'an absolute target with user information': [get('http://a@b/'), 400],
    'an escaped NUL in the path': [get('/a%00b'), 400],
    'an escaped slash in the path': [get('/a%2Fb'), 400],
    'a backslash in the path': [get('/a\\b'), 400],
    'an escaped backslash in the path': [get('/a%5Cb'), 400],
    'a broken escape in the path': [get('/a%4'), 400],
    'invalid UTF-8 in the path': [get('/%ff'), 400],
    'a raw byte beyond ASCII in the target': [Buffer.from(get('/\xff'), 'latin1'), 400],
    'a body above the limit': [post('Content-Length: 2000000\r\n', 'ab'), 413, 'BODY_TOO_LARGE'],
    'an expected body above the limit': [post('Content-Length: 2000000\r\nExpect: 100-continue\r\n'), 413],
    'an expectation that nobody knows': [post('Content-Length: 2\r\nExpect: a-miracle\r\n', 'ab'), 417],
    'a chunk above the limit': [post(CHUNKED, 'ffffff\r\nabc'), 413],
    'a chunk size with 0x': [post(CHUNKED, '0x5\r\nhello\r\n0\r\n\r\n'), 400],
    'a chunk size with a sign': [post(CHUNKED, '+5\r\nhello\r\n0\r\n\r\n'), 400],
    'a chunk size with a space': [post(CHUNKED, '5 \r\nhello\r\n0\r\n\r\n'), 400],
    'a chunk size with junk': [post(CHUNKED, '5x\r\nhello\r\n0\r\n\r\n'), 400],
    'an empty chunk size': [post(CHUNKED, '\r\nhello\r\n0\r\n\r\n'), 400],
    'a chunk size that overflows': [post(CHUNKED, '10000000000000005\r\nhello\r\n0\r\n\r\n'), 400],
    'a chunk size ended by a line feed': [post(CHUNKED, '5\nhello\r\n0\r\n\r\n'), 400],
    'a chunk without its line end': [post(CHUNKED, '5\r\nhelloX\r\n0\r\n\r\n'), 400],
    'a chunk ended by a line feed': [post(CHUNKED, '5\r\nhello\n0\r\n\r\n'), 400],
    'a chunk extension without end': [post(CHUNKED, `5;${'a'.repeat(3000)}\r\nhello`), 400],
    'a control byte in a chunk extension': [post(CHUNKED, '5;a\x01\r\nhello\r\n0\r\n\r\n'), 400],
    'a trailer that is no field': [post(CHUNKED, '0\r\nA\r\n\r\n'), 400],
    'a folded trailer': [post(CHUNKED, '0\r\nA: 1\r\n 2\r\n\r\n'), 400],
    'too many trailers': [post(CHUNKED, `0\r\n${many(70)}\r\n`), 431],
};

test('what is ambiguous or too large is refused, with one answer and nothing behind it', async (t) => {
    const server = await FrontServer.start(t);
    for (const [name, [bytes, status, code]] of Object.entries(refused)) {
        await t.test(name, async () => {
            const responses = await server.talk(bytes, smuggled);
            assert.equal(responses.length, 1);
            assertError(responses[0], status, code);
            assert.equal(responses[0].headers.connection, 'close');
            assert.equal(await server.line(/^refused /), `refused ${status}`);
        });
    }
});

test('a refusal reaches a client that goes on sending', async (t) => {
    const server = await FrontServer.start(t);
    const responses = await server.talk(post('Content-Length: 2000000\r\n'), 'x'.repeat(500_000));
    assert.deepEqual(responses.map(({ status }) => status), [413]);
});

test('a request that ends early is refused', async (t) => {
    const server = await FrontServer.start(t);
    for (const bytes of ['GET / HT', post('Content-Length: 9\r\n', 'abc'), post(CHUNKED, '5\r\nhel')]) {
        const connection = await server.connect();
        connection.send(bytes);
        connection.end();
        const responses = parseAll(await connection.untilClosed());
        assert.deepEqual(responses.map(({ status }) => status), [400]);
    }
});

// ---- What is served

test('requests on one connection are answered in order, pipelined or byte by byte', async (t) => {
    const server = await FrontServer.start(t);
    const all = get('/1') + post('Content-Length: 5\r\n', 'hello') + post(CHUNKED, '3\r\nabc\r\n0\r\n\r\n') +
        '\r\n' + last('/4');
    for (const pieces of [[all], [...all]]) {
        const responses = (await server.talk(...pieces)).map(echo);
        assert.deepEqual(responses.map((r) => [r.path, r.body]), [['/1', ''], ['/p', 'hello'], ['/p', 'abc'], ['/4', '']]);
    }
});

test('bodies of every size and framing arrive whole', async (t) => {
    const server = await FrontServer.start(t);
    const connection = await server.connect();
    for (const size of [1, 2000, 8000, 8192, 9000, 70_000, 1 << 20]) {
        const body = 'b'.repeat(size);
        connection.send(post(`Content-Length: ${size}\r\n`, body));
        assert.equal(echo(await connection.response()).bodyLength, size);
        const half = size >> 1;
        connection.send(post(CHUNKED, `${half.toString(16)};x="y"\r\n`));
        connection.send(half ? `${body.slice(half, 2 * half)}\r\n${(size - half).toString(16)}\r\n` : '');
        if (half) connection.send(`${body.slice(half)}\r\n0\r\nTrailer: 1\r\n\r\n`);
        else connection.send('\r\n');
        assert.equal(echo(await connection.response()).bodyLength, half ? size : 0);
    }
    connection.destroy();
});

test('a body of many small chunks arrives whole', async (t) => {
    const server = await FrontServer.start(t);
    const chunks = Array.from({ length: 20_000 }, (_, i) => `1\r\n${i % 10}\r\n`).join('');
    const [response] = await server.talk(post(`${CHUNKED}Connection: close\r\n`, `${chunks}0\r\n\r\n`));
    const { bodyLength, body } = echo(response);
    assert.equal(bodyLength, 20_000);
    assert.equal(body, '0123456789'.repeat(20));
});

test('GET may have a body', async (t) => {
    const server = await FrontServer.start(t);
    const [response] = await server.talk(get('/g', 'Content-Length: 2\r\nConnection: close\r\n') + 'ab');
    assert.equal(echo(response).body, 'ab');
});

test('100-continue is said when the body is awaited', async (t) => {
    const server = await FrontServer.start(t);
    const connection = await server.connect();
    connection.send(post('Content-Length: 2\r\nExpect: 100-continue\r\n'));
    assert.equal((await connection.response()).status, 100);
    connection.send('ab');
    assert.equal(echo(await connection.response()).body, 'ab');
    connection.send(post('Content-Length: 2\r\nExpect: 100-continue\r\n', 'ab'));
    assert.equal(echo(await connection.response()).body, 'ab');
    connection.destroy();
});

test('an absolute target is answered like its path, and its authority is the host', async (t) => {
    const server = await FrontServer.start(t);
    const [first, second] = await server.talk(get('http://other.example:81/a/../b?c=1'), last('http://other.example'));
    assert.deepEqual([echo(first).path, echo(first).query, echo(first).host], ['/b', 'c=1', 'other.example:81']);
    assert.equal(echo(second).path, '/');
});

test('paths are decoded once and normalised', async (t) => {
    const server = await FrontServer.start(t);
    const [response] = await server.talk(last('/a/./b/%2e%2e/caf%C3%A9//%2541?x=%41'));
    assert.equal(Buffer.from(echo(response).path, 'latin1').toString(), '/a/café//%41');
    assert.equal(echo(response).query, 'x=%41');
});

test('64 fields and 15 KiB of head are served', async (t) => {
    const server = await FrontServer.start(t);
    const [first, second] = await server.talk(get('/', many(63)), get('/', `Connection: close\r\nA: ${'a'.repeat(15000)}\r\n`));
    assert.equal(echo(first).fields, 64);
    assert.equal(echo(second).fields, 3);
});

test('HEAD has the length and no body', async (t) => {
    const server = await FrontServer.start(t);
    const connection = await server.connect();
    connection.send(`HEAD /big?size=100 HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
    const text = await connection.untilClosed();
    assert.match(text, /\r\nContent-Length: 100\r\n/);
    assert.ok(text.endsWith('\r\n\r\n'));
});

test('204 has neither length nor body, and OPTIONS * says what is allowed', async (t) => {
    const server = await FrontServer.start(t);
    const [none, options] = await server.talk(get('/none'), `OPTIONS * HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
    assert.equal(none.status, 204);
    assert.equal(none.headers['content-length'], undefined);
    assert.equal(options.status, 204);
    assert.match(options.headers.allow, /PATCH/);
    await server.line(/^refused 204/); // told to the access log, like all that the front answers itself
});

test('every answer carries its id, date and protective headers', async (t) => {
    const server = await FrontServer.start(t);
    const [{ headers }] = await server.talk(last('/'));
    assert.match(headers['x-request-id'], /^[0-9a-f-]{36}$/);
    assert.ok(Math.abs(Date.parse(headers.date) - Date.now()) < 60_000);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers.connection, 'close');
});

test('401 says how to authenticate, and an error is a problem where that is preferred', async (t) => {
    const server = await FrontServer.start(t);
    const [plain, problem] = await server.talk(get('/private'),
        get('/private', 'Accept: application/problem+json\r\nConnection: close\r\n'));
    assertError(plain, 401, 'UNAUTHENTICATED');
    assert.equal(plain.headers['www-authenticate'], 'Bearer realm="galley"');
    assert.equal(problem.headers['content-type'], 'application/problem+json');
    const { type, title, status, requestId } = JSON.parse(problem.body);
    assert.deepEqual([type, title, status], ['about:blank', 'Unauthorized', 401]);
    assert.equal(requestId, problem.headers['x-request-id']);
});

test('HTTP/1.0 closes unless it is asked to stay', async (t) => {
    const server = await FrontServer.start(t);
    const [stays, closes, ...rest] = await server.talk('GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
        'GET /2 HTTP/1.0\r\n\r\n', get('/3'));
    assert.equal(stays.headers.connection, 'keep-alive');
    assert.equal(closes.headers.connection, 'close');
    assert.equal(rest.length, 0);
});

test('a large response arrives whole', async (t) => {
    const server = await FrontServer.start(t);
    const [response] = await server.talk(last('/big?size=2000000'));
    assert.equal(response.body.length, 2_000_000);
});

// ---- Slow clients

// A byte at a time, for as long as the server listens.
function drip(connection, bytes, everyMs = 20) {
    let at = 0;
    const timer = setInterval(() => {
        if (connection.closed || at === bytes.length) clearInterval(timer);
        else connection.send(bytes[at++]);
    }, everyMs);
}

test('a head that takes too long is answered with 408', async (t) => {
    const server = await FrontServer.start(t, { head_ms: 2000 });
    const connection = await server.connect();
    drip(connection, get('/', `A: ${'a'.repeat(5000)}\r\n`));
    const [response, ...rest] = parseAll(await connection.untilClosed());
    assertError(response, 408, 'REQUEST_TIMEOUT');
    assert.equal(rest.length, 0);
});

test('a body that comes to a halt is answered with 408, whatever its framing', async (t) => {
    const server = await FrontServer.start(t, { body_ms: 300 });
    await Promise.all(['Content-Length: 5000\r\n', CHUNKED].map(async (framing) => {
        const connection = await server.connect();
        connection.send(post(framing, framing === CHUNKED ? '5\r\naa' : 'aaa'));
        assertError(parseAll(await connection.untilClosed())[0], 408);
    }));
});

test('a body that goes on is not cut, however long it takes', async (t) => {
    const server = await FrontServer.start(t, { body_ms: 1500 });
    const connection = await server.connect();
    connection.send(post('Content-Length: 100\r\n'));
    drip(connection, 'a'.repeat(100));
    assert.equal(echo(await connection.response()).bodyLength, 100);
});

test('a body below the least rate is answered with 408', async (t) => {
    const server = await FrontServer.start(t, { body_ms: 300, body_rate: 100_000 });
    const connection = await server.connect();
    connection.send(post('Content-Length: 5000\r\n'));
    drip(connection, 'a'.repeat(5000));
    assertError(parseAll(await connection.untilClosed())[0], 408);
});

test('a body that nobody wanted has no second answer, whatever becomes of it', async (t) => {
    const server = await FrontServer.start(t, { head_ms: 300 });
    const long = `${(8192).toString(16)}\r\n${'x'.repeat(8192)}\r\n`.repeat(12);
    for (const rest of [`${long}0\r\n\r\n`, '5\r\nabcdeX', '0\r\n\rX', '5\r\nab']) {
        const connection = await server.connect();
        connection.send('POST /ignore HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
        assert.equal((await connection.response()).status, 204);
        connection.send(rest);
        assert.equal(await connection.untilClosed(), '');
    }
});

test('what nobody wanted of a body is passed over up to 64 KiB, and the connection goes on', async (t) => {
    const server = await FrontServer.start(t);
    const ignored = (fields, body) => `POST /ignore HTTP/1.1\r\nHost: x\r\n${fields}\r\n${body}`;
    const connection = await server.connect();
    for (const [fields, body] of [['Content-Length: 65536\r\n', 'x'.repeat(65536)], [CHUNKED, '3\r\nabc\r\n0\r\n\r\n']]) {
        connection.send(ignored(fields, body) + get('/next'));
        assert.equal((await connection.response()).status, 204);
        assert.equal(echo(await connection.response()).path, '/next');
    }
    connection.send(ignored('Content-Length: 65537\r\n', ''));
    assert.equal((await connection.response()).headers.connection, 'close');
    assert.equal(await connection.untilClosed(), '');
});

test('a client that waits for 100-continue gets none where nobody wants its body', async (t) => {
    const server = await FrontServer.start(t);
    const [answer, ...more] = await server.talk('POST /ignore HTTP/1.1\r\nHost: x\r\n' +
        'Content-Length: 5\r\nExpect: 100-continue\r\n\r\n');
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.connection, 'close'); // whether the body still comes cannot be known
    assert.deepEqual(more, []);
});

// As many bytes of an answer as the system takes for a client that reads none of it.
async function mostUnread(server) {
    const connection = await server.connect();
    connection.socket.pause();
    connection.send(get('/big?size=50000000'));
    const [, bytes] = /^outcome 2 after (\d+) bytes/.exec(await server.line(/^outcome /));
    connection.destroy();
    return Number(bytes);
}

test('100-continue is said also to a client that has not read its last answer yet', async (t) => {
    const most = await mostUnread(await FrontServer.start(t, { body_ms: 500 }));
    const server = await FrontServer.start(t);
    for (const size of [most - 1, most, most + 1]) { // so that there is no room for a line more
        const connection = await server.connect();
        connection.socket.pause();
        connection.send(get(`/big?size=${size}`) + post('Content-Length: 2\r\nExpect: 100-continue\r\n'));
        await server.line(/^sending/);
        await new Promise((resolve) => setTimeout(resolve, 300)); // while it might give up
        connection.socket.resume();
        assert.equal((await connection.response()).body.length, size);
        assert.equal((await connection.response()).status, 100);
        connection.send('ab');
        assert.equal(echo(await connection.response()).body, 'ab');
        connection.destroy();
    }
});

test('a connection goes on behind a stream with its length or in chunks', async (t) => {
    const server = await FrontServer.start(t);
    const connection = await server.connect();
    connection.send(get('/down?size=200000') + get('/chunks?size=200000') + last('/last'));
    const text = await connection.untilClosed();
    const [, down, chunks, answer] = text.split('HTTP/1.1 200 OK\r\n');
    assert.ok(down.includes('\r\nContent-Length: 200000\r\n') && down.endsWith(`\r\n\r\n${'x'.repeat(200000)}`));
    assert.ok(chunks.includes('\r\nTransfer-Encoding: chunked\r\n'));
    const pieces = chunks.slice(chunks.indexOf('\r\n\r\n') + 4).split(/^([0-9a-f]+)\r\n/m);
    let sum = 0;
    for (let i = 1; i < pieces.length; i += 2) {
        assert.equal(pieces[i + 1].length, parseInt(pieces[i], 16) + 2);
        sum += parseInt(pieces[i], 16);
    }
    assert.equal(sum, 200000);
    assert.match(answer, /"path":"\/last"/);
});

test('who says nothing is closed without an answer', async (t) => {
    const server = await FrontServer.start(t, { head_ms: 300, idle_ms: 300 });
    assert.deepEqual(await server.talk(), []);
    const idle = await server.connect();
    idle.send(get('/'));
    assert.equal((await idle.response()).status, 200);
    assert.equal(await idle.untilClosed(), '');
});

test('a client that does not take its response is cut', async (t) => {
    const server = await FrontServer.start(t, { body_ms: 300, drain_ms: 60_000 });
    const connection = await server.connect();
    connection.socket.pause();
    connection.send(get('/big?size=50000000'));
    await server.line(/^sending/);
    server.terminate();
    assert.equal(await server.line(/^cut /), 'cut 0');
    connection.destroy();
});

// Takes so many bytes each 50 ms, in one piece, and counts them: { taken }.
function sip(connection, bytes) {
    const { socket } = connection, sum = { taken: 0 };
    let left = 0;
    socket.pause().removeAllListeners('data').on('data', (piece) => {
        sum.taken += piece.length;
        if ((left -= piece.length) <= 0) socket.pause();
    });
    const timer = setInterval(() => {
        if (connection.closed) clearInterval(timer);
        left = bytes;
        socket.resume();
    }, 50);
    return sum;
}

for (const target of ['/big?size=20000000', '/chunks?size=20000000']) {
    test(`a client that takes ${target} below the least rate is cut`, async (t) => {
        const server = await FrontServer.start(t, { body_ms: 400, body_rate: 50_000_000 });
        const connection = await server.connect();
        sip(connection, 400_000);
        connection.send(get(target, 'Connection: close\r\n'));
        assert.match(await Promise.race([server.line(/^outcome /), connection.untilClosed()]), /^outcome 2 /); // SENT_TIMEOUT
        connection.destroy();
    });

    test(`a client that takes ${target} slowly, but not below the least rate, gets all of it`, async (t) => {
        const server = await FrontServer.start(t, { body_ms: 3000, body_rate: 100_000 });
        const connection = await server.connect();
        const sum = sip(connection, 1_000_000);
        connection.send(get(target, 'Connection: close\r\n'));
        await connection.untilClosed();
        assert.ok(sum.taken > 20_000_000, `${sum.taken}`);
    });
}

test('a newcomer is served while slow connections hold every worker', async (t) => {
    const server = await FrontServer.start(t, { workers: 8 });
    const slow = [];
    for (let i = 0; i < 50; i++) {
        slow.push(await server.connect());
        drip(slow[i], get('/', `A: ${'a'.repeat(5000)}\r\n`), 1000);
    }
    for (let i = 0; i < 20; i++) echo((await server.talk(last(`/${i}`)))[0]);
    for (const connection of slow) connection.destroy();
});

test('a newcomer is served while silent bodies hold every worker', async (t) => {
    const server = await FrontServer.start(t, { workers: 8 });
    const slow = [];
    for (let i = 0; i < 50; i++) {
        slow.push(await server.connect());
        slow[i].send(post('Content-Length: 10\r\n'));
    }
    for (let i = 0; i < 20; i++) echo((await server.talk(last(`/${i}`)))[0]);
    for (const connection of slow) connection.destroy();
});

test('a handler that takes its time between two pieces of a body is not its client being slow', async (t) => {
    const server = await FrontServer.start(t, { body_ms: 300, body_rate: 100_000 });
    const connection = await server.connect();
    connection.send('POST /pause HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 40\r\n\r\n' + 'x'.repeat(20));
    await server.line(/^held/);
    await new Promise((resolve) => setTimeout(resolve, 700)); // the handler's time, beyond what a client has
    server.release();
    connection.send('x'.repeat(20));
    assert.equal((await connection.response()).body, '{"received":39}');
    connection.destroy();
});

test('those without a worker get one when handlers end and their clients stay', async (t) => {
    const server = await FrontServer.start(t, { workers: 2 });
    const holders = [await server.hold(), await server.hold()];
    const waiting = await Promise.all([server.connect(), server.connect(), server.connect()]);
    for (const connection of waiting) connection.send(get('/w'));
    server.release(2);
    for (const connection of waiting) echo(await connection.response());
    for (const connection of [...holders, ...waiting]) connection.destroy();
});

test('an address at its cap loses the connection that has waited longest', async (t) => {
    const server = await FrontServer.start(t, { cap: 3 });
    const connections = [];
    for (let i = 0; i < 3; i++) {
        connections.push(await server.connect());
        connections[i].send(get(`/${i}`));
        assert.equal((await connections[i].response()).status, 200);
    }
    echo((await server.talk(last('/new')))[0]);
    assert.equal(await connections[0].untilClosed(), '');
    connections[2].send(get('/again'));
    assert.equal((await connections[2].response()).status, 200);
    for (const connection of connections) connection.destroy();
});

test('an address whose connections are all being served gets 503', async (t) => {
    const server = await FrontServer.start(t, { cap: 2 });
    const holders = [await server.hold(), await server.hold()];
    if (server.secure) {
        await assert.rejects(server.connect()); // a handshake would cost more than the answer
    } else {
        const [response] = await server.talk();
        assertError(response, 503, 'OVERLOADED');
        assert.equal(response.headers['retry-after'], '1');
    }
    server.release(2);
    for (const holder of holders) assert.equal((await holder.response()).status, 200);
    for (const holder of holders) holder.destroy();
});

// ---- Streams and stopping

test('a stream begins at once and notices that its client has gone', async (t) => {
    const server = await FrontServer.start(t);
    const connection = await server.connect();
    connection.send(get('/stream'));
    const { status, headers } = await connection.response();
    assert.equal(status, 200);
    assert.equal(headers['transfer-encoding'], 'chunked');
    assert.equal(headers['content-length'], undefined);
    connection.destroy();
    await server.line(/^stream ended/);
});

test('a drain answers what is in flight, ends streams, closes idle connections, takes no new ones', async (t) => {
    const server = await FrontServer.start(t);
    const [idle, silent, partial, stream] = await Promise.all(Array.from({ length: 4 }, () => server.connect()));
    idle.send(get('/'));
    await idle.response();
    stream.send(get('/stream'));
    await stream.response();
    partial.send(get('/partial').slice(0, 20));
    const held = await server.hold();
    server.terminate();
    assert.equal(await idle.untilClosed(), '');
    assert.equal(await silent.untilClosed(), '');
    await server.line(/^stream ended/);
    await stream.untilClosed();
    await assert.rejects(RawConnection.open(server.port));
    partial.send(get('/partial').slice(20));
    const late = await partial.response();
    assert.equal(echo(late).path, '/partial');
    assert.equal(late.headers.connection, 'close');
    server.release();
    const answer = await held.response();
    assert.equal(echo(answer).path, '/hold');
    assert.equal(answer.headers.connection, 'close');
    assert.equal(await held.untilClosed(), '');
    assert.equal(await server.line(/^cut /), 'cut 0');
});

test('a drain that takes too long cuts what is left', async (t) => {
    const server = await FrontServer.start(t, { drain_ms: 100 });
    server.exitStatus = 3; // it does not wait for the handler
    const held = await server.hold();
    server.terminate();
    assert.equal(await server.line(/^cut /), 'cut 1');
    assert.equal(await held.untilClosed(), '');
    assert.equal(await server.line(/^running /), 'running 1');
    assert.equal(await server.exited, 3);
});

test('a drain ends in time although handlers hold all workers', async (t) => {
    const server = await FrontServer.start(t, { workers: 2, drain_ms: 300 });
    server.exitStatus = 3;
    const holders = [await server.hold(), await server.hold()];
    const waiting = await Promise.all(Array.from({ length: 300 }, () => server.connect()));
    server.terminate();
    assert.equal(await server.line(/^cut /), 'cut 2');
    assert.equal(await server.exited, 3);
    for (const connection of [...holders, ...waiting]) connection.destroy();
});

test('nothing is lost when the server stops under load', async (t) => {
    const server = await FrontServer.start(t, { workers: 64 });
    let answered = 0;
    const clients = Array.from({ length: 20 }, async () => {
        const connection = await server.connect();
        for (let keep = true; keep; answered++) {
            connection.send(get('/load'));
            const response = await connection.response();
            assert.equal(response?.status, 200);
            keep = response.headers.connection !== 'close';
        }
        assert.equal(await connection.untilClosed(), '');
    });
    while (answered < 2000) await new Promise((resolve) => setImmediate(resolve));
    server.terminate();
    await Promise.all(clients);
    assert.equal(await server.line(/^cut /), 'cut 0');
});
