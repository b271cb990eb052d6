// The walls of /_/: who gets in, from which page, and how often one may try.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';

import { eventually, startGalley, withDeadline } from '../lib/galley.mjs';

const ADMIN = { username: 'captain', password: 'steady as she goes' };

const setupToken = (galley) => /setup\?token=([\w-]+)/.exec(galley.stdout)[1];
const cookieOf = (answer) => answer.headers['set-cookie'][0].split(';')[0];

const setUp = (galley, values = {}) =>
    galley.request('POST', '/_/api/setup', { json: { token: setupToken(galley), ...ADMIN, ...values } });

const logIn = (galley, values = {}, headers = {}) =>
    galley.request('POST', '/_/api/login', { json: { ...ADMIN, ...values }, headers });

// A server with an administrator, and the administrator's session.
async function startWithSession(options) {
    const galley = await startGalley(options);
    const answer = await setUp(galley);
    assert.equal(answer.status, 200);
    return { galley, cookie: cookieOf(answer), csrf: answer.body.csrf };
}

// The live stream: resolves with its answer once the head is there; `text` grows, `ended` resolves.
function openLive(galley, cookie) {
    return new Promise((resolve, reject) => {
        const options = { port: galley.port, path: '/_/api/live', headers: { cookie }, agent: false };
        const request = http.get(options, (response) => {
            const live = { status: response.statusCode, text: '', close: () => request.destroy() };
            live.ended = new Promise((end) => response.on('close', end));
            response.setEncoding('utf8').on('data', (text) => (live.text += text));
            response.on('error', () => {});
            resolve(live);
        });
        request.on('error', reject);
    });
}

test('without a session pages lead to the login and the API answers 401', async () => {
    const galley = await startGalley();
    const page = await galley.request('GET', '/_/');
    assert.equal(page.status, 303);
    assert.equal(page.headers.location, '/_/login');
    for (const target of ['/_/api/live', '/_/api/logout']) {
        const method = target === '/_/api/live' ? 'GET' : 'POST';
        assert.equal((await galley.request(method, target)).status, 401);
    }
    const session = await galley.request('GET', '/_/api/session');
    assert.deepEqual(session.body, { signedIn: false, setupOpen: true });
    const forged = await galley.request('GET', '/_/', { headers: { cookie: `galley_admin_${galley.port}=abc` } });
    assert.equal(forged.status, 303);
});

test('what is below /_/ has a strict content security policy', async () => {
    const galley = await startGalley();
    const script = `${await assetsOf(galley)}js/login.js`;
    for (const target of ['/_/', '/_/login', script, '/_/api/session', '/_/nothing']) {
        const { headers } = await galley.request('GET', target);
        assert.match(headers['content-security-policy'], /^default-src 'none'; script-src 'self'; /);
        assert.doesNotMatch(headers['content-security-policy'], /unsafe/);
    }
});

test('the first administrator is made once, by who has the link', async () => {
    const galley = await startGalley();
    assert.equal((await setUp(galley, { token: 'guess' })).status, 403);
    assert.equal((await setUp(galley, { password: 'too short' })).status, 422);
    assert.equal((await setUp(galley, { username: 'two words' })).status, 422);

    const both = await Promise.all([setUp(galley), setUp(galley, { username: 'pirate' })]);
    assert.equal(both.filter((answer) => answer.status === 200).length, 1);
    assert.equal((await setUp(galley)).status, 403);
    const session = await galley.request('GET', '/_/api/session');
    assert.equal(session.body.setupOpen, false);
});

test('the password outlives a restart, and so does a session', async () => {
    const { galley, cookie, csrf } = await startWithSession();
    const headers = { cookie, 'x-csrf-token': csrf };
    await galley.configure({ server: { listen: `127.0.0.1:${galley.port}` } });
    await galley.restart();
    const [, token] = cookie.split('=');
    assert.ok(!(await readFile(path.join(galley.dataDir, 'data.mdb'))).includes(token), 'only its hash is stored');
    assert.doesNotMatch(galley.stdout, /setup\?token/);
    assert.equal((await galley.request('POST', '/_/api/logout', { headers })).status, 204);
    await galley.restart();
    assert.equal((await galley.request('GET', '/_/', { headers })).status, 303);
    assert.equal((await logIn(galley)).status, 200);
});

test('the session cookie is kept from scripts and other sites', async () => {
    const galley = await startGalley();
    const [cookie] = (await setUp(galley)).headers['set-cookie'];
    assert.ok(cookie.startsWith(`galley_admin_${galley.port}=`), 'a cookie is sent to all ports of a host');
    assert.match(cookie, /^galley_admin_\d+=[\w-]{43}; Path=\/_\/; HttpOnly; SameSite=Strict$/);
});

test('an unknown name and a wrong password get the same answer', async () => {
    const { galley } = await startWithSession();
    const answers = [await logIn(galley, { username: 'nobody' }), await logIn(galley, { password: 'wrong' })];
    for (const { status, body, headers } of answers) {
        assert.equal(status, 401);
        assert.equal(body.error.message, 'The name or the password is wrong.');
        assert.equal(headers['set-cookie'], undefined);
    }
});

test('guessing passwords is limited', async () => {
    const { galley } = await startWithSession();
    const answers = await Promise.all(Array.from({ length: 12 }, () => logIn(galley, { password: 'wrong' })));
    const limited = answers.filter((answer) => answer.status === 429);
    assert.ok(limited.length >= 2, `${limited.length} were limited`);
    assert.ok(Number(limited[0].headers['retry-after']) >= 1);
});

test('a POST from another site is refused', async () => {
    const { galley, cookie, csrf } = await startWithSession();
    const foreign = [
        { origin: 'http://evil.example' },
        { origin: 'null' },
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'same-site', origin: galley.url },
    ];
    for (const headers of foreign) {
        assert.equal((await logIn(galley, {}, headers)).status, 403);
        const logout = await galley.request('POST', '/_/api/logout',
            { headers: { cookie, 'x-csrf-token': csrf, ...headers } });
        assert.equal(logout.status, 403);
    }
    assert.equal((await logIn(galley, {}, { origin: galley.url })).status, 200);
});

test('a POST of a session needs its token', async () => {
    const { galley, cookie, csrf } = await startWithSession();
    const logOut = (headers) => galley.request('POST', '/_/api/logout', { headers: { cookie, ...headers } });
    assert.equal((await logOut({})).status, 403);
    assert.equal((await logOut({ 'x-csrf-token': csrf.slice(1) })).status, 403);
    assert.equal((await galley.request('GET', '/_/', { headers: { cookie } })).status, 200);
    assert.equal((await logOut({ 'x-csrf-token': csrf })).status, 204);
    assert.equal((await galley.request('GET', '/_/', { headers: { cookie } })).status, 303);
});

test('bodies other than the right JSON are refused', async () => {
    const galley = await startGalley();
    const post = (body, type) => galley.request('POST', '/_/api/login', { body, headers: { 'content-type': type } });
    assert.equal((await post('{"username":"a","password":"b"}', 'text/plain')).status, 415);
    assert.equal((await post('{"username":', 'application/json')).status, 400);
    assert.equal((await post('{"username":1,"password":"b"}', 'application/json')).status, 422);
    assert.equal((await post('{"username":"a","password":"b","x":1}', 'application/json')).status, 422);
    assert.equal((await galley.request('POST', '/_/')).status, 405);
});

// The directory that a page names, which changes with the files.
async function assetsOf(galley) {
    const { body } = await galley.request('GET', '/_/login');
    const directories = new Set(body.match(/\/_\/assets\/[0-9a-f]{16}\//g));
    assert.equal(directories.size, 1);
    assert.equal(body.match(/\/_\/assets\//g).length, body.match(/\/_\/assets\/[0-9a-f]{16}\//g).length);
    return [...directories][0];
}

test('files are kept for ever, below a directory that changes with them', async () => {
    const galley = await startGalley();
    const file = `${await assetsOf(galley)}css/base.css`;
    const first = await galley.request('GET', file);
    assert.equal(first.status, 200);
    assert.equal(first.headers['content-type'], 'text/css; charset=utf-8');
    assert.equal(first.headers['cache-control'], 'public, max-age=31536000, immutable');
    const second = await galley.request('GET', file, { headers: { 'if-none-match': first.headers.etag } });
    assert.equal(second.status, 304);
    assert.equal(second.headers['cache-control'], first.headers['cache-control']);
    assert.equal(second.raw.length, 0);
    for (const other of ['/_/assets/css/base.css', '/_/assets/0123456789abcdef/css/base.css', `${file}x`]) {
        const { status, headers } = await galley.request('GET', other);
        assert.equal(status, 404);
        assert.equal(headers['cache-control'], 'no-store');
    }
    assert.equal((await galley.request('GET', '/_/assets/../galley')).status, 404);
});

test('files come compressed, each form with its own tag', async () => {
    const galley = await startGalley();
    const file = `${await assetsOf(galley)}lib/uplot.js`;
    const plain = await galley.request('GET', file);
    assert.equal(plain.headers.vary, 'Accept-Encoding');
    assert.equal(plain.headers['content-encoding'], undefined);
    for (const [coding, decode] of [['gzip', gunzipSync], ['br', brotliDecompressSync]]) {
        const headers = { 'accept-encoding': coding };
        const small = await galley.request('GET', file, { headers });
        assert.equal(small.headers['content-encoding'], coding);
        assert.equal(small.headers.vary, 'Accept-Encoding');
        assert.ok(small.raw.length < plain.raw.length / 2);
        assert.deepEqual(decode(small.raw), plain.raw);
        assert.notEqual(small.headers.etag, plain.headers.etag);
        const again = await galley.request('GET', file, { headers: { ...headers, 'if-none-match': small.headers.etag } });
        assert.equal(again.status, 304);
        assert.equal(again.headers.etag, small.headers.etag);
    }
});

test('the live stream begins with the history and ends with the session', async () => {
    const { galley, cookie, csrf } = await startWithSession();
    const live = await openLive(galley, cookie);
    await eventually('a sample', () => /event: sample\ndata: .*\n\n/.test(live.text));
    const history = JSON.parse(/event: history\ndata: (.*)\n/.exec(live.text)[1]);
    assert.ok(Array.isArray(history.p99));
    const { sample, load, state } = JSON.parse(/event: sample\ndata: (.*)\n/.exec(live.text)[1]);
    assert.equal(load.length, 64); // workers
    assert.equal(state, 'ready');
    assert.equal(sample.dead, 0);

    await galley.request('POST', '/_/api/logout', { headers: { cookie, 'x-csrf-token': csrf } });
    await withDeadline('the end of the stream', live.ended);
});

test('a stop ends the live streams', async () => {
    const { galley, cookie } = await startWithSession({ config: { server: { drain_timeout: '60s' } } });
    const live = await openLive(galley, cookie);
    await galley.stop();
    await withDeadline('the end of the stream', live.ended);
});

test('the viewers of the live stream are bounded, and those that leave make room', async () => {
    const { galley, cookie } = await startWithSession();
    const viewers = await Promise.all(Array.from({ length: 100 }, () => openLive(galley, cookie)));
    assert.ok(viewers.every((live) => live.status === 200));
    assert.equal((await galley.request('GET', '/_/api/live', { headers: { cookie } })).status, 503);
    viewers[0].close();
    const again = await eventually('room for one', async () => {
        const live = await openLive(galley, cookie);
        return live.status === 200 && live;
    });
    for (const live of [...viewers, again]) live.close();
});
