// What the log and the metrics say of an answer is written when it has left, or has not.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';

const LIST = '/products?limit=1000'; // 60 KB each
const unsent = (galley, outcome) => galley.metric(`galley_http_unsent_total{outcome="${outcome}"}`);

function lines(galley, path) {
    const all = galley.log().split('\n').filter((line) => line.includes('"component":"access"'));
    return all.map((line) => JSON.parse(line)).filter((line) => line.path === path);
}

// A client that asks for more than the kernel keeps for it, and takes none of it.
async function askWithoutReading(galley) {
    const connection = await galley.connect();
    connection.socket.pause();
    connection.send(`GET ${LIST} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(300));
    return connection;
}

test('an answer that its client does not take is logged and counted as one that ran out of time', async () => {
    const galley = await startGalley({ config: { server: { body_timeout: '2s' } } });
    assert.equal(await unsent(galley, 'timeout'), 0);
    const connection = await askWithoutReading(galley);
    await eventually('it is cut', async () => (await unsent(galley, 'timeout')) === 1);
    const [whole, ...others] = await eventually('it is logged', () =>
        lines(galley, '/products').some(({ outcome }) => outcome) && lines(galley, '/products'));
    const last = others.at(-1);
    assert.equal(whole.outcome, undefined);
    assert.equal(last.outcome, 'timeout');
    assert.ok(last.bytes < whole.bytes, `${last.bytes} of ${whole.bytes}`);
    assert.ok(last.durationMs >= 2000, JSON.stringify(last));
    connection.destroy();
});

test('an answer whose client has gone is logged and counted as such', async () => {
    const galley = await startGalley();
    const connection = await askWithoutReading(galley);
    await eventually('some are sent', () => lines(galley, '/products').length > 10);
    connection.socket.resetAndDestroy();
    await eventually('it is seen', async () => (await unsent(galley, 'client gone')) === 1);
    await eventually('it is logged', () => lines(galley, '/products').at(-1).outcome === 'client gone');
});

test('a stream is logged at its end, with its bytes and its duration', async () => {
    const galley = await startGalley({ config: { log: { level: 'debug' } } });
    const post = await galley.administrator();
    const begin = Date.now();
    const received = await new Promise((resolve, reject) => {
        const request = http.get({ port: galley.port, path: '/_/api/live', headers: post.headers, agent: false }, (response) => {
            let bytes = 0;
            response.on('data', (piece) => {
                bytes += piece.length;
                if (Date.now() - begin < 1500) return;
                request.destroy();
                resolve(bytes);
            });
        });
        request.on('error', reject);
    });
    const took = Date.now() - begin;
    const [line] = await eventually('it is logged', () => lines(galley, '/_/api/live').length && lines(galley, '/_/api/live'));
    assert.equal(line.outcome, 'client gone');
    assert.ok(line.bytes >= received, JSON.stringify(line)); // the chunks' framing counts too
    assert.ok(line.durationMs > 1000 && line.durationMs < took + 5000, JSON.stringify(line));
});
