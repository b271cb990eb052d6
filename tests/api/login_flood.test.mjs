// A password takes a fifth of a second of a core to check. Who tries many may not keep everybody else out.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';

import { startGalley, withDeadline } from '../lib/galley.mjs';

const ADMIN = { username: 'captain', password: 'steady as she goes' };
const FLOOD = 100; // logins open at once
const ROUNDS = 5;
const CHECKED_MEANWHILE_MAX = 8; // wrong ones: those that ran when somebody came, and a few more where the machine is busy
const DELAY_MAX_MS = 500; // on a machine that does nothing else; on a busy one checking itself takes longer
const AT_REST = process.env.GALLEY_QUIET; // set it where nothing else runs: then times are asserted too

// Sends a login from one of the loopback addresses; resolves with its status, headers and time.
function logIn(galley, from, path, json) {
    const body = JSON.stringify(json);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const begin = performance.now();
    const answer = new Promise((resolve, reject) => {
        const request = http.request({
            host: '127.0.0.1', port: galley.port, localAddress: from, method: 'POST', path, headers, agent: false,
        });
        request.on('error', reject);
        request.on('response', (response) => {
            response.resume();
            response.on('end', () => resolve({
                status: response.statusCode, headers: response.headers, ms: performance.now() - begin,
            }));
        });
        request.end(body);
    });
    return withDeadline(`a login from ${from}`, answer);
}

const alice = (galley, from, password = 'secret') =>
    logIn(galley, from, '/auth/login', { username: 'alice', password });
const administrator = (galley, from, password = ADMIN.password) =>
    logIn(galley, from, '/_/api/login', { ...ADMIN, password });

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

async function timed(ask) {
    const answer = await ask();
    assert.equal(answer.status, 200, JSON.stringify(answer));
    return answer.ms;
}

// Runs `ask` alone and while FLOOD others are open, which `wrong` sends from `addresses` of its own each
// round; holds what it takes, in the median, against the bounds.
async function assertHardlyDelayed(t, { ask, wrong, addresses }) {
    const alone = [], flooded = [], overtakers = [];
    let attackers = 0;
    for (let round = 0; round < ROUNDS; round++) {
        alone.push(await timed(ask));
        const from = Array.from({ length: addresses }, () => `127.1.0.${++attackers}`);
        let checked = 0;
        const flood = Array.from({ length: FLOOD }, async (_, i) => {
            const answer = await wrong(from[i % addresses]);
            checked += answer.status === 401;
            return answer;
        });
        await Promise.race(flood);
        const before = checked;
        flooded.push(await timed(ask));
        overtakers.push(checked - before);
        for (const { status, headers } of await Promise.all(flood)) {
            assert.ok([401, 429, 503].includes(status), `${status}`);
            if (status !== 401) assert.ok(Number(headers['retry-after']) >= 1);
        }
    }
    const delay = median(flooded) - median(alone);
    t.diagnostic(`alone ${alone.map(Math.round)} ms, flooded ${flooded.map(Math.round)} ms, ` +
        `delay ${Math.round(delay)} ms, wrong ones meanwhile ${overtakers}`);
    assert.ok(median(overtakers) <= CHECKED_MEANWHILE_MAX, `${overtakers} were checked meanwhile`);
    if (AT_REST) assert.ok(delay < DELAY_MAX_MS, `${delay} ms`);
}

for (const addresses of [1, 8]) {
    test(`${FLOOD} wrong logins from ${addresses} address(es) hardly delay another's`, async (t) => {
        const galley = await startGalley({ config: { server: { workers: 256 } } });
        await assertHardlyDelayed(t, {
            ask: () => alice(galley, '127.0.0.9'),
            wrong: (from) => alice(galley, from, 'wrong'),
            addresses,
        });
    });
}

test('neither do they delay an administrator, whom they may try as well', async (t) => {
    const galley = await startGalley({ config: { server: { workers: 256 } } });
    const token = /setup\?token=([\w-]+)/.exec(galley.stdout)[1];
    await galley.request('POST', '/_/api/setup', { json: { token, ...ADMIN } });
    await assertHardlyDelayed(t, {
        ask: () => administrator(galley, '127.0.0.9'),
        wrong: (from) => Promise.race([alice(galley, from, 'wrong'), administrator(galley, from, 'wrong')]),
        addresses: 4,
    });
});

test('who was wrong ten times waits, and elsewhere the account stays open', async () => {
    const galley = await startGalley();
    for (let i = 0; i < 10; i++) assert.equal((await alice(galley, '127.0.0.2', `guess ${i}`)).status, 401);
    const right = await alice(galley, '127.0.0.2');
    assert.equal(right.status, 429);
    assert.ok(Number(right.headers['retry-after']) >= 1);
    assert.equal((await alice(galley, '127.0.0.3')).status, 200);
    assert.equal(await galley.metric('galley_logins_total{door="users",outcome="wrong"}'), 10);
    assert.equal(await galley.metric('galley_logins_waiting{door="users"}'), 0);
});
