// Every endpoint of the admin API with every role, without a session and without the session's CSRF token. A
// new endpoint needs a row here and one in docs/admin-api.md.
import assert from 'node:assert/strict';
import http from 'node:http';
import { readFile } from 'node:fs/promises';
import test from 'node:test';

import { startGalley, withDeadline } from '../lib/galley.mjs';

const SECRET = 'a long enough secret';
const NOBODY = '00000000-0000-7000-8000-000000000000';
const ROLES = ['viewer', 'operator', 'administrator'];

// What it takes, and what who may do it is answered. What changes something is asked for what is not there.
const ENDPOINTS = [
    ['GET', 'session', 'anyone', 200],
    ['POST', 'setup', 'anyone', 403, { token: 'x', username: 'x', password: SECRET }],
    ['POST', 'login', 'anyone', 401, { username: 'nobody', password: SECRET }],
    ['POST', 'reload', 'operator', 200, {}],
    ['GET', 'verify', 'viewer', 200],
    ['POST', 'verify', 'operator', 202, {}],
    ['GET', 'storage', 'viewer', 200],
    ['GET', 'collections', 'viewer', 200],
    ['GET', 'users', 'viewer', 200],
    ['POST', 'users/add', 'administrator', 422, { username: 'a/b', password: SECRET }],
    ['POST', 'users/passwd', 'administrator', 404, { username: 'nobody', password: SECRET }],
    ['POST', 'users/roles', 'administrator', 404, { username: 'nobody', roles: [] }],
    ['POST', 'users/disable', 'operator', 404, { username: 'nobody' }],
    ['POST', 'users/enable', 'operator', 404, { username: 'nobody' }],
    ['POST', 'users/remove', 'administrator', 404, { username: 'nobody' }],
    ['GET', 'administrators', 'administrator', 200],
    ['POST', 'administrators/add', 'administrator', 409, { username: 'captain', password: SECRET }],
    ['POST', 'administrators/passwd', 'administrator', 404, { username: 'nobody', password: SECRET }],
    ['POST', 'administrators/role', 'administrator', 404, { username: 'nobody', role: 'viewer' }],
    ['POST', 'administrators/remove', 'administrator', 404, { username: 'nobody' }],
    ['GET', 'live', 'viewer', 200],
    ['GET', 'history', 'viewer', 200],
    ['GET', 'routes', 'viewer', 200],
    ['GET', 'gateway/routes', 'viewer', 200],
    ['POST', 'gateway/try', 'viewer', 200, { url: '/nowhere' }],
    ['GET', 'cache', 'viewer', 200],
    ['GET', 'cache/entry', 'viewer', 404],
    ['POST', 'cache/purge', 'operator', 204, { tag: 'none' }],
    ['GET', 'upstreams', 'viewer', 200],
    ['POST', 'upstreams/drain', 'operator', 404, { upstream: 'nobody', server: '127.0.0.1:1', drain: true }],
    ['POST', 'upstreams/weight', 'operator', 404, { upstream: 'nobody', server: '127.0.0.1:1', weight: 2 }],
    ['GET', 'logs', 'viewer', 200],
    ['GET', 'configuration', 'viewer', 200],
    ['GET', 'mails', 'viewer', 200],
    ['GET', 'mails/ID', 'viewer', 404],
    ['GET', 'queues', 'viewer', 200],
    ['GET', 'jobs', 'viewer', 422], // of which queue, in which state?
    ['GET', 'jobs/ID', 'viewer', 404],
    ['POST', 'jobs/retry', 'operator', 404, { id: NOBODY }],
    ['POST', 'jobs/delete', 'operator', 404, { id: NOBODY }],
    ['POST', 'logout', 'viewer', 204, {}], // the last: it ends the session
];

const nameOf = ([method, path]) => `${method} ${path}`;
const source = (path) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

// The endpoints that the server has, of its own tables.
async function served() {
    const [admin, manage] = await Promise.all([source('server/admin/admin.c'), source('server/identity/manage.c')]);
    const rows = [...admin.matchAll(/\{METHOD_(GET|POST), "\/_\/api\/([^"]*)"/g)].map(([, method, path]) => `${method} ${path}`);
    const actions = [...manage.matchAll(/\{"((?:users|administrators)\/[a-z]+)", ADMIN_/g)].map(([, path]) => `POST ${path}`);
    assert.ok(rows.length > 20 && actions.length > 5);
    return [...rows.filter((row) => !/^POST .*\*$/.test(row)).map((row) => row.replace('*', 'ID')), ...actions];
}

async function documented() {
    const text = await source('docs/admin-api.md');
    return [...text.matchAll(/`(GET|POST) \/_\/api\/([^?`]*)[^`]*`(?:, `\.\.\.\/([a-z]+)`)?/g)].flatMap(([, method, path, other]) =>
        [`${method} ${path}`, ...(other ? [`${method} ${path.replace(/[a-z]+$/, other)}`] : [])]);
}

test('each endpoint that is served has a row here and one in docs/admin-api.md', async () => {
    const here = ENDPOINTS.map(nameOf).sort();
    assert.deepEqual([...new Set(await served())].sort(), here);
    assert.deepEqual([...new Set(await documented())].sort(), here);
});

// The status alone: streams have no end.
function statusOf(galley, [method, path, , , body], headers) {
    const text = body && JSON.stringify(body);
    const all = { ...headers, ...(text && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }) };
    const target = `/_/api/${path.replace('ID', NOBODY)}`;
    return withDeadline(`${method} ${target}`, new Promise((resolve, reject) => {
        const request = http.request({ host: '127.0.0.1', port: galley.port, method, path: target, headers: all, agent: false });
        request.on('error', reject);
        request.on('response', (response) => {
            resolve(response.statusCode);
            response.on('error', () => {});
            request.destroy();
        });
        request.end(text);
    }));
}

async function signIn(galley, username, password) {
    const answer = await galley.request('POST', '/_/api/login', { json: { username, password } });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return { cookie: answer.headers['set-cookie'][0].split(';')[0], 'x-csrf-token': answer.body.csrf };
}

test('each endpoint answers each role as it should', async (t) => {
    const galley = await startGalley();
    const post = await galley.administrator('captain', SECRET);
    const sessions = { administrator: await signIn(galley, 'captain', SECRET) };
    for (const role of ['viewer', 'operator']) {
        assert.equal((await post('administrators/add', { username: role, password: SECRET, role })).status, 201);
        sessions[role] = await signIn(galley, role, SECRET);
    }
    for (const row of ENDPOINTS) {
        const [method, , needed, allowed] = row;
        await t.test(nameOf(row), async () => {
            const open = needed === 'anyone';
            assert.equal(await statusOf(galley, row, {}), open ? allowed : 401, 'without a session');
            assert.equal(await statusOf(galley, row, { cookie: 'galley_session=x', 'x-csrf-token': 'x' }), open ? allowed : 401, 'with a cookie of nobody');
            if (method === 'POST') {
                const elsewhere = { ...sessions.administrator, origin: 'https://evil.example' };
                assert.equal(await statusOf(galley, row, elsewhere), 403, 'from a page of another site');
                assert.equal(await statusOf(galley, row, { ...sessions.administrator, 'sec-fetch-site': 'cross-site' }), 403, 'sent across sites');
            }
            if (method === 'POST' && !open) {
                const { cookie } = sessions.administrator;
                assert.equal(await statusOf(galley, row, { cookie }), 403, 'without the CSRF token');
                const others = { cookie, 'x-csrf-token': sessions.viewer['x-csrf-token'] };
                assert.equal(await statusOf(galley, row, others), 403, 'with the CSRF token of another session');
            }
            for (const role of ROLES) {
                const may = open || ROLES.indexOf(role) >= ROLES.indexOf(needed);
                assert.equal(await statusOf(galley, row, sessions[role]), may ? allowed : 403, role);
            }
        });
    }
});
