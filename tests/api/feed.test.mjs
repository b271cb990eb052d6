// The change feed over HTTP: server-sent events and long polls, of collections of modules.
import assert from 'node:assert/strict';
import test from 'node:test';

import { eventually, runGalley, startGalley, withDeadline } from '../lib/galley.mjs';
import { claims, makeToken } from '../lib/jwt.mjs';
import { openStream } from '../lib/sse.mjs';

const admin = () => makeToken(claims({ roles: ['admin'] }));
const FEED = '/api/v1/feed?collections=orders,products';

const start = (storage = {}) => startGalley({ config: { storage: { feed: 'orders, products', ...storage } } });

async function order(galley, token, productId = 17) {
    const answer = await galley.request('POST', '/place-order', { token, json: { productId, qty: 1 } });
    assert.equal(answer.status, 201);
    return answer.body.orderId;
}

test('an order is two events of one commit, in order', async () => {
    const galley = await start();
    const customer = await galley.login();
    const stream = await openStream(galley, FEED, { token: admin() });
    assert.equal(stream.status, 200);
    assert.equal(stream.headers['content-type'], 'text/event-stream');
    const id = await order(galley, customer);
    await stream.until(2);
    const [product, placed] = stream.events;
    assert.deepEqual([product.id, placed.id], [1, 2]);
    assert.equal(product.data.collection, 'products');
    assert.equal(product.data.change, 'replaced');
    assert.equal(product.data.version, 2);
    assert.equal(product.data.before.stock - product.data.document.stock, 1);
    assert.equal(placed.data.sequence, 2);
    assert.equal(placed.data.change, 'created');
    assert.deepEqual([placed.data.id, placed.data.document.id], [id, id]);
    assert.match(placed.data.time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    stream.close();
});

test('who comes back goes on without a gap, also after kill -9', async () => {
    const galley = await start();
    let customer = await galley.login();
    const ids = [await order(galley, customer)];
    const first = await openStream(galley, `${FEED}&since=0`, { token: admin() });
    await first.until(2);
    first.close();
    ids.push(await order(galley, customer));
    await galley.kill9();
    await galley.start();
    customer = await galley.login();
    ids.push(await order(galley, customer));
    const again = await openStream(galley, `${FEED}&since=0`, { token: admin(), headers: { 'last-event-id': String(first.last) } });
    await again.until(4);
    const events = [...first.events, ...again.events];
    assert.deepEqual(events.map(({ id }) => id), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(events.filter(({ data }) => data.collection === 'orders').map(({ data }) => data.id), ids);
    again.close();
});

test('a reader hears of the collections that it names alone, and yet knows how far it is', async () => {
    const galley = await start();
    const customer = await galley.login();
    const stream = await openStream(galley, '/api/v1/feed?collections=orders', { token: admin() });
    await eventually('its place', () => stream.last === 0);
    await order(galley, customer);
    await stream.until(1);
    assert.equal(stream.last, 2);
    stream.close();
});

test('a long poll answers at once if there is something, else when there is, else at the end of its time', async () => {
    const galley = await start();
    const customer = await galley.login();
    const poll = (query) => galley.request('GET', `${FEED}&${query}`, { token: admin() });
    const empty = await poll('since=0&wait=0');
    assert.deepEqual(empty.body, { data: [], since: 0, hasMore: false });
    const waiting = poll('since=0&wait=60');
    await eventually('the reader', async () => (await galley.metric('galley_feed_readers')) === 1);
    await order(galley, customer);
    const { status, headers, body } = await waiting;
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^application\/json/);
    assert.deepEqual(body.data.map(({ sequence }) => sequence), [1, 2]);
    assert.equal(body.since, 2);
    const one = await poll('since=0&wait=60&limit=1');
    assert.deepEqual([one.body.data.length, one.body.since, one.body.hasMore], [1, 1, true]);
});

test('a stop ends streams and long polls in good order', async () => {
    const galley = await start();
    const stream = await openStream(galley, FEED, { token: admin() });
    const poll = galley.request('GET', `${FEED}&wait=60`, { token: admin() });
    await eventually('both', async () => (await galley.metric('galley_feed_readers')) === 2);
    await galley.stop();
    assert.deepEqual((await poll).body.data, []);
    await withDeadline('the end of the stream', stream.ended);
});

test('who was away for too long is told where the feed begins', async () => {
    const galley = await start({ feed_size: '1KiB' });
    const customer = await galley.login();
    for (let i = 0; i < 10; i++) await order(galley, customer);
    const gone = await eventually('old events have gone', async () => {
        const answer = await galley.request('GET', `${FEED}&since=0&wait=0`, { token: admin() });
        return answer.status === 410 && answer;
    });
    const [detail] = gone.body.error.details;
    assert.equal(gone.body.error.code, 'FEED_GONE');
    assert.equal(detail.latest, 20);
    assert.ok(detail.oldest > 0 && detail.oldest < 20);
    const rest = await galley.request('GET', `${FEED}&since=${detail.oldest}&wait=0`, { token: admin() });
    assert.equal(rest.body.data[0].sequence, detail.oldest + 1);
    // A number that was never there: of a feed that was put back since.
    const ahead = await openStream(galley, FEED, { token: admin(), headers: { 'last-event-id': '21' } });
    assert.equal(ahead.status, 410);
});

test('what is asked wrongly is refused precisely', async () => {
    const galley = await start();
    const customer = await galley.login();
    const ask = (query, token = admin(), headers = {}) => galley.request('GET', `/api/v1/feed?${query}`, { token, headers });
    const field = ({ status, body }) => [status, body.error.details[0].field];
    assert.deepEqual(field(await ask('')), [422, 'collections']);
    assert.deepEqual(field(await ask('collections=orders&since=x&wait=0')), [422, 'since']);
    assert.deepEqual(field(await ask('collections=orders&since=-1&wait=0')), [422, 'since']);
    assert.deepEqual(field(await ask('collections=orders&wait=61')), [422, 'wait']);
    assert.deepEqual(field(await ask('collections=orders&wait=0&limit=0')), [422, 'limit']);
    assert.deepEqual(field(await ask('collections=orders&wait=0', admin(), { 'last-event-id': 'a' })), [422, 'Last-Event-ID']);
    assert.deepEqual(field(await ask(`collections=${Array(17).fill('orders')}&wait=0`)), [422, 'collections']);
    assert.equal((await ask('collections=users&wait=0')).status, 404);
    assert.equal((await ask('collections=orders,,&wait=0')).status, 404);
    assert.equal((await ask(`collections=${'a'.repeat(100)}&wait=0`)).status, 404);
    assert.equal((await ask('collections=orders&wait=0', customer)).status, 403);
    const nobody = await ask('collections=orders&wait=0', null);
    assert.equal(nobody.status, 401);
    assert.ok(nobody.headers['www-authenticate']);
    const head = await galley.request('HEAD', FEED, { token: admin() });
    assert.equal(head.status, 200);
    assert.equal(await galley.metric('galley_feed_readers'), 0);
});

test('a stream ends with the token that opened it', async () => {
    const galley = await start();
    const exp = Math.floor(Date.now() / 1000) - 58; // within the leeway of 60 s
    const stream = await openStream(galley, FEED, { token: makeToken(claims({ roles: ['admin'], exp })) });
    assert.equal(stream.status, 200);
    await withDeadline('the end of the stream', stream.ended);
});

test('a reload begins and ends feeds, and has readers come back', async () => {
    const galley = await startGalley();
    const customer = await galley.login();
    assert.equal((await galley.request('GET', FEED, { token: admin() })).status, 404);
    await order(galley, customer);
    await galley.configure({ storage: { feed: 'orders' } });
    await galley.reload();
    const stream = await openStream(galley, '/api/v1/feed?collections=orders&since=0', { token: admin() });
    await order(galley, customer);
    await stream.until(1);
    assert.equal(stream.events[0].id, 1);
    await galley.configure({ storage: { feed: 'orders, products' } });
    await galley.reload();
    await withDeadline('the end of the stream', stream.ended);
    const again = await openStream(galley, `${FEED}&since=${stream.last}`, { token: admin() });
    await order(galley, customer);
    await again.until(2);
    again.close();
});

test('a collection that no module has is an error of the configuration', async () => {
    const galley = await startGalley();
    await galley.configure({ storage: { feed: 'orders, ordesr' } });
    const { status, stderr } = await runGalley(['check'], { cwd: galley.dir });
    assert.notEqual(status, 0);
    assert.match(stderr, /config\.ini:\d+: \[storage\] feed: no module has a collection ordesr/);
});
