// Collections that config.ini declares: many documents at once.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';
import { claims, makeToken } from '../lib/jwt.mjs';

const all = { list: 'public', read: 'public', create: 'public', update: 'public', delete: 'public' };
const schema = { properties: { n: { type: 'integer' } } };
const config = {
    'collection a': { ...all, schema: 'a.json', unique: 'slug' },
    'collection k': { ...all, id: 'client', update: 'owner', delete: 'owner', read: 'owner', owner: 'by' },
    'collection accounts': { ...all, id: 'client', schema: 'account.json', unique: 'name', hidden: 'pin' },
    'collection entries': { ...all, index: 'account' },
    'collection own': { owner: 'by', list: 'owner', read: 'owner', create: 'user', update: 'owner', delete: 'owner', id: 'client' },
    'collection drafts': { ...all, id: 'client', create: 'status = "draft"', update: 'status = @old.status' },
    'collection strict': { ...all, schema: 'strict.json' },
    'queue mail': { enqueue: 'role:mailer', concurrency: 1 },
    'queue open': { enqueue: 'kind = "ping"', concurrency: 1 },
    'queue shut': { concurrency: 1 },
};
const files = {
    'strict.json': { required: ['title'], properties: { title: { type: 'string' } } }, 'a.json': schema, 'account.json': { properties: { balance: { type: 'integer', minimum: 0 } } } };
const galley = await startGalley({ config, files });
const as = (sub, ...roles) => makeToken(claims({ sub, roles }));
const [ann, bob, mailer] = [as('ann'), as('bob'), as('mia', 'mailer')];
const at = '/api/v1/collections/';
const send = (method, path, json, token, headers) => galley.request(method, path, { json, token, headers });
const type = 'application/x-ndjson';

async function bulk(path, lines, { token, headers = {} } = {}) {
    const body = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n') + '\n';
    const answer = await galley.request('POST', at + path, { token, body, headers: { 'content-type': type, ...headers } });
    if (answer.status === 200) answer.lines = answer.raw.toString().trim().split('\n').map((line) => JSON.parse(line));
    return answer;
}
const statuses = ({ lines, raw }) => {
    assert.ok(lines, raw.toString());
    return lines.map(({ status }) => status);
};

// ---- Bulk

test('each line gets an answer, and a wrong one leaves the others alone', async () => {
    const answer = await bulk('a/bulk', [{ n: 1, slug: 's1' }, { n: 'x' }, '{"n":', { id: 'mine' }, '7', '', { n: 2, slug: 's1' }, { n: 3, slug: 's3' }]);
    assert.deepEqual(statuses(answer), [201, 422, 400, 422, 422, 409, 201]);
    assert.equal(answer.headers['content-type'], type);
    const [first, wrong, , , , taken] = answer.lines;
    assert.deepEqual(first, { status: 201, id: first.id, version: 1 });
    assert.equal(wrong.error.code, 'VALIDATION_ERROR');
    assert.deepEqual(wrong.error.details, [{ field: 'n', reason: 'type' }].map((detail) => ({ ...wrong.error.details[0], ...detail })));
    assert.deepEqual(taken.error.details, [{ field: 'slug', reason: 'unique' }]);
    assert.equal((await send('GET', `${at}a/${first.id}`)).body.n, 1);
    assert.equal((await send('GET', `${at}a`)).body.data.length, 2);
    assert.deepEqual(statuses(await bulk('a/bulk', [{ slug: 's3' }, { slug: 's1' }, { slug: 's4' }, { slug: 's4' }])), [409, 409, 201, 409]);
});

test('lines with ids create, replace or delete', async () => {
    assert.deepEqual(statuses(await bulk('k/bulk', [{ id: 'x' }, { id: 'y' }, { id: 'x' }, {}], { token: ann })), [201, 201, 409, 422]);
    assert.deepEqual(statuses(await bulk('k/bulk?mode=upsert', [{ id: 'x', v: 2 }, { id: 'z' }, { id: 'x', v: 3 }, { v: 1 }], { token: ann })), [200, 201, 200, 422]);
    assert.deepEqual((await send('GET', `${at}k/x`, undefined, ann)).body, { id: 'x', v: 3, by: 'ann' });
    assert.deepEqual(statuses(await bulk('k/bulk?mode=delete', [{ id: 'x' }], { token: bob })), [404]);
    assert.deepEqual(statuses(await bulk('k/bulk?mode=delete', [{ id: 'x' }, { id: 'x' }, { id: 'none' }, {}], { token: ann })), [204, 404, 404, 422]);
});

test('a bulk that is none is refused', async () => {
    assertError(await bulk('a/bulk', [{}], { headers: { 'content-type': 'application/json' } }), 415, 'UNSUPPORTED_MEDIA_TYPE');
    assertError(await bulk('a/bulk', ['']), 400, 'MALFORMED_REQUEST');
    assertError(await bulk('a/bulk?mode=replace', [{}]), 422, 'VALIDATION_ERROR');
    assertError(await bulk('a/bulk', Array(1001).fill('{}')), 413, 'BODY_TOO_LARGE');
    assert.deepEqual(statuses(await bulk('own/bulk', [{ id: 'x' }])), [401]);
});

test('a thousand lines are a matter of one request, once', async () => {
    const lines = Array.from({ length: 1000 }, (_, n) => ({ account: `a${n % 7}`, n }));
    const headers = { 'idempotency-key': 'bulk-1' };
    const answer = await bulk('entries/bulk', lines, { headers });
    assert.deepEqual([...new Set(statuses(answer))], [201]);
    const again = await bulk('entries/bulk', lines, { headers });
    assert.equal(again.headers['idempotency-replayed'], 'true');
    assert.deepEqual(again.raw, answer.raw);
    assert.equal(new Set(answer.lines.map(({ id }) => id)).size, 1000);
});

// ---- Transactions

const transact = (operations, token, headers) => send('POST', '/api/v1/transactions', { operations }, token, headers);
const account = (id, balance) => send('PUT', `${at}accounts/${id}`, { balance });
const balance = async (id) => (await send('GET', `${at}accounts/${id}`)).body.balance;
const move = (from, to, amount) => [
    { op: 'patch', collection: 'accounts', id: from, type: 'ops', patch: { $inc: { balance: -amount }, $if: `balance >= ${amount}` } },
    { op: 'patch', collection: 'accounts', id: to, type: 'ops', patch: { $inc: { balance: amount } } },
];

test('operations commit together', async () => {
    await account('t1', 10);
    await account('t2', 0);
    const { status, body } = await transact([
        ...move('t1', 't2', 4),
        { op: 'create', collection: 'entries', document: { from: 't1', to: 't2', amount: 4 } },
        { op: 'replace', collection: 'accounts', id: 't3', document: { balance: 1 } },
        { op: 'patch', collection: 'accounts', id: 't3', patch: { note: 'x' } },
        { op: 'patch', collection: 'accounts', id: 't3', type: 'json', patch: [{ op: 'test', path: '/note', value: 'x' }, { op: 'remove', path: '/note' }] },
        { op: 'delete', collection: 'accounts', id: 't3', ifVersion: 3 },
    ]);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(body.results[0], { id: 't1', version: 2, document: { id: 't1', balance: 6 } });
    assert.deepEqual(body.results[6], { id: 't3' });
    assert.deepEqual([await balance('t1'), await balance('t2')], [6, 4]);
    assert.equal((await send('GET', `${at}entries/${body.results[2].id}`)).body.amount, 4);
});

test('or not at all', async () => {
    await account('n1', 1);
    await account('n2', 0);
    const late = await transact([...move('n2', 'n1', 0), ...move('n1', 'n2', 2)]);
    const error = assertError(late, 412, 'CONDITION_FAILED');
    assert.equal(error.details[0].field, 'operations.2');
    for (const last of [
        { op: 'create', collection: 'accounts', document: { id: 'n1' } },
        { op: 'patch', collection: 'accounts', id: 'none', patch: {} },
        { op: 'patch', collection: 'accounts', id: 'n1', patch: { balance: -1 } },
        { op: 'delete', collection: 'accounts', id: 'n1', ifVersion: 1 },
        { op: 'create', collection: 'own', document: {} },
        { op: 'enqueue', queue: 'shut', type: 'x' },
    ]) {
        const { status } = await transact([...move('n1', 'n2', 1), last]);
        assert.ok([401, 404, 409, 412, 422].includes(status), `${status} ${JSON.stringify(last)}`);
        assert.deepEqual([await balance('n1'), await balance('n2')], [1, 0], JSON.stringify(last));
    }
});

test('an operation takes values of earlier ones', async () => {
    const { status, body } = await transact([
        { op: 'create', collection: 'entries', document: { account: 'first', tags: ['a', 'b'] } },
        { op: 'create', collection: 'entries', document: { parent: { $from: 0, path: '/id' }, tag: { $from: 0, path: '/tags/1' }, all: [{ $from: 0, path: '/tags' }] } },
        { op: 'patch', collection: 'entries', id: { $from: 0, path: '/id' }, patch: { child: { $from: 1, path: '/id' } } },
    ]);
    assert.equal(status, 200, JSON.stringify(body));
    const [{ id: first }, { id: second }] = body.results;
    assert.deepEqual((await send('GET', `${at}entries/${second}`)).body, { id: second, parent: first, tag: 'b', all: [['a', 'b']] });
    assert.equal((await send('GET', `${at}entries/${first}`)).body.child, second);
    for (const $from of [1, 2, -1, '0', null]) {
        const wrong = await transact([{ op: 'create', collection: 'entries', document: {} }, { op: 'create', collection: 'entries', document: { x: { $from, path: '/id' } } }]);
        assert.deepEqual(assertError(wrong, 422).details, [{ field: 'operations.1.document', reason: 'from' }], String($from));
    }
    const missing = await transact([{ op: 'create', collection: 'entries', document: {} }, { op: 'delete', collection: 'entries', id: { $from: 0, path: '/nope' } }]);
    assert.deepEqual(assertError(missing, 422).details, [{ field: 'operations.1.id', reason: 'from' }]);
});

test('what a rule refuses is refused by bulk and transactions too', async () => {
    const operations = (...list) => send('POST', '/api/v1/transactions', { operations: list.map((op) => ({ collection: 'drafts', ...op })) });
    assert.equal((await send('POST', `${at}drafts`, { id: 'd1', status: 'draft' })).status, 201);
    assert.equal((await send('PUT', `${at}drafts/d1`, { status: 'public' })).status, 401);
    assert.deepEqual(statuses(await bulk('drafts/bulk?mode=upsert', [{ id: 'd1', status: 'public' }, { id: 'd2', status: 'public' }])), [401, 404]);
    assertError(await operations({ op: 'create', document: { id: 'd3', status: 'draft' } }, { op: 'create', document: { id: 'd4', status: 'public' } }), 401, 'UNAUTHENTICATED');
    assertError(await operations({ op: 'create', document: { id: 'd5', status: 'draft' } }, { op: 'patch', id: 'd1', patch: { status: 'public' } }), 401, 'UNAUTHENTICATED');
    const { body } = await send('GET', `${at}drafts`);
    assert.deepEqual(body.data, [{ id: 'd1', status: 'draft' }]);
});

test('an operation that is wrong is so behind a good one of its collection', async () => {
    const answer = await send('POST', '/api/v1/transactions', { operations: [
        { op: 'create', collection: 'strict', document: { title: 'a' } }, { op: 'create', collection: 'strict', document: {} }] });
    assertError(answer, 422, 'VALIDATION_ERROR');
    assert.deepEqual((await send('GET', `${at}strict`)).body.data, []);
});

test('values of earlier operations cannot be multiplied without a bound', async () => {
    const many = Array.from({ length: 1000 }, () => ({ $from: 0, path: '/list' }));
    const list = Array(1000).fill(0);
    assertError(await send('POST', '/api/v1/transactions', { operations: [
        { op: 'create', collection: 'entries', document: { list } }, { op: 'create', collection: 'entries', document: { many } }] }), 422, 'VALIDATION_ERROR');
    const few = many.slice(0, 50);
    assert.equal((await send('POST', '/api/v1/transactions', { operations: [
        { op: 'create', collection: 'entries', document: { list } }, { op: 'create', collection: 'entries', document: { few } }] })).status, 200);
});

test('a version that is none is not taken for any version', async () => {
    for (const ifVersion of ['"1"', '1', null, 0, 1.5]) {
        assertError(await send('POST', '/api/v1/transactions', { operations: [
            { op: 'delete', collection: 'drafts', id: 'd1', ifVersion }] }), 422, 'VALIDATION_ERROR');
    }
});

test('jobs commit with documents, for who may add them', async () => {
    const job = { op: 'enqueue', queue: 'mail', type: 'send-email', payload: { to: 'x@example.org', subject: 's', text: 't' } };
    const { status, body } = await transact([{ op: 'create', collection: 'entries', document: {} }, job], mailer);
    assert.equal(status, 200, JSON.stringify(body));
    assert.match(body.results[1].jobId, /^[0-9a-f-]{36}$/);
    assertError(await transact([job]), 401, 'UNAUTHENTICATED');
    assertError(await transact([job], ann), 403, 'FORBIDDEN');
    assert.equal((await transact([{ op: 'enqueue', queue: 'open', type: 'x', payload: { kind: 'ping' }, delayMs: 1000, priority: 9 }])).status, 200);
    assertError(await transact([{ op: 'enqueue', queue: 'open', type: 'x', payload: { kind: 'pong' } }]), 401);
    const mails = await galley.mails();
    assert.equal(mails.length, 1);
});

test('a wrong operation is named', async () => {
    for (const [operation, field, reason] of [
        [{}, 'op', 'required'], [{ op: 'upsert' }, 'op', 'enum'], [{ op: 'create' }, 'collection', 'required'],
        [{ op: 'create', collection: 'nope' }, 'collection', 'enum'], [{ op: 'create', collection: 'a' }, 'document', 'required'],
        [{ op: 'patch', collection: 'a', id: 'x' }, 'patch', 'required'], [{ op: 'delete', collection: 'a' }, 'id', 'required'],
        [{ op: 'delete', collection: 'a', id: 7 }, 'id', 'type'], [{ op: 'patch', collection: 'a', id: 'x', patch: {}, type: 'xml' }, 'type', 'enum'],
        [{ op: 'enqueue' }, 'queue', 'required'], [{ op: 'enqueue', queue: 'nope' }, 'queue', 'enum'], [{ op: 'enqueue', queue: 'open' }, 'type', 'required'],
        [{ op: 'enqueue', queue: 'open', type: 'x', priority: 10 }, 'priority', 'range'], [{ op: 'enqueue', queue: 'open', type: 'x', delayMs: -1 }, 'delayMs', 'range'],
        [{ op: 'enqueue', queue: 'open', type: 'x', payload: [1] }, 'payload', 'type'], [{ op: 'create', collection: 'a', document: { n: 'x' } }, 'n', 'type'],
    ]) {
        const [detail] = assertError(await transact([operation]), 422, 'VALIDATION_ERROR').details;
        assert.deepEqual([detail.field, detail.reason], [`operations.0.${field}`, reason]);
    }
    for (const json of [{}, { operations: 1 }, { operations: [] }, { operations: Array(101).fill({ op: 'create', collection: 'a', document: {} }) }, []]) {
        assertError(await send('POST', '/api/v1/transactions', json), 422, 'VALIDATION_ERROR');
    }
    assertError(await galley.request('POST', '/api/v1/transactions', { body: '{}' }), 415, 'UNSUPPORTED_MEDIA_TYPE');
});

test('of what is unique there is one, also within a transaction', async () => {
    const name = (id) => ({ op: 'create', collection: 'accounts', document: { id, name: 'same' } });
    const error = assertError(await transact([name('u1'), name('u2')]), 409, 'ALREADY_EXISTS');
    assert.deepEqual(error.details, [{ field: 'operations.1.name', reason: 'unique' }]);
    assert.equal((await transact([name('u1')])).status, 200);
});

test('a transaction with a key is done once, with minimal answers if asked for', async () => {
    await account('i1', 5);
    await account('i2', 0);
    const headers = { 'idempotency-key': 'move', prefer: 'return=minimal' };
    const first = await transact(move('i1', 'i2', 5), undefined, headers);
    assert.deepEqual(first.body, { results: [{ id: 'i1', version: 2 }, { id: 'i2', version: 2 }] });
    assert.deepEqual((await transact(move('i1', 'i2', 5), undefined, headers)).body, first.body);
    assert.equal(await balance('i2'), 5);
});

test('transfers of many clients at once lose and make nothing', async () => {
    const ids = ['m0', 'm1', 'm2'];
    for (const id of ids) await account(id, 100);
    const answers = await Promise.all(Array.from({ length: 150 }, (_, i) => transact(move(ids[i % 3], ids[(i + 1 + (i % 2)) % 3], 1 + (i * 7) % 40))));
    const seen = [...new Set(answers.map(({ status }) => status))].sort();
    assert.ok(seen.every((status) => status === 200 || status === 412), String(seen));
    const balances = await Promise.all(ids.map(balance));
    assert.equal(balances.reduce((sum, one) => sum + one, 0), 300);
    assert.ok(balances.every((one) => one >= 0), String(balances));
});
