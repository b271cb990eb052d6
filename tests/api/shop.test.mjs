// The shop from outside: request, answer, state afterwards.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';
import { claims, makeToken } from '../lib/jwt.mjs';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const galley = await startGalley();
const token = await galley.login();
const as = (sub, ...roles) => makeToken(claims({ sub, roles }));
const order = (productId, qty, options) =>
    galley.request('POST', '/place-order', { token, json: { productId, qty }, ...options });
const stock = async (id) => (await galley.request('GET', `/products/${id}`, { token })).body.stock;

// ---- Logging in

test('the right password gives a token and its life in seconds', async () => {
    const json = { username: 'alice', password: 'secret' };
    const { status, body } = await galley.request('POST', '/auth/login', { json });
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body).sort(), ['expiresIn', 'token']);
    assert.equal(body.expiresIn, 3600);
    const [header, payload] = body.token.split('.', 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
    assert.equal(header.alg, 'HS256');
    assert.equal(payload.sub, 'alice');
    assert.deepEqual(payload.roles, ['customer']);
    assert.equal(payload.exp - payload.iat, 3600);
});

test('answers with tokens or personal data are kept by nobody', async () => {
    const login = await galley.request('POST', '/auth/login', { json: { username: 'alice', password: 'secret' } });
    assert.equal(login.headers['cache-control'], 'no-store');
    const { headers } = await galley.request('GET', '/users/me', { token });
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal((await galley.request('GET', '/products/17', { token })).headers['cache-control'], 'private, no-cache');
});

test('an unknown user and a wrong password get the same answer', async () => {
    const errors = [];
    for (const json of [{ username: 'alice', password: 'wrong' }, { username: 'nobody', password: 'secret' }]) {
        const answer = await galley.request('POST', '/auth/login', { json });
        const { code, message, details } = assertError(answer, 401);
        assert.ok(answer.headers['www-authenticate']);
        errors.push({ code, message, details });
    }
    assert.deepEqual(errors[0], errors[1]);
});

// ---- Products

test('a product is shown to who is signed in', async () => {
    const { status, headers, body } = await galley.request('GET', '/products/17', { token });
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'application/json');
    assert.deepEqual(body, { id: 17, name: 'Product 17', price: 117, stock: 1000000 });
    assertError(await galley.request('GET', '/products/17'), 401, 'UNAUTHENTICATED');
});

test('HEAD tells what GET would, without the body', async () => {
    const get = await galley.request('GET', '/products/17', { token });
    const head = await galley.request('HEAD', '/products/17', { token });
    assert.equal(head.status, 200);
    assert.equal(head.headers['content-length'], String(get.raw.length));
    assert.equal(head.raw.length, 0);
});

test('what is no product is not found', async () => {
    for (const id of ['0', '1001', '-1', '017', '1.5', 'x', '99999999999999999999', '17%20']) {
        assertError(await galley.request('GET', `/products/${id}`, { token }), 404, 'NOT_FOUND');
    }
});

test('the products come in pages', async () => {
    const { status, body } = await galley.request('GET', '/products');
    assert.equal(status, 200);
    assert.deepEqual(body.data.map((product) => product.id), Array.from({ length: 30 }, (_, i) => i + 1));
    assert.deepEqual(body.data[2], { id: 3, name: 'Product 3', price: 103, stock: 1000000 });
    assert.equal(body.pagination.limit, 30);
    assert.equal(body.pagination.hasNext, true);
});

test('following the cursor visits every product once', async () => {
    const seen = [];
    let after = '';
    for (let pages = 0; pages < 5; pages++) {
        const { body } = await galley.request('GET', `/products?limit=300${after}`);
        seen.push(...body.data.map((product) => product.id));
        assert.equal(body.pagination.hasNext, body.pagination.nextCursor !== null);
        if (!body.pagination.hasNext) break;
        after = `&after=${encodeURIComponent(body.pagination.nextCursor)}`;
    }
    assert.deepEqual(seen, Array.from({ length: 1000 }, (_, i) => i + 1));
});

test('a page that ends with the last product has no next one', async () => {
    const { body } = await galley.request('GET', '/products?limit=1000');
    assert.equal(body.data.length, 1000);
    assert.deepEqual(body.pagination, { limit: 1000, nextCursor: null, hasNext: false });
});

test('limits and cursors that are none are refused', async () => {
    for (const query of ['limit=0', 'limit=1001', 'limit=x', 'limit=', 'limit=1.5', 'after=x', 'after=-1']) {
        assertError(await galley.request('GET', `/products?${query}`), 422, 'VALIDATION_ERROR');
    }
    for (const [query, field] of [['limit=0', 'limit'], ['after=x', 'after'], ['after=', 'after']]) {
        const answer = await galley.request('GET', `/orders?${query}`, { token });
        assert.equal(assertError(answer, 422, 'VALIDATION_ERROR').details[0].field, field);
    }
});

// ---- Users

test('a user sees and changes their own profile', async () => {
    const before = await galley.request('GET', '/users/me', { token });
    assert.equal(before.status, 200);
    const { createdAt, ...profile } = before.body;
    assert.match(createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(profile, {
        id: 'alice', username: 'alice', name: 'Alice', email: 'alice@example.com', roles: ['customer'],
    });

    const changed = await galley.request('PATCH', '/users/me', { token, json: { name: 'Älice 🚢' } });
    assert.equal(changed.status, 200);
    assert.deepEqual(changed.body, { ...before.body, name: 'Älice 🚢' });
    assert.deepEqual((await galley.request('GET', '/users/me', { token })).body, changed.body);

    await galley.request('PATCH', '/users/me', { token, json: { name: 'Alice' } });
});

test('a profile takes only what it knows, and no broken address', async () => {
    const refused = async (json, details) => {
        const answer = await galley.request('PATCH', '/users/me', { token, json });
        assert.deepEqual(assertError(answer, 422, 'VALIDATION_ERROR').details, details);
    };
    await refused({}, [{ field: '', reason: 'minProperties', limit: 1, pointer: '' }]);
    await refused({ role: 'admin' }, [{ field: 'role', reason: 'additionalProperties', pointer: '/role' }]);
    await refused({ name: '' }, [{ field: 'name', reason: 'minLength', limit: 1, pointer: '/name' }]);
    for (const name of ['two\nlines', 'a\u202eb', 'a\u200bb', ' a']) {
        await refused({ name }, [{ field: 'name', reason: 'format' }]);
    }
    await refused({ name: 'x'.repeat(101) }, [{ field: 'name', reason: 'maxLength', limit: 100, pointer: '/name' }]);
    for (const email of ['nowhere', '@example.com', 'alice@', 'a@b@c', 'a b@example.com', '<a@example.com>',
        'a@example.com\r\nBcc: x@example.com', 'jörg@example.com']) {
        await refused({ name: 'Mallory', email }, [{ field: 'email', reason: 'format' }]);
    }
    const number = await galley.request('PATCH', '/users/me', { token, json: { name: 5 } });
    assert.equal(assertError(number, 422).details[0].field, 'name');
    assertError(await galley.request('PATCH', '/users/me', { json: { name: 'Mallory' } }), 401, 'UNAUTHENTICATED');
    assert.equal((await galley.request('GET', '/users/me', { token })).body.name, 'Alice');
    assert.equal((await galley.request('GET', '/users/me', { token })).body.email, 'alice@example.com');
});

// ---- Orders

test('an order is placed, found, and taken from the stock at once', async () => {
    const before = await stock(21);
    const placed = await order(21, 2);
    assert.equal(placed.status, 201);
    assert.match(placed.body.orderId, UUID);
    assert.deepEqual(placed.body, { orderId: placed.body.orderId, status: 'placed' });
    assert.equal(placed.headers.location, `/orders/${placed.body.orderId}`);

    assert.equal(await stock(21), before - 2);

    const found = await galley.request('GET', placed.headers.location, { token });
    assert.equal(found.status, 200);
    assert.match(found.body.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/);
    assert.deepEqual(found.body, {
        id: placed.body.orderId, userId: 'alice', productId: 21, qty: 2, total: 242, status: 'placed',
        createdAt: found.body.createdAt,
    });
});

test('an order is a secret between its owner and the admins', async () => {
    const { headers } = await order(22, 1);
    const look = (who) => galley.request('GET', headers.location, { token: who });
    assert.equal((await look(as('alice', 'customer'))).status, 200);
    assert.equal((await look(as('carol', 'admin'))).status, 200);
    const foreign = assertError(await look(as('bob', 'customer')), 404, 'NOT_FOUND');
    const absent = assertError(
        await galley.request('GET', '/orders/01890a5d-ac96-774b-bcce-b302099a8057', { token }), 404, 'NOT_FOUND');
    assert.equal(foreign.message, absent.message);
    assertError(await look(undefined), 401, 'UNAUTHENTICATED');
});

test('the own orders come in pages, the newest first', async () => {
    const placed = [];
    for (let qty = 1; qty <= 5; qty++) placed.unshift((await order(23, qty)).body.orderId);

    const first = (await galley.request('GET', '/orders?limit=2', { token })).body;
    assert.deepEqual(first.data.map(({ id }) => id), placed.slice(0, 2));
    assert.equal(first.pagination.hasNext, true);

    const after = encodeURIComponent(first.pagination.nextCursor);
    const second = (await galley.request('GET', `/orders?limit=3&after=${after}`, { token })).body;
    assert.deepEqual(second.data.map(({ id }) => id), placed.slice(2));

    const bob = await galley.request('GET', '/orders', { token: as('bob', 'customer') });
    assert.deepEqual(bob.body, { data: [], pagination: { limit: 30, nextCursor: null, hasNext: false } });
});

test('more than there is cannot be ordered, and changes nothing', async () => {
    assertError(await order(24, 1000001), 409, 'OUT_OF_STOCK');
    assert.equal(await stock(24), 1000000);
    assert.equal((await order(24, 1000000)).status, 201);
    assertError(await order(24, 1), 409, 'OUT_OF_STOCK');
    assert.equal(await stock(24), 0);
});

test('a token whose user is gone is no identity to order with', async () => {
    assertError(await galley.request('GET', '/users/me', { token: as('ghost', 'customer') }), 401, 'UNAUTHENTICATED');
    assertError(await order(17, 1, { token: as('ghost', 'customer') }), 401, 'UNAUTHENTICATED');
});

test('an order of what does not exist is not found', async () => {
    assertError(await order(1001, 1), 404, 'NOT_FOUND');
});

test('an order says everything that is wrong with it', async () => {
    const error = assertError(
        await galley.request('POST', '/place-order', { token, json: { productId: 'x', qty: 0, gift: true } }),
        422, 'VALIDATION_ERROR');
    const found = error.details.map(({ field, reason }) => `${field} ${reason}`).sort();
    assert.deepEqual(found, ['gift additionalProperties', 'productId type', 'qty minimum']);
    assert.equal(error.details.find(({ field }) => field === 'qty').limit, 1);
});

// ---- E-mail

test('each order is confirmed by one message that names its job', async () => {
    const text = `Order of ${Date.now()}`;
    await galley.request('PATCH', '/users/me', { token, json: { name: text, email: 'post@example.com' } });
    const { body } = await order(25, 3);
    const mine = (await galley.mails()).filter((mail) => mail.includes(body.orderId));
    assert.equal(mine.length, 1);

    const [head, ...rest] = mine[0].split('\n\n');
    const fields = Object.fromEntries(head.split('\n').map((line) => line.split(/: (.*)/s)));
    assert.equal(fields.To, 'post@example.com');
    assert.equal(fields.Subject, 'Your order');
    assert.match(fields.From, /<[^@\s]+@[^@\s]+>$/);
    assert.match(fields.Date, /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000$/);
    assert.match(fields['Message-ID'], /^<[0-9a-f-]{36}@[^@\s>]+>$/);
    assert.equal(fields['MIME-Version'], '1.0');
    assert.ok(rest.join('\n\n').includes(text));
    assert.ok(rest.join('\n\n').includes('3 x Product 25, 3.75 in total.'));

    const ids = (await galley.mails()).map((mail) => /^Message-ID: (.*)$/m.exec(mail)[1]);
    assert.equal(new Set(ids).size, ids.length);
});

test('the longest name and address that a profile takes can order', async () => {
    const name = `x${'🚢'.repeat(99)}`;
    const email = `${'x'.repeat(188)}@example.com`;
    assert.equal((await galley.request('PATCH', '/users/me', { token, json: { name, email } })).status, 200);
    const { status, body } = await order(26, 1);
    assert.equal(status, 201);
    const mail = (await galley.mails()).find((text) => text.includes(body.orderId));
    assert.ok(mail.includes(`Hello ${name},`));
});

// ---- Every answer

test('every answer names its request and carries the security headers', async () => {
    for (const target of ['/products/1', '/nothing']) {
        const { headers } = await galley.request('GET', target, { token });
        assert.match(headers['x-request-id'], /^[A-Za-z0-9._-]{1,64}$/);
        assert.equal(headers['x-content-type-options'], 'nosniff');
        assert.equal(headers['x-frame-options'], 'DENY');
        assert.ok(headers['referrer-policy']);
        assert.ok(headers.date);
    }
});

test('errors come as RFC 9457 to who asks for it', async () => {
    const answer = await galley.request('GET', '/nothing', { headers: { accept: 'application/problem+json' } });
    assert.equal(answer.status, 404);
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    assert.equal(answer.body.status, 404);
    assert.equal(answer.body.code, 'NOT_FOUND');
    assert.equal(answer.body.title, 'Not Found');
});
