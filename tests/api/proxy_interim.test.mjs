// What a server says before its answer.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';
import { RawConnection } from '../lib/raw.mjs';
import { passingOn, startRawUpstream, startUpstream } from '../lib/upstream.mjs';

test('103 Early Hints are there before the answer is', async () => {
    const held = [];
    const upstream = await startUpstream((request, response) => {
        response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
        held.push(response);
    });
    const galley = await startGalley(passingOn(upstream));
    const hints = [];
    const request = http.get({ port: galley.port, path: '/up/x', agent: false });
    request.on('information', ({ statusCode, headers }) => hints.push([statusCode, headers.link]));
    const answer = new Promise((resolve, reject) => request.on('response', resolve).on('error', reject));
    await eventually('the hints are there', () => hints.length === 1);
    assert.deepEqual(hints, [[103, '</style.css>; rel=preload; as=style']]);
    held[0].end('page');
    const response = await answer;
    assert.equal(response.statusCode, 200);
    assert.equal((await response.setEncoding('latin1').toArray()).join(''), 'page');
    assert.equal(response.headers.link, undefined);
});

test('of what comes before an answer nothing is passed on that is for one hop, 100 is not, and HTTP/1.0 gets none', async () => {
    const upstream = await startRawUpstream((socket) => socket.on('data', () => socket.write(
        'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hm\r\nLink: <a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Request-Id: its\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')));
    const galley = await startGalley(passingOn(upstream));
    const said = async (version) => {
        const connection = await RawConnection.open(galley.port);
        connection.send(`GET /up/x HTTP/${version}\r\nHost: a\r\nConnection: close\r\n\r\n`);
        return connection.untilClosed();
    };
    assert.match(await said('1.1'), /^HTTP\/1\.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/);
    assert.match(await said('1.0'), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/);
});

test('who takes nothing gets the hints before the answer, whole', async () => {
    const filler = 'x'.repeat(4000);
    const upstream = await startRawUpstream((socket) => socket.on('data', () => socket.write(
        `HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nX-Filler: ${filler}\r\n\r\n`.repeat(8) + 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')));
    const galley = await startGalley(passingOn(upstream));
    const connection = await RawConnection.open(galley.port);
    const count = 300; // answered one after the other, and read at the end: above what sockets hold
    connection.socket.pause();
    for (let i = 0; i < count; i++) connection.send(`GET /up/x HTTP/1.1\r\nHost: a\r\n${i === count - 1 ? 'Connection: close\r\n' : ''}\r\n`);
    await eventually('no more of them is asked for', async () => {
        const before = upstream.received.length;
        await galley.request('GET', '/healthz');
        await new Promise((resolve) => setImmediate(resolve));
        return before > 0 && upstream.received.length === before;
    });
    connection.socket.resume();
    const text = await connection.untilClosed();
    const answers = text.split('HTTP/1.1 200 OK\r\n').length - 1;
    assert.equal(answers, count);
    const hint = `HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nX-Filler: ${filler}\r\n\r\n`;
    assert.equal(text.split('HTTP/1.1 103').length, text.split(hint).length);
});
