// Tokens and what is about one person are kept by no cache.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startGalley } from '../lib/galley.mjs';

test('answers with tokens or about one person are not for caches', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    const key = { 'idempotency-key': 'once' };
    const order = () => galley.request('POST', '/place-order', { token, headers: key, json: { productId: 1, qty: 1 } });
    const { body: { orderId } } = await order();
    const json = { username: 'alice', password: 'secret' };
    const answers = {
        login: await galley.request('POST', '/auth/login', { json }),
        'a wrong login': await galley.request('POST', '/auth/login', { json: { ...json, password: 'x' } }),
        me: await galley.request('GET', '/users/me', { token }),
        'me, changed': await galley.request('PATCH', '/users/me', { token, json: { name: 'Alice' } }),
        'an order placed, and replayed': await order(),
        orders: await galley.request('GET', '/orders', { token }),
        order: await galley.request('GET', `/orders/${orderId}`, { token }),
        'without a token': await galley.request('GET', '/orders'),
    };
    for (const [what, { headers }] of Object.entries(answers)) assert.equal(headers['cache-control'], 'no-store', what);
    const product = await galley.request('GET', '/products/1', { token });
    assert.doesNotMatch(product.headers['cache-control'], /no-store/);
});
