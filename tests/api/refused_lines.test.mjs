// What the log says of requests that were refused, and of very many of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';

const lines = (galley) => galley.log().split('\n').filter(Boolean).map((line) => JSON.parse(line));
const accessLines = (galley) => lines(galley).filter(({ component }) => component === 'access');

// The access line of what a bare connection sends.
async function lineOf(galley, bytes) {
    const raw = await galley.connect();
    raw.send(bytes);
    const { headers } = await raw.response();
    raw.destroy();
    return eventually('its access line', () =>
        accessLines(galley).find(({ requestId }) => requestId === headers['x-request-id']));
}

test('a request that cannot be read is logged with what it asked for', async () => {
    const galley = await startGalley();
    const asked = async (bytes) => {
        const { method, path, status } = await lineOf(galley, bytes);
        return [status, method, path];
    };
    assert.deepEqual(await asked('BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n'), [501, 'BREW', '/pot']);
    assert.deepEqual(await asked('GET /a%00b?key=secret HTTP/1.1\r\nHost: a\r\n\r\n'), [400, 'GET', '/a%00b']);
    assert.deepEqual(await asked('GET /products/1 HTTP/1.1\r\n\r\n'), [400, 'GET', '/products/1']);
    assert.deepEqual(await asked('\x16\x03\x01"\x1b[2J\r\n\r\n'), [400, '\x16\x03\x01"\x1b[2J', '']);
});

test('what it asked for is cut short', async () => {
    const galley = await startGalley();
    const { path } = await lineOf(galley, `GET nowhere${'x'.repeat(5000)} HTTP/1.1\r\nHost: a\r\n\r\n`);
    assert.match(path, /^nowherex{200,250}$/);
});

test('of very many refusals a hundred lines a second are written, and one tells of the others', async () => {
    const galley = await startGalley();
    const begin = Date.now();
    await Promise.all(Array.from({ length: 1000 }, () => galley.request('GET', '/nowhere')));
    const seconds = Math.ceil((Date.now() - begin) / 1000) + 1;
    const told = await eventually('the others', async () => {
        const sums = lines(galley).map(({ message }) => /^(\d+) more requests were refused: (\d+) with 404, most of them from 127\.0\.0\.1\.$/.exec(message));
        const sum = sums.reduce((all, match) => all + (match ? Number(match[1]) : 0), 0);
        return sum + accessLines(galley).filter(({ path }) => path === '/nowhere').length === 1000 && sum;
    });
    assert.ok(told >= 1000 - 100 * seconds, `${told} in ${seconds} s`);
    assert.equal(await galley.metric('galley_log_left_out_total'), told);
    assert.equal(await galley.metric('galley_http_requests_total{route="unmatched",method="GET",code="404"}'), 1000);
});
