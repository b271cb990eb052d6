// Pages of other origins: what the gateway tells browsers. tests/browser/cors.test.mjs has a real one.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { runGalley, startGalley } from '../lib/galley.mjs';

const APP = 'https://app.example.org';
const ORIGIN = 'access-control-allow-origin';

const preflight = (galley, target, origin = APP, method = 'POST') =>
    galley.request('OPTIONS', target, {
        headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': 'content-type' },
    });
const corsHeaders = ({ headers }) => Object.keys(headers).filter((name) => name.startsWith('access-control-'));

test('nothing is allowed by default', async () => {
    const galley = await startGalley();
    const asked = await preflight(galley, '/place-order');
    assertError(asked, 403, 'FORBIDDEN');
    assert.deepEqual(corsHeaders(asked), []);
    const answer = await galley.request('GET', '/products', { headers: { origin: APP } });
    assert.equal(answer.status, 200);
    assert.deepEqual(corsHeaders(answer), []);
});

test('an allowed origin is answered, with and without a preflight, errors too', async () => {
    const galley = await startGalley({ config: { cors: { origins: `${APP}, http://localhost:3000`, max_age: '1h' } } });
    for (const origin of [APP, 'http://localhost:3000']) {
        const asked = await preflight(galley, '/place-order', origin);
        assert.equal(asked.status, 204);
        assert.equal(asked.headers[ORIGIN], origin);
        assert.equal(asked.headers['access-control-allow-methods'], 'POST, OPTIONS');
        assert.match(asked.headers['access-control-allow-headers'], /Authorization, Content-Type, Idempotency-Key/);
        assert.equal(asked.headers['access-control-max-age'], '3600');
        assert.equal(asked.headers.vary, 'Origin');
        assert.equal(asked.headers['access-control-allow-credentials'], undefined);

        const headers = { origin };
        const token = await galley.login();
        const refused = await galley.request('POST', '/place-order', { headers, json: { productId: 17, qty: 1 } });
        assert.equal(refused.status, 401);
        const placed = await galley.request('POST', '/place-order', { headers, token, json: { productId: 17, qty: 1 } });
        assert.equal(placed.status, 201);
        const nowhere = await galley.request('GET', '/nowhere', { headers });
        assert.equal(nowhere.status, 404);
        for (const answer of [refused, placed, nowhere]) {
            assert.equal(answer.headers[ORIGIN], origin);
            assert.match(answer.headers.vary, /Origin/);
            assert.match(answer.headers['access-control-expose-headers'], /Location/);
        }
    }
});

test('other origins get no permission, and caches are told that answers differ', async () => {
    const galley = await startGalley({ config: { cors: { origins: `${APP}, https://*.example.com` } } });
    const others = ['https://evil.example.org', 'http://app.example.org', 'https://app.example.org.evil.org', 'null',
        'https://app.example.org:444', 'https://example.com', 'https://evilexample.com', 'HTTPS://APP.EXAMPLE.ORG'];
    for (const origin of others) {
        assertError(await preflight(galley, '/place-order', origin), 403);
        const answer = await galley.request('GET', '/products', { headers: { origin } });
        assert.deepEqual(corsHeaders(answer), [], origin);
        assert.match(answer.headers.vary, /Origin/);
    }
    assert.equal((await preflight(galley, '/place-order', 'https://a.b.example.com')).status, 204);
    const same = await galley.request('GET', '/products');
    assert.match(same.headers.vary, /Origin/);
});

test('a replayed answer speaks to the origin that asks now', async () => {
    const galley = await startGalley({ config: { cors: { origins: `${APP}, https://b.example.org` } } });
    const token = await galley.login();
    const order = (origin) => galley.request('POST', '/place-order', {
        token, json: { productId: 17, qty: 1 }, headers: { origin, 'idempotency-key': 'once' },
    });
    assert.equal((await order(APP)).headers[ORIGIN], APP);
    const again = await order('https://b.example.org');
    assert.equal(again.headers['idempotency-replayed'], 'true');
    assert.equal(again.headers[ORIGIN], 'https://b.example.org');
});

test('a route may have origins of its own, and credentials', async () => {
    const galley = await startGalley({
        config: {
            cors: { origins: APP, credentials: 'yes', methods: 'GET, POST', headers: 'Content-Type', expose: 'ETag' },
            'route list': { path: '/products', target: 'app:shop', cors_origins: '*', cors_credentials: 'no' },
        },
    });
    const list = await galley.request('GET', '/products', { headers: { origin: 'https://anybody.example' } });
    assert.equal(list.headers[ORIGIN], '*');
    assert.doesNotMatch(list.headers.vary ?? '', /Origin/);
    assert.equal(list.headers['access-control-allow-credentials'], undefined);
    const asked = await preflight(galley, '/place-order');
    assert.equal(asked.headers['access-control-allow-credentials'], 'true');
    assert.equal(asked.headers['access-control-allow-methods'], 'GET, POST');
    assert.equal(asked.headers['access-control-allow-headers'], 'Content-Type');
    assertError(await preflight(galley, '/place-order', 'https://anybody.example'), 403);
});

test('a preflight for what the path does not answer is refused; OPTIONS without one is none', async () => {
    const galley = await startGalley({ config: { cors: { origins: APP } } });
    assertError(await preflight(galley, '/place-order', APP, 'DELETE'), 403);
    assertError(await preflight(galley, '/place-order', APP, 'BREW'), 403);
    const plain = await galley.request('OPTIONS', '/place-order');
    assert.equal(plain.status, 204);
    assert.equal(plain.headers.allow, 'POST, OPTIONS');
});

test('preflights are counted, and need no token and no place in a limit', async () => {
    const galley = await startGalley({
        config: { cors: { origins: APP }, 'route shop': { rate_limit: '1/h by ip' } },
    });
    for (let i = 0; i < 3; i++) assert.equal((await preflight(galley, '/place-order')).status, 204);
    await preflight(galley, '/place-order', 'https://evil.example.org');
    const count = (code) => galley.metric(`galley_http_requests_total{route="preflight",method="OPTIONS",code="${code}"}`);
    assert.deepEqual([await count(204), await count(403)], [3, 1]);
});

test('the administration is for its own pages alone', async () => {
    const galley = await startGalley({ config: { cors: { origins: '*' } } });
    for (const target of ['/_/api/login', '/metrics', '/healthz']) {
        const asked = await preflight(galley, target, APP, target === '/_/api/login' ? 'POST' : 'GET');
        assert.deepEqual([asked.status, corsHeaders(asked)], [403, []], target);
        const answer = await galley.request('GET', target === '/_/api/login' ? '/_/api/session' : target, { headers: { origin: APP } });
        assert.deepEqual(corsHeaders(answer), [], target);
    }
});

test('a reload takes other origins over', async () => {
    const galley = await startGalley();
    assert.equal((await preflight(galley, '/place-order')).status, 403);
    await galley.configure({ cors: { origins: APP } });
    assert.equal((await runGalley(['reload'], { cwd: galley.dir })).status, 0);
    assert.equal((await preflight(galley, '/place-order')).status, 204);
});

test('galley check refuses what browsers would never ask with, and everybody with credentials', async () => {
    const galley = await startGalley();
    const refused = async (cors, message) => {
        await galley.configure({ cors });
        const { status, stderr } = await runGalley(['check'], { cwd: galley.dir });
        assert.equal(status, 2);
        assert.match(stderr, message);
    };
    await refused({ origins: 'https://app.example.org/' }, /\[cors\] origins: read "https:\/\/app.example.org\/"; allowed: https:\/\/HOST/);
    await refused({ origins: 'app.example.org' }, /allowed: https:\/\/HOST/);
    await refused({ origins: 'https://App.example.org' }, /browsers write origins in lower case/);
    await refused({ origins: 'https://app.example.org:443' }, /browsers leave :443 out/);
    await refused({ origins: '*', credentials: 'yes' }, /\[cors\] credentials: read "yes", but origins = \* lets everybody's pages ask/);
    await refused({ headers: 'two words' }, /\[cors\] headers: read "two words"; allowed: a name such as Content-Type/);
});
