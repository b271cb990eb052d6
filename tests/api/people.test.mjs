// Who is who: users and administrators by the admin API and by the command line, on a running server and on a
// stopped one.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { binary, startGalley, withDeadline } from '../lib/galley.mjs';
import { claims, makeToken } from '../lib/jwt.mjs';

const SECRET = 'a long secret';

// A server whose first administrator is signed in; `as` signs others in.
async function startManaged(options) {
    const galley = await startGalley(options);
    const post = await galley.administrator();
    return { galley, post };
}

async function signIn(galley, username, password) {
    const answer = await galley.request('POST', '/_/api/login', { json: { username, password } });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const headers = { cookie: answer.headers['set-cookie'][0].split(';')[0], 'x-csrf-token': answer.body.csrf };
    return {
        role: answer.body.role,
        headers,
        get: (target) => galley.request('GET', `/_/api/${target}`, { headers }),
        post: (target, json = {}) => galley.request('POST', `/_/api/${target}`, { json, headers }),
    };
}

// `galley user ...` or `galley admin ...` in the server's directory, with a password on standard input.
function command(galley, args, input = '') {
    return new Promise((resolve) => {
        const child = execFile(binary, args, { cwd: galley.dir }, (error, stdout, stderr) => {
            resolve({ status: error ? error.code : 0, stdout, stderr });
        });
        child.stdin.on('error', () => {}); // it may end without reading
        child.stdin.end(input);
    });
}

async function done(galley, args, input) {
    const { status, stdout, stderr } = await command(galley, args, input);
    assert.equal(stderr, '', args.join(' '));
    assert.equal(status, 0);
    return stdout;
}

const logIn = (galley, username, password) =>
    galley.request('POST', '/auth/login', { json: { username, password } });

// ---- The admin API

test('an administrator makes a user, who signs in and orders', async () => {
    const { galley, post } = await startManaged();
    const made = await post('users/add', {
        username: 'Jörg', password: SECRET, name: 'Jörg Müller', email: 'joerg@example.com', roles: ['customer'],
    });
    assert.equal(made.status, 201);
    const { id, createdAt, ...user } = made.body;
    assert.ok(id && createdAt);
    assert.deepEqual(user, {
        username: 'Jörg', name: 'Jörg Müller', email: 'joerg@example.com', roles: ['customer'], disabled: false,
    });
    const token = await galley.login('Jörg', SECRET);
    const order = await galley.request('POST', '/place-order', { token, json: { productId: 17, qty: 1 } });
    assert.equal(order.status, 201);
    const again = await post('users/add', { username: 'Jörg', password: SECRET });
    assertError(again, 409, 'ALREADY_EXISTS');
});

test('a disabled user\'s tokens stop at once, and for good', async () => {
    const { galley, post } = await startManaged();
    const token = await galley.login();
    const me = () => galley.request('GET', '/users/me', { token });
    assert.equal((await me()).status, 200);
    assert.equal((await post('users/disable', { username: 'alice' })).body.disabled, true);
    assertError(await me(), 401, 'UNAUTHENTICATED');
    assertError(await galley.request('GET', '/products/17', { token }), 401, 'UNAUTHENTICATED');
    assertError(await logIn(galley, 'alice', 'secret'), 403, 'USER_DISABLED');
    assertError(await logIn(galley, 'alice', 'wrong'), 401, 'WRONG_CREDENTIALS');

    assert.equal((await post('users/enable', { username: 'alice' })).body.disabled, false);
    assertError(await me(), 401, 'UNAUTHENTICATED');
    const fresh = await galley.login();
    assert.equal((await galley.request('GET', '/users/me', { token: fresh })).status, 200);
    await galley.restart();
    assertError(await me(), 401, 'UNAUTHENTICATED');
    assert.equal((await galley.request('GET', '/users/me', { token: fresh })).status, 200);
});

// Requests run all the time; what begins after the administrator has the answer must not pass.
test('no request that begins after the answer passes with a disabled user\'s token', async () => {
    const { galley, post } = await startManaged();
    const token = makeToken(claims({ gen: 1_000_000 })); // above whatever being disabled counts up
    let answered = false; // to the administrator, that alice is disabled
    let over = false;
    const passed = { before: 0, after: 0 };
    const client = async () => {
        while (!over) {
            const after = answered;
            const { status } = await galley.request('GET', '/users/me', { token });
            if (status === 200 && answered === after) passed[after ? 'after' : 'before']++;
        }
    };
    const clients = Array.from({ length: 6 }, client);
    for (let round = 0; round < 60; round++) {
        assert.equal((await post('users/disable', { username: 'alice' })).status, 200);
        answered = true;
        for (let i = 0; i < 5; i++) assert.equal((await galley.request('GET', '/users/me', { token })).status, 401);
        answered = false;
        assert.equal((await post('users/enable', { username: 'alice' })).status, 200);
        assert.equal((await galley.request('GET', '/users/me', { token })).status, 200);
    }
    over = true;
    await Promise.all(clients);
    assert.equal(passed.after, 0);
    assert.ok(passed.before > 0);
});

test('another password and other roles void the tokens from before', async () => {
    const { galley, post } = await startManaged();
    const before = await galley.login();
    assert.equal((await post('users/passwd', { username: 'alice', password: SECRET })).status, 200);
    assertError(await galley.request('GET', '/users/me', { token: before }), 401);
    assertError(await logIn(galley, 'alice', 'secret'), 401);
    const token = await galley.login('alice', SECRET);
    const changed = await post('users/roles', { username: 'alice', roles: ['customer', 'admin'] });
    assert.deepEqual(changed.body.roles, ['customer', 'admin']);
    assertError(await galley.request('GET', '/users/me', { token }), 401);
    const { body } = await galley.request('GET', '/users/me', { token: await galley.login('alice', SECRET) });
    assert.deepEqual(body.roles, ['customer', 'admin']);
});

test('a removed user is gone with its tokens', async () => {
    const { galley, post } = await startManaged();
    const token = await galley.login();
    assert.equal((await post('users/remove', { username: 'alice' })).body.username, 'alice');
    assertError(await galley.request('GET', '/products/17', { token }), 401);
    assertError(await logIn(galley, 'alice', 'secret'), 401);
    assertError(await post('users/remove', { username: 'alice' }), 404, 'NOT_FOUND');
});

test('what no user can have is refused, with the field', async () => {
    const { post } = await startManaged();
    const refused = async (change, field) => {
        const answer = await post('users/add', { username: 'bob', password: SECRET, ...change });
        assert.equal(assertError(answer, 422, 'VALIDATION_ERROR').details[0].field, field);
    };
    await refused({ username: 'two words' }, 'username');
    await refused({ username: 'a'.repeat(65) }, 'username');
    await refused({ password: 'short' }, 'password');
    await refused({ roles: ['a role'] }, 'roles');
    await refused({ roles: Array.from({ length: 9 }, (_, i) => `r${i}`) }, 'roles');
    await refused({ email: 'nowhere' }, 'email');
    await refused({ disabled: false }, 'disabled');
});

test('what a name may be is the same through every door', async () => {
    const { galley, post } = await startManaged({ config: { auth: { register: 'yes' } } });
    const token = await galley.login();
    const good = ['Jörg', 'ö'.repeat(100), '👩'.repeat(100), '👩 Ann', 'דנה ליאת'];
    const bad = ['Ann \u202etxt.exe', 'Ann \u2066x\u2069', 'Ann\r\nBcc: eve@example.com', 'Ann\u2028Bcc', 'Ann\u001b[2J', 'Ann\u200b', '', '👩'.repeat(101)];
    for (const [i, name] of [...good, ...bad].entries()) {
        const allowed = i < good.length;
        const add = { username: `ann-${i}`, password: SECRET, name };
        const said = JSON.stringify(name);
        assert.equal((await galley.request('PATCH', '/users/me', { token, json: { name } })).status, allowed ? 200 : 422, said);
        assert.equal((await post('users/add', add)).status, allowed ? 201 : 422, said);
        const registered = await galley.request('POST', '/auth/register', { json: { ...add, username: `bea-${i}` } });
        assert.equal(registered.status, allowed ? 201 : 422, said);
        const { status } = await command(galley, ['user', 'add', `cleo-${i}`, '--name', name], `${SECRET}\n`);
        assert.equal(status === 0, allowed, said);
    }
    assert.equal((await galley.request('GET', '/users/me', { token })).body.name, good.at(-1));
});

test('what one signs in as is the same through every door', async () => {
    const { galley, post } = await startManaged({ config: { auth: { register: 'yes' } } });
    const usernames = { 'ö': true, [`a${'ö'.repeat(31)}.`]: true, [`a${'ö'.repeat(32)}`]: false, 'two words': false, 'a/b': false };
    for (const [name, allowed] of Object.entries(usernames)) {
        const user = { username: name, password: SECRET };
        const refused = async (answer) => (await answer).status === 422;
        assert.equal(await refused(post('users/add', user)), !allowed, name);
        assert.equal(await refused(post('administrators/add', user)), !allowed, name);
        assert.equal(await refused(galley.request('POST', '/auth/register', { json: user })), !allowed, name);
        const { stderr } = await command(galley, ['user', 'add', name], `${SECRET}\n`);
        assert.equal(/A name has 1 to 64 bytes/.test(stderr), !allowed, stderr);
        const fresh = await startGalley();
        const [, token] = /setup\?token=(\S+)/.exec(fresh.stdout);
        const first = await fresh.request('POST', '/_/api/setup', { json: { token, username: name, password: SECRET } });
        assert.equal(first.status, allowed ? 200 : 422, name);
        await fresh.stop();
    }
});

test('the users come in pages, by name', async () => {
    const { galley, post } = await startManaged();
    for (const username of ['carl', 'bob']) await post('users/add', { username, password: SECRET });
    const admin = await signIn(galley, 'captain', 'steady as she goes');
    const first = await admin.get('users?limit=2');
    assert.deepEqual(first.body.data.map((user) => user.username), ['alice', 'bob']);
    assert.equal(first.body.pagination.hasNext, true);
    const rest = await admin.get(`users?limit=2&after=${first.body.pagination.nextCursor}`);
    assert.deepEqual(rest.body.data.map((user) => user.username), ['carl']);
    assert.deepEqual(rest.body.pagination, { limit: 2, nextCursor: null, hasNext: false });
    assert.deepEqual((await admin.get('users?prefix=b')).body.data.map((user) => user.username), ['bob']);
    assert.ok(!JSON.stringify(first.body).includes('scrypt'));
    assertError(await admin.get('users?limit=0'), 422);
});

test('what a role may not do is refused by the server', async () => {
    const { galley, post } = await startManaged();
    for (const role of ['viewer', 'operator']) {
        assert.equal((await post('administrators/add', { username: role, password: SECRET, role })).status, 201);
    }
    const viewer = await signIn(galley, 'viewer', SECRET);
    const operator = await signIn(galley, 'operator', SECRET);
    assert.deepEqual([viewer.role, operator.role], ['viewer', 'operator']);
    for (const who of [viewer, operator]) {
        assert.equal((await who.get('users')).status, 200);
        assertError(await who.get('administrators'), 403, 'FORBIDDEN');
        assertError(await who.post('users/remove', { username: 'alice' }), 403, 'FORBIDDEN');
        assertError(await who.post('users/passwd', { username: 'alice', password: SECRET }), 403, 'FORBIDDEN');
        assertError(await who.post('administrators/role', { username: 'viewer', role: 'administrator' }), 403);
        assertError(await who.post('administrators/passwd', { username: 'captain', password: SECRET }), 403);
    }
    assertError(await viewer.post('reload'), 403, 'FORBIDDEN');
    assertError(await viewer.post('users/disable', { username: 'alice' }), 403, 'FORBIDDEN');
    assert.equal((await operator.post('users/disable', { username: 'alice' })).status, 200);
    assert.equal((await operator.post('reload')).status, 200);
    assert.equal((await viewer.post('administrators/passwd', { username: 'viewer', password: `${SECRET}!` })).status, 200);
    assertError(await viewer.get('users'), 401); // a new password ends the sessions
});

test('actions need the CSRF token of the session', async () => {
    const { galley } = await startManaged();
    const { headers } = await signIn(galley, 'captain', 'steady as she goes');
    const options = { json: { username: 'alice' }, headers: { cookie: headers.cookie } };
    assertError(await galley.request('POST', '/_/api/users/remove', options), 403, 'FORBIDDEN');
});

test('somebody is left who may do everything', async () => {
    const { galley, post } = await startManaged();
    assertError(await post('administrators/remove', { username: 'captain' }), 409, 'LAST_ADMINISTRATOR');
    assertError(await post('administrators/role', { username: 'captain', role: 'viewer' }), 409, 'LAST_ADMINISTRATOR');
    assert.equal((await post('administrators/add', { username: 'mate', password: SECRET })).body.role, 'administrator');
    assert.equal((await post('administrators/remove', { username: 'captain' })).status, 200);
    assertError(await post('users/enable', { username: 'alice' }), 401); // its sessions ended
    assert.deepEqual((await (await signIn(galley, 'mate', SECRET)).get('administrators')).body.data.map((a) => a.username), ['mate']);
});

// ---- The command line

test('galley user does the same on a running server as on a stopped one', async () => {
    const galley = await startGalley();
    for (const running of [true, false]) {
        const name = running ? 'ann' : 'bob';
        if (!running) await galley.stop();
        assert.equal(await done(galley, ['user', 'add', name, '--roles', 'customer,tester', '--email', 'a@example.com'], `${SECRET}\n`),
            `${name} is a user\n`);
        assert.match(await done(galley, ['user', 'passwd', name], 'another secret\n'), /has a new password/);
        assert.match(await done(galley, ['user', 'roles', name, 'admin']), /has other roles/);
        assert.match(await done(galley, ['user', 'disable', name]), /is disabled/);
        const { data } = JSON.parse(await done(galley, ['user', 'list', '--json']));
        const user = data.find((one) => one.username === name);
        assert.deepEqual([user.roles, user.disabled, user.email], [['admin'], true, 'a@example.com']);
        assert.match(await done(galley, ['user', 'list']), new RegExp(`^${name} .*disabled +admin .*<a@example.com>$`, 'm'));
        assert.match(await done(galley, ['user', 'enable', name]), /may sign in again/);
        await done(galley, ['user', 'add', `plain-${name}`], `${SECRET}\n`);
        assert.match(await done(galley, ['user', 'list']), new RegExp(`^plain-${name} +\\d{4}-\\d\\d-\\d\\d *$`, 'm')); // no empty brackets

        const refused = await command(galley, ['user', 'add', name], `${SECRET}\n`);
        assert.deepEqual([refused.status, refused.stderr], [1, 'galley user: Somebody has this name already.\n']);
        const short = await command(galley, ['user', 'add', 'eve'], 'short\n');
        assert.match(short.stderr, /password: minLength 8/);
        assert.match((await command(galley, ['user', 'add', 'two words'], `${SECRET}\n`)).stderr, /letters of any language/);
        assert.match((await command(galley, ['user', 'add', 'eve'], '')).stderr, /a password is expected on standard input/);
        assert.match((await command(galley, ['user', 'passwd', 'nobody'], `${SECRET}\n`)).stderr, /Nobody has this name/);
    }
    await galley.start();
    for (const name of ['ann', 'bob']) {
        const { body } = await galley.request('GET', '/users/me', { token: await galley.login(name, 'another secret') });
        assert.deepEqual(body.roles, ['admin']);
    }
    assert.match(await done(galley, ['user', 'remove', 'bob']), /bob is gone/);
    assertError(await logIn(galley, 'bob', 'another secret'), 401);
});

test('galley user disable stops the tokens of a running server, and of the next start', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    const me = () => galley.request('GET', '/users/me', { token });
    await done(galley, ['user', 'disable', 'alice']);
    assertError(await me(), 401);
    await galley.stop();
    await done(galley, ['user', 'enable', 'alice']);
    await galley.start();
    assertError(await me(), 401);
    assert.equal((await logIn(galley, 'alice', 'secret')).status, 200);
});

test('galley admin makes administrators, running or stopped, and helps who lost a password', async () => {
    const galley = await startGalley();
    await done(galley, ['admin', 'add', 'ann'], `${SECRET}\n`);
    const used = await galley.request('GET', '/_/api/session');
    assert.equal(used.body.setupOpen, false, 'the one-time link is void once there is an administrator');
    const ann = await signIn(galley, 'ann', SECRET);
    await done(galley, ['admin', 'passwd', 'ann'], 'another secret\n');
    assertError(await ann.get('users'), 401);
    await galley.stop();
    await done(galley, ['admin', 'add', 'bob', '--role', 'viewer'], `${SECRET}\n`);
    assert.match(await done(galley, ['admin', 'list']), /^ann .*administrator\nbob .*viewer\n$/);
    const last = await command(galley, ['admin', 'remove', 'ann']);
    assert.deepEqual([last.status, last.stderr], [1, 'galley admin: Somebody must be left who may do everything.\n']);
    await galley.start();
    assert.equal((await signIn(galley, 'ann', 'another secret')).role, 'administrator');
    assert.equal((await signIn(galley, 'bob', SECRET)).role, 'viewer');
});

test('a password that is typed on a terminal is not shown', async () => {
    const galley = await startGalley();
    const typed = `${binary} user add ann`;
    const child = execFile('script', ['-qec', typed, '/dev/null'], { cwd: galley.dir });
    let seen = '';
    const prompts = ['new password: ', 'once more: '];
    child.stdout.on('data', (text) => {
        seen += text;
        if (seen.includes(prompts[0])) child.stdin.write(`${SECRET}\n`), prompts.shift();
    });
    const status = await withDeadline('script', new Promise((resolve) => child.on('close', resolve)));
    assert.equal(status, 0, seen);
    assert.match(seen, /ann is a user/);
    assert.ok(!seen.includes(SECRET), seen);
    assert.equal((await logIn(galley, 'ann', SECRET)).status, 200);
});

test('galley user says what is missing', async () => {
    const galley = await startGalley();
    for (const args of [['user'], ['user', 'add'], ['user', 'frobnicate', 'x'], ['admin', 'role', 'x']]) {
        const { status, stderr } = await command(galley, args);
        assert.equal(status, 2);
        assert.match(stderr, /^usage: galley /);
    }
    const nowhere = await command(galley, ['user', 'list', '--data', 'nowhere']);
    assert.equal(nowhere.status, 1);
    assert.match(nowhere.stderr, /data directory nowhere: there is none/);
    const boss = await command(galley, ['admin', 'add', 'ann', '--role', 'boss'], `${SECRET}\n`);
    assert.match(boss.stderr, /^ {2}role: enum; allowed: viewer, operator, administrator$/m);
});
