// `roles` of a [route]: who may use it.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { runGalley, startGalley } from '../lib/galley.mjs';

const PASSWORD = 'a long enough secret';
const EDITORS = { config: { 'route editors': { path: '/products/{id}', method: 'GET', target: 'app:shop', roles: 'editor, admin' } } };

// A user with these roles; resolves with a token.
async function member(galley, administrator, username, roles) {
    const { status, body } = await administrator('users/add', { username, password: PASSWORD, roles });
    assert.equal(status, 201, JSON.stringify(body));
    return galley.login(username, PASSWORD);
}

const look = async (galley, token) => galley.request('GET', '/products/7', { token });

test('only a user with one of the roles passes', async () => {
    const galley = await startGalley(EDITORS);
    const administrator = await galley.administrator();
    assertError(await look(galley), 401, 'UNAUTHENTICATED');
    for (const [roles, status] of [[['editor'], 200], [['admin'], 200], [['customer', 'admin'], 200], [['customer'], 403], [[], 403],
        [['Editor'], 403], [['editors'], 403], [['edit'], 403]]) {
        const name = `user-${roles.join('-') || 'none'}`;
        const answer = await look(galley, await member(galley, administrator, name, roles));
        assert.equal(answer.status, status, name);
        if (status === 403) assertError(answer, 403, 'FORBIDDEN');
    }
});

test('other routes of the module are as they were', async () => {
    const galley = await startGalley(EDITORS);
    assert.equal((await galley.request('GET', '/products?limit=1')).status, 200);
    const token = await galley.login();
    assert.equal((await galley.request('POST', '/place-order', { token, json: { productId: 7, qty: 1 } })).status, 201);
    assert.equal((await galley.request('HEAD', '/products/7', { token })).status, 403);
});

test('a refused request reaches neither its handler nor an idempotency record', async () => {
    const galley = await startGalley({ config: { 'route buying': { path: '/place-order', target: 'app:shop', roles: 'buyer' } } });
    const administrator = await galley.administrator();
    const order = (token) => galley.request('POST', '/place-order',
        { token, json: { productId: 7, qty: 1 }, headers: { 'idempotency-key': 'one' } });
    const token = await galley.login();
    const { stock } = (await look(galley, token)).body;
    assertError(await order(token), 403, 'FORBIDDEN');
    assert.equal((await look(galley, token)).body.stock, stock);
    await administrator('users/roles', { username: 'alice', roles: ['buyer'] });
    assert.equal((await order(token)).status, 401, 'a token holds the roles that it was made with');
    assert.equal((await order(await galley.login())).status, 201);
});

test('a route for everybody is for those with a role, and a page of another origin may still ask', async () => {
    const galley = await startGalley({ config: {
        'route list': { path: '/products', target: 'app:shop', roles: 'customer', cors_origins: 'https://shop.example' } } });
    const list = (token) => galley.request('GET', '/products?limit=1', { token });
    assertError(await list(), 401, 'UNAUTHENTICATED');
    assert.equal((await list(await galley.login())).status, 200);
    const asked = await galley.request('OPTIONS', '/products', { headers: { origin: 'https://shop.example',
        'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' } });
    assert.equal(asked.status, 204);
});

test('a reload changes who may', async () => {
    const galley = await startGalley(EDITORS);
    const token = await galley.login();
    assert.equal((await look(galley, token)).status, 403);
    await galley.configure({ 'route editors': { ...EDITORS.config['route editors'], roles: 'customer' } });
    await galley.reload();
    assert.equal((await look(galley, token)).status, 200);
    await galley.configure({});
    await galley.reload();
    assert.equal((await look(galley, token)).status, 200);
});

test('more roles than there may be are refused', async () => {
    const galley = await startGalley();
    const roles = Array.from({ length: 17 }, (_, i) => `role-${i}`).join(', ');
    await galley.configure({ 'route editors': { ...EDITORS.config['route editors'], roles } });
    const { status, stdout, stderr } = await runGalley(['check'], { cwd: galley.dir });
    assert.equal(status, 2);
    assert.match(stdout + stderr, /\[route editors\] roles: there are 17, at most 16 are allowed/);
});
