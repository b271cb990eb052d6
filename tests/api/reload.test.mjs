// The configuration is read anew while requests run.
import assert from 'node:assert/strict';
import { readFile, rename, rm, stat } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';

import { runGalley, startGalley } from '../lib/galley.mjs';

const SHOP = { path: '/*', target: 'app:shop' };

function lines(galley) {
    return galley.log().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
}

// What the configuration said in the log from the line `from` on.
function said(galley, from = 0) {
    return lines(galley).slice(from).filter((line) => line.component === 'config').map((line) => line.message);
}

test('routes come and go with a reload', async () => {
    const galley = await startGalley({ config: { 'route shop': null, 'route list': { path: '/products', target: 'app:shop' } } });
    assert.equal((await galley.request('GET', '/products?limit=1')).status, 200);
    assert.equal((await galley.request('GET', '/products/17')).status, 404);
    await galley.configure({ 'route shop': null, 'route one': { path: '/products/{id}', target: 'app:shop' } });
    await galley.reload();
    assert.equal((await galley.request('GET', '/products?limit=1')).status, 404);
    assert.equal((await galley.request('GET', '/products/17')).status, 401);
    assert.deepEqual(said(galley).slice(-7), [
        '[route one] is new',
        '[route one] path: (none) -> /products/{id}',
        '[route one] target: (none) -> app:shop',
        '[route list] is gone',
        '[route list] path: /products -> (none)',
        '[route list] target: app:shop -> (none)',
        'reloaded: 6 taken over, 0 waiting for a restart',
    ]);
});

test('a broken file changes nothing and says why, with lines', async () => {
    const galley = await startGalley();
    await galley.configure('[server]\nworker = 8\n[route shop]\npath = /nowhere\ntarget = app:shop\n');
    await galley.reload();
    assert.deepEqual(said(galley), [
        'not reloaded, nothing has changed; the file is wrong:',
        'config.ini:2: [server] worker: unknown key; did you mean workers?',
    ]);
    await galley.configure('[route shop]\npath = /nowhere\ntarget = app:shop\n');
    await galley.reload();
    assert.match(said(galley).at(-1), /^config\.ini:1: \[route shop\] mounts nothing/);
    assert.equal((await galley.request('GET', '/products?limit=1')).status, 200);
});

test('a file that is gone changes nothing', async () => {
    const galley = await startGalley({ args: ['-c', 'config.ini'] });
    await galley.configure('');
    await rm(`${galley.dir}/config.ini`);
    await galley.reload();
    assert.match(said(galley).at(-1), /^config\.ini: cannot be read: No such file/);
    assert.equal((await galley.request('GET', '/products?limit=1')).status, 200);
});

test('what needs a restart is named at each reload until then', async () => {
    const galley = await startGalley();
    const config = { server: { workers: 65 }, 'queue new': { concurrency: 3 } };
    await galley.configure(config);
    for (let i = 0; i < 2; i++) {
        const from = lines(galley).length;
        await galley.reload();
        assert.deepEqual(said(galley, from), [
            '[server] workers: 64 -> 65; takes a restart',
            '[queue new] is new; takes a restart',
            '[queue new] concurrency: (none) -> 3; takes a restart',
            'reloaded: 0 taken over, 3 waiting for a restart',
        ]);
    }
    await galley.restart();
    await galley.reload();
    assert.equal(said(galley).at(-1), 'reloaded: 0 taken over, 0 waiting for a restart');
});

test('a secret is never shown', async () => {
    const galley = await startGalley();
    await galley.configure({ auth: { key: 'hunter2 hunter2 hunter2 hunter2 hunter2' } });
    await galley.reload();
    assert.deepEqual(said(galley), [
        '[auth] key: (secret) -> (secret); takes a restart',
        'reloaded: 0 taken over, 1 waiting for a restart',
    ]);
    assert.doesNotMatch(galley.log(), /hunter2/);
});

test('the time that tokens are valid is taken over', async () => {
    const galley = await startGalley();
    const login = () => galley.request('POST', '/auth/login', { json: { username: 'alice', password: 'secret' } });
    assert.equal((await login()).body.expiresIn, 3600);
    await galley.configure({ auth: { token_ttl: '5min' } });
    await galley.reload();
    assert.equal((await login()).body.expiresIn, 300);
});

test('the log file is opened anew, and its settings are taken over', async () => {
    const galley = await startGalley({ config: { log: { file: 'galley.log' } } });
    const post = await galley.administrator();
    const file = `${galley.dir}/galley.log`;
    const written = async (name) => (await readFile(name, 'utf8')).split('\n').filter(Boolean).map((line) => JSON.parse(line));
    await rename(file, `${file}.1`);
    await galley.configure({ log: { file: 'galley.log', access: 'no' } });
    assert.equal((await post('reload')).status, 200);
    await galley.request('GET', '/products?limit=1');
    await galley.stop();
    const lines = await written(file);
    assert.ok(lines.some((line) => line.message === 'stopped'));
    assert.ok(lines.every((line) => line.path !== '/products'));
    assert.ok((await written(`${file}.1`)).some((line) => line.message.startsWith('started on ')));
});

test('a log file that cannot be opened changes nothing', async () => {
    const galley = await startGalley();
    const post = await galley.administrator();
    await galley.configure({ log: { file: '/nonexistent/log' }, 'route shop': null });
    const { status, body } = await post('reload');
    assert.equal(status, 422);
    assert.deepEqual(body.error.details, [
        { message: '[log] file: /nonexistent/log cannot be opened: No such file or directory' }]);
    assert.equal((await galley.request('GET', '/products?limit=1')).status, 200);
});

test('limits keep their counts over a reload, wherever their section stands', async () => {
    const limited = { path: '/products', target: 'app:shop', rate_limit: '2/h by ip' };
    const galley = await startGalley({ config: { 'route list': limited } });
    const list = () => galley.request('GET', '/products?limit=1');
    assert.equal((await list()).status, 200);
    await galley.configure({ 'route shop': null, 'route list': limited, 'route rest': SHOP });
    await galley.reload();
    assert.equal((await list()).status, 200);
    assert.equal((await list()).status, 429);
    await galley.configure({ 'route list': { ...limited, rate_limit: '2/h by ip burst 4' } });
    await galley.reload();
    const { status, headers } = await list();
    assert.equal(status, 200);
    assert.match(headers.ratelimit, /^"default";r=1;/);
});

test('traffic figures go on counting over a reload', async () => {
    const galley = await startGalley();
    const total = () => galley.metric('galley_http_requests_total{route="/products",method="GET",code="200"}');
    await galley.request('GET', '/products?limit=1');
    await galley.configure({ 'route list': { path: '/products', target: 'app:shop' } });
    await galley.reload();
    await galley.request('GET', '/products?limit=1');
    assert.equal(await total(), 2);
    await galley.configure({ 'route shop': null });
    await galley.reload();
    await galley.request('GET', '/products?limit=1');
    assert.equal(await total(), 2);
});

test('an administrator reloads over HTTP and is told what changed', async () => {
    const galley = await startGalley();
    const post = await galley.administrator();
    assert.equal((await galley.request('POST', '/_/api/reload')).status, 401);
    assert.deepEqual((await post('reload')).body, { changed: [], restart: [] });
    await galley.configure({
        server: { workers: 65 }, auth: { key: 'hunter2 hunter2 hunter2 hunter2 hunter2' },
        'route shop': { ...SHOP, rate_limit: '9/s' }, 'route list': { path: '/products', target: 'app:shop' },
    });
    const { status, body } = await post('reload');
    assert.equal(status, 200);
    assert.deepEqual(body, {
        changed: [
            { section: 'route shop', key: 'rate_limit', from: '', to: '9/s' },
            { section: 'route list', key: null, from: null, to: '' },
            { section: 'route list', key: 'path', from: null, to: '/products' },
            { section: 'route list', key: 'target', from: null, to: 'app:shop' },
        ],
        restart: [
            { section: 'server', key: 'workers', from: '64', to: '65' },
            { section: 'auth', key: 'key', from: '(secret)', to: '(secret)' },
        ],
    });
});

test('galley reload asks the running server and prints what changed', async () => {
    const galley = await startGalley();
    const reload = (...args) => runGalley(['reload', ...args], { cwd: galley.dir });
    assert.deepEqual(await reload(), { status: 0, stdout: 'nothing has changed\n', stderr: '' });
    await galley.configure({ server: { workers: 65 }, 'route list': { path: '/products', target: 'app:shop' } });
    assert.deepEqual(await reload('--data', 'data'), {
        status: 0,
        stdout: 'taken over:\n  [route list] is new\n  [route list] path: (none) -> /products\n'
            + '  [route list] target: (none) -> app:shop\ntakes a restart:\n  [server] workers: 64 -> 65\n',
        stderr: '',
    });
    const json = await reload('--json');
    assert.deepEqual(JSON.parse(json.stdout).restart, [{ section: 'server', key: 'workers', from: '64', to: '65' }]);
});

test('galley reload tells what is wrong with the file', async () => {
    const galley = await startGalley();
    await galley.configure('[server]\nworker = 8\n');
    const here = await runGalley(['reload'], { cwd: galley.dir });
    assert.deepEqual(here, { status: 2, stdout: '', stderr: 'config.ini:2: [server] worker: unknown key; did you mean workers?\n' });
    const there = await runGalley(['reload', '--data', galley.dataDir]);
    assert.deepEqual(there, {
        status: 1,
        stdout: '',
        stderr: 'galley reload: The configuration is wrong; nothing has changed.\n'
            + 'config.ini:2: [server] worker: unknown key; did you mean workers?\n',
    });
});

test('the control socket is its owner\'s alone, and trusted without a session', async () => {
    const galley = await startGalley();
    const socketPath = path.join(galley.dataDir, 'control.sock');
    assert.equal((await stat(socketPath)).mode & 0o777, 0o600);
    const status = await new Promise((resolve, reject) => {
        const request = http.request({ socketPath, method: 'POST', path: '/_/api/reload' });
        request.on('error', reject).on('response', (response) => resolve(response.resume().statusCode)).end();
    });
    assert.equal(status, 200);
});

test('a data directory with a long path and a comma has its control socket too', async () => {
    const galley = await startGalley({ config: { server: { data: `./${'d'.repeat(100)},x` } } });
    const { status } = await runGalley(['reload'], { cwd: galley.dir });
    assert.equal(status, 0);
});

test('a broken file is told over HTTP with its lines', async () => {
    const galley = await startGalley();
    const post = await galley.administrator();
    await galley.configure('[server]\nworker = 8\n[cash]\n');
    const { status, body } = await post('reload');
    assert.equal(status, 422);
    assert.equal(body.error.code, 'CONFIGURATION_INVALID');
    assert.deepEqual(body.error.details, [
        { message: 'config.ini:2: [server] worker: unknown key; did you mean workers?' },
        { message: 'config.ini:3: [cash] unknown section; did you mean cache?' },
    ]);
    assert.equal((await galley.request('GET', '/products?limit=1')).status, 200);
    assert.equal(await galley.metric('galley_config_reloads_total{outcome="refused"}'), 1);
});

test('200 reloads under load lose no request', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    const plans = [
        { 'route shop': { ...SHOP, rate_limit: '1000000/s by user' } },
        { 'route shop': SHOP, 'route list': { path: '/products', target: 'app:shop' } },
    ];
    let over = false;
    const statuses = new Map();
    const client = async (method, target, options) => {
        while (!over) {
            const { status } = await galley.request(method, target, options);
            statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
    };
    const clients = Array.from({ length: 8 }, (_, i) => i % 2
        ? client('GET', '/products/17', { token })
        : client('POST', '/place-order', { token, json: { productId: 1 + i, qty: 1 } }));
    for (let i = 0; i < 200; i++) {
        await galley.configure(plans[i % 2]);
        await galley.reload();
    }
    over = true;
    await Promise.all(clients);
    assert.deepEqual([...statuses.keys()].sort(), [200, 201], JSON.stringify([...statuses]));
    assert.equal(await galley.metric('galley_config_plans'), 1);
    assert.equal(await galley.metric('galley_config_reloads_total{outcome="done"}'), 200);
});
