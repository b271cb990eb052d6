// [route] sections: which requests go where, and what `galley routes` and `galley check` say of it.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { runGalley, startGalley } from '../lib/galley.mjs';

// A route that says its own name.
const says = (name, keys) => ({ [`route ${name}`]: { target: 'respond:200', respond_body: name, ...keys } });

const asked = async (galley, target, headers = {}, method = 'GET') => {
    const { status, body } = await galley.request(method, target, { headers });
    return status === 200 ? body : status;
};

// What a command says of a configuration.
async function about(config, ...args) {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'galley-test-'));
    const file = path.join(dir, 'c.ini');
    await writeFile(file, config);
    const answer = await runGalley([args[0], '-c', 'c.ini', ...args.slice(1)], { cwd: dir });
    await rm(dir, { recursive: true });
    return answer;
}

test('the host decides before the path: exact, then the longest suffix, then any', async () => {
    const galley = await startGalley({
        config: {
            ...says('any', { path: '/place' }),
            ...says('wide', { path: '/*', host: '*.example.org' }),
            ...says('narrow', { path: '/*', host: '*.shop.example.org' }),
            ...says('exact', { path: '/place', host: 'API.example.org' }),
        },
    });
    assert.equal(await asked(galley, '/place', { host: 'elsewhere.org' }), 'any');
    assert.equal(await asked(galley, '/place', { host: 'api.EXAMPLE.org:8080' }), 'exact');
    assert.equal(await asked(galley, '/other', { host: 'api.example.org' }), 'wide');
    assert.equal(await asked(galley, '/place', { host: 'a.shop.example.org' }), 'narrow');
    assert.equal(await asked(galley, '/place', { host: 'shop.example.org' }), 'wide');
    assert.equal(await asked(galley, '/place', { host: 'example.org' }), 'any');
    assert.equal(await asked(galley, '/place', { host: 'badexample.org' }), 'any');
});

test('of one path the route with more conditions is taken, and what does not fit goes on', async () => {
    const galley = await startGalley({
        config: {
            ...says('plain', { path: '/p' }),
            ...says('debug', { path: '/p', query: 'debug' }),
            ...says('beta', { path: '/p', header: 'X-Beta: y*' }),
            ...says('posted', { path: '/p', method: 'POST, PUT' }),
            ...says('phone', { path: '/p/d', device: 'mobile, tablet' }),
            ...says('desk', { path: '/p/d' }),
            ...says('two', { path: '/p/v', version: '2' }),
            ...says('one', { path: '/p/v' }),
            ...says('near', { path: '/p/c', client: 'loopback' }),
            ...says('far', { path: '/p/c', client: '192.0.2.0/24' }),
            ...says('below', { path: '/p/*' }),
        },
    });
    assert.equal(await asked(galley, '/p'), 'plain');
    assert.equal(await asked(galley, '/p?debug=1'), 'debug');
    assert.equal(await asked(galley, '/p?debug=1', { 'x-beta': 'yes' }), 'beta');
    assert.equal(await asked(galley, '/p?debug=1', { 'x-beta': 'no' }, 'PUT'), 'posted');
    assert.equal(await asked(galley, '/p/d', { 'user-agent': 'Mozilla/5.0 (iPhone) Mobile' }), 'phone');
    assert.equal(await asked(galley, '/p/d', { 'user-agent': 'curl' }), 'desk');
    assert.equal(await asked(galley, '/p/v', { 'api-version': 'v2' }), 'two');
    assert.equal(await asked(galley, '/p/v', { accept: 'application/vnd.a.v2+json' }), 'two');
    assert.equal(await asked(galley, '/p/v?api-version=2'), 'two');
    assert.equal(await asked(galley, '/p/v', { 'api-version': '3' }), 'one');
    assert.equal(await asked(galley, '/p/c'), 'near');
    assert.equal(await asked(galley, '/p/x', {}, 'DELETE'), 'below');
    assert.equal(await asked(galley, '/p/', {}), 'below');
});

test('a module is mounted under several hosts, and one of its routes replaced', async () => {
    const galley = await startGalley({
        config: {
            'route shop': { host: 'a.example.org', rate_limit: '1/h by ip' },
            'route second': { path: '/*', host: 'b.example.org', target: 'app:shop' },
            ...says('closed', { path: '/products', method: 'GET', host: 'b.example.org', target: 'respond:503' }),
        },
    });
    const a = { headers: { host: 'a.example.org' } }, b = { headers: { host: 'b.example.org' } };
    assert.equal((await galley.request('GET', '/products', a)).status, 200);
    assert.equal((await galley.request('GET', '/products', a)).status, 429);
    assert.equal((await galley.request('GET', '/products', b)).status, 503);
    assertError(await galley.request('GET', '/products/17', b), 401);
    assertError(await galley.request('GET', '/products'), 404);
});

test('a method that a path lacks is 405 with Allow, of all routes that fit otherwise', async () => {
    const galley = await startGalley({
        config: {
            ...says('get', { path: '/m', method: 'GET' }),
            ...says('put', { path: '/m', method: 'PUT', header: 'X-A' }),
        },
    });
    const refused = await galley.request('DELETE', '/m');
    assertError(refused, 405);
    assert.equal(refused.headers.allow, 'GET, HEAD, OPTIONS');
    const more = await galley.request('OPTIONS', '/m', { headers: { 'x-a': '' } });
    assert.equal(more.status, 204);
    assert.equal(more.headers.allow, 'GET, HEAD, PUT, OPTIONS');
    const head = await galley.request('HEAD', '/m');
    assert.equal(head.status, 200);
    assert.equal(head.headers['content-length'], '3');
});

test('preflights are answered by the policy of what they announce; without one they go to the route', async () => {
    const page = { origin: 'https://a.example', 'access-control-request-method': 'PUT' };
    const galley = await startGalley({
        config: {
            ...says('policy', { path: '/own', cors_origins: 'https://a.example' }),
            ...says('none', { path: '/none' }),
        },
    });
    const own = await galley.request('OPTIONS', '/own', { headers: page });
    assert.equal(own.status, 204);
    assert.match(own.headers['access-control-allow-methods'], /GET, HEAD, POST, PUT/);
    assert.equal(await asked(galley, '/none', page, 'OPTIONS'), 'none');
});

test('an answer that stands in the configuration has status, body, type and place', async () => {
    const galley = await startGalley({
        config: {
            'route a': { path: '/json', target: 'respond:200', respond_body: '{"a":1}' },
            'route b': { path: '/page', target: 'respond:404', respond_body: '<h1>gone</h1>' },
            'route c': { path: '/typed', target: 'respond:201', respond_body: 'x', respond_type: 'text/csv' },
            'route d': { path: '/moved/*', target: 'respond:308', respond_location: '/json' },
            'route e': { path: '/closed', target: 'respond:503' },
            'route f': { path: '/nothing', target: 'respond:204' },
        },
    });
    const json = await galley.request('GET', '/json');
    assert.deepEqual(json.body, { a: 1 });
    assert.equal((await galley.request('GET', '/json', { headers: { 'if-none-match': json.headers.etag } })).status, 304);
    const page = await galley.request('GET', '/page');
    assert.equal(page.status, 404);
    assert.match(page.headers['content-type'], /^text\/html/);
    assert.equal((await galley.request('POST', '/typed')).headers['content-type'], 'text/csv');
    const moved = await galley.request('GET', '/moved');
    assert.equal(moved.status, 308);
    assert.equal(moved.headers.location, '/json');
    assertError(await galley.request('GET', '/closed'), 503);
    assert.equal((await galley.request('GET', '/nothing')).status, 204);
});

test('roles, tokens and limits of a route hold for every target', async () => {
    const galley = await startGalley({
        config: {
            ...says('inside', { path: '/inside', signed_in: 'yes' }),
            ...says('admins', { path: '/admins', roles: 'admin' }),
            ...says('few', { path: '/few', rate_limit: '1/h by ip' }),
        },
    });
    const token = await galley.login();
    assertError(await galley.request('GET', '/inside'), 401);
    assert.equal((await galley.request('GET', '/inside', { token })).body, 'inside');
    assertError(await galley.request('GET', '/admins', { token }), 403);
    assert.equal(await asked(galley, '/few'), 'few');
    assert.equal(await asked(galley, '/few'), 429);
});

test('no way of writing a path passes a route that guards it', async () => {
    const galley = await startGalley({
        config: {
            ...says('open', { path: '/*' }),
            ...says('guarded', { path: '/admin/*', roles: 'admin' }),
        },
    });
    const tries = ['/admin', '/admin/', '/admin/x', '/x/../admin/x', '/./admin/x', '/%61dmin/x', '/x/%2e%2e/admin/x',
        '/x/.%2E/admin', '/admin/./x', '/admin/x?y=/../../', 'http://h/admin/x', '/admin/x/../y', '/admin/%2e/x'];
    for (const target of tries) {
        const raw = await galley.connect();
        raw.send(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
        assert.equal((await raw.response()).status, 401, target);
        raw.destroy();
    }
    for (const target of ['/admin%2Fx', '/x/..%2Fadmin', '/admin\\x', '/x/%5c../admin', '/admin/%00', '/%']) {
        const raw = await galley.connect();
        raw.send(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
        assert.equal((await raw.response()).status, 400, target);
        raw.destroy();
    }
    // A server behind us might take these for the guarded path.
    for (const target of ['//admin/x', '/admin;x/y', '/x/..;/admin/x', '/;/admin', '/x//../..//admin/x']) {
        assertError(await galley.request('GET', target), 400);
    }
    for (const target of ['/x//y', '/x;a=1/y', '/adminx', '/x;']) assert.equal(await asked(galley, target), 'open', target);
});

test('what the server is operated by stays, whatever routes say', async () => {
    const galley = await startGalley({
        config: { ...says('all', { path: '/*' }), ...says('host', { path: '/{a}/{b}', host: 'h.example' }) },
    });
    const host = { headers: { host: 'h.example' } };
    assert.equal((await galley.request('GET', '/healthz', host)).body.status, 'ok');
    assertError(await galley.request('DELETE', '/healthz'), 405);
    assertError(await galley.request('PUT', '/_/api', host), 405);
    assert.equal(await asked(galley, '/', {}), 'all');
});

test('a reload brings and takes routes, and each is counted by its own name', async () => {
    const galley = await startGalley({ config: says('first', { path: '/r', header: 'X-A' }) });
    assert.equal(await asked(galley, '/r', { 'x-a': '1' }), 'first');
    await galley.configure(says('second', { path: '/r/{id}', host: '*.example.org' }));
    await galley.reload();
    assert.equal(await asked(galley, '/r', { 'x-a': '1' }), 404);
    assert.equal(await asked(galley, '/r/1', { host: 'a.example.org' }, 'PUT'), 'second');
    const count = (route, method) => galley.metric(`galley_http_requests_total{route="${route}",method="${method}",code="200"}`);
    assert.equal(await count('/r (first)', 'GET'), 1);
    assert.equal(await count('*.example.org/r/{id}', 'PUT'), 1);
});

// ---- Commands

test('what is wrong with a route is said with its line', async () => {
    const wrong = async (keys, expected) => {
        const { status, stderr } = await about(`[route a]\npath = /a\n${keys}\n`, 'check');
        assert.equal(status, 2, keys);
        assert.match(stderr, expected);
    };
    await wrong('target = respond:99', /^c\.ini:3: .*respond:STATUS/);
    await wrong('target = respond:304', /^c\.ini:3:/);
    await wrong('target = respond:200\nhost = *.10.0.0.1', /^c\.ini:4: \[route a\] host: /);
    await wrong('target = respond:200\nheader = : x', /^c\.ini:4: \[route a\] header: /);
    await wrong('target = respond:200\ndevice = toaster', /^c\.ini:4: .*mobile, tablet/);
    await wrong('target = respond:200\nclient = 10.0.0.1/8', /^c\.ini:4: /);
    const { stderr } = await about('[route a]\npath = /a/{x}\nheader = X-A: 1\ntarget = respond:200\n\n' +
        '[route b]\npath = /a/{y}\ntarget = respond:201\nheader = X-A: 1\n', 'check');
    assert.equal(stderr, 'c.ini: [route a] and [route b] both have the route any method /a/{x} (/a/{y}): line 1 ' +
        '[route a], line 6 [route b]; one of them needs another path, host or condition\n');
});

const SHOWN = `[route shop]
path = /*
target = app:shop
[route canary]
path = /products
method = GET
header = X-Canary: 1
target = respond:200
[route hosted]
path = /products/*
host = *.example.org
target = respond:410
`;

test('galley routes prints the table', async () => {
    const { status, stdout } = await about(SHOWN, 'routes');
    assert.equal(status, 0);
    assert.match(stdout, /^METHOD +HOST +PATH +TARGET +FROM\n/);
    assert.match(stdout, /^GET +any +\/products +respond:200 +\[route canary\] line 4 {2}if header X-Canary: 1$/m);
    assert.match(stdout, /^any +\*\.example\.org +\/products\/\* +respond:410 +\[route hosted\] line 9$/m);
    assert.match(stdout, /^GET +any +\/products +app:shop +\[route shop\] line 1$/m);
    const json = JSON.parse((await about(SHOWN, 'routes', '--json')).stdout);
    assert.deepEqual(json.find((route) => route.section === 'canary'), {
        section: 'canary', line: 4, host: null, method: 'GET', path: '/products', conditions: ['header X-Canary: 1'],
        target: 'respond:200',
    });
});

test('galley routes says which route a request takes, and why each other is passed over', async () => {
    const url = 'https://a.example.org/products';
    const { stdout } = await about(SHOWN, 'routes', 'GET', url);
    assert.match(stdout, /^GET a\.example\.org\/products\n {2}takes \[route hosted\] line 9: any method/);
    assert.match(stdout, /^ {2}not {3}\[route shop\] line 1, GET \/products: it fits, but the other is more particular$/m);
    assert.match(stdout, /\[route canary\] line 4, GET \/products: it wants header X-Canary: 1$/m);
    assert.match(stdout, /^ {2}other paths: .*GET \/healthz, /m);
    const canary = await about(SHOWN, 'routes', '/products', '-H', 'X-Canary: 1', '-H', 'X-Other: 2', '--json');
    const tried = JSON.parse(canary.stdout);
    assert.equal(tried.takes.section, 'canary');
    assert.equal(tried.passedOver.find(({ route }) => route.section === 'hosted').why, 'host');
    const none = JSON.parse((await about(SHOWN, 'routes', 'PUT', '/products', '--json')).stdout);
    assert.equal(none.takes, null);
    assert.equal(none.status, 405);
    assert.match((await about(SHOWN, 'routes', 'GET', '/a%2fb')).stderr, /answered 400/);
    assert.equal((await about(SHOWN, 'routes', 'BREW', '/a')).status, 2);
});

test('a service has a path of the users\' own module for itself when its route names path and method', async () => {
    const galley = await startGalley({ config: says('me', { path: '/users/me', method: 'GET, PATCH', target: 'respond:204' }) });
    assert.equal((await galley.request('GET', '/users/me')).status, 204);
    assert.equal((await galley.request('POST', '/auth/login', { json: { username: 'alice', password: 'secret' } })).status, 200);
});

test('the administration shows the routes that are served, and tries a request', async () => {
    const galley = await startGalley({ config: says('beta', { path: '/products', header: 'X-Beta', method: 'GET' }) });
    const admin = await galley.administrator();
    const table = await admin.get('gateway/routes');
    assert.equal(table.status, 200);
    assert.ok(table.body.data.some((route) => route.section === 'beta' && route.target === 'respond:200'));
    const tried = await admin('gateway/try', { url: 'https://h/products', headers: ['X-Beta: 1'] });
    assert.equal(tried.status, 200);
    assert.equal(tried.body.takes.section, 'beta');
    assert.equal(tried.body.passedOver[0].why, 'outdone');
    assert.deepEqual(tried.body.stages.at(-1), { stage: 'target', says: 'respond:200' });
    assert.equal((await admin('gateway/try', { url: '/nowhere', method: 'PUT', from: '192.0.2.1' })).body.status, 404);
    assert.equal((await admin('gateway/try', { url: '/nowhere' })).body.stages, null);
    assertError(await admin('gateway/try', { url: '/a%2fb' }), 422);
    assertError(await admin('gateway/try', { method: 'GET' }), 422);
    assertError(await galley.request('GET', '/_/api/gateway/routes'), 401);
});

test('what a tried request has to pass on its route is told stage by stage, as the configuration says it', async () => {
    const route = {
        path: '/reports', target: 'respond:200', roles: 'staff, audit', rate_limit: '5/min by ip burst 2', rate_tier: 'staff 50/min by ip',
        body_max: '2KiB', cache: 'yes', deny: '192.0.2.0/24', signed_in: 'yes',
    };
    const galley = await startGalley({ config: says('reports', route) });
    const admin = await galley.administrator();
    const { body: { stages } } = await admin('gateway/try', { url: '/reports' });
    const refused = await admin('gateway/try', { url: '/reports', from: '192.0.2.7' });
    assert.deepEqual(refused.body.stages[0], { stage: 'guard', says: 'allow and deny refuse its address: 403' });
    assert.deepEqual(Object.fromEntries(stages.map(({ stage, says: what }) => [stage, what])), {
        guard: 'allow and deny let its address',
        auth: 'a token is required, else 401; the user needs the role staff or audit, else 403',
        limit: 'each address: 5 requests in 60 s, 2 at once; with the role staff 50 in 60 s, else 429',
        body: 'up to 2048 bytes, else 413',
        cache: 'what is stored is given, what may be is stored',
        target: 'respond:200',
    });
});
