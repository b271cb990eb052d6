// Collections that config.ini declares: one document at a time.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';
import { claims, makeToken } from '../lib/jwt.mjs';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const schema = {
    type: 'object',
    additionalProperties: false,
    required: ['title'],
    properties: {
        title: { type: 'string', minLength: 1, maxLength: 100 },
        slug: { type: 'string' },
        stars: { type: 'integer', minimum: 0 },
        meta: { type: 'object' },
        tags: { type: 'array', items: { type: 'string' }, maxItems: 5 },
    },
};
const config = {
    'collection posts': {
        schema: 'schemas/post.json',
        index: 'author, createdAt',
        unique: 'slug',
        owner: 'author',
        list: 'public',
        read: 'public',
        create: 'user',
        update: 'owner, role:editor',
        delete: 'owner',
        timestamps: 'yes',
    },
    'collection drafts': { owner: 'by', list: 'owner', read: 'owner', create: 'user', update: 'owner', delete: 'owner' },
    'collection things': {
        id: 'client', list: 'public', read: 'public', create: 'public', update: 'public', delete: 'public',
        hidden: 'secret',
    },
    'collection filled': { schema: 'schemas/filled.json', read: 'public', create: 'public', update: 'public' },
    'collection letters': { create: 'public', read: 'role:admin' },
    'collection closed': {},
};
const filled = { properties: { status: { default: 'draft' }, meta: { properties: { n: { default: 1 } } } } };
const galley = await startGalley({ config, files: { 'schemas/post.json': schema, 'schemas/filled.json': filled } });
const as = (sub, ...roles) => makeToken(claims({ sub, roles }));
const [ann, bob, editor] = [as('ann'), as('bob'), as('eve', 'editor')];
const at = (name, id = '') => `/api/v1/collections/${name}${id && `/${encodeURIComponent(id)}`}`;
const send = (method, path, json, token, headers) => galley.request(method, path, { json, token, headers });
const create = (json, token = ann, name = 'posts') => send('POST', at(name), json, token);

async function post(json = {}, token = ann) {
    const answer = await create({ title: 'A', ...json }, token);
    assert.equal(answer.status, 201, answer.raw.toString());
    return answer.body;
}

// ---- Creating

test('a document gets an id, an owner, times and a version', async () => {
    const { status, headers, body } = await create({ title: 'Tea', stars: 3 });
    assert.equal(status, 201);
    assert.match(body.id, UUID);
    assert.equal(headers.location, at('posts', body.id));
    assert.equal(headers.etag, '"1"');
    assert.deepEqual(body, { id: body.id, title: 'Tea', stars: 3, author: 'ann', createdAt: body.createdAt, updatedAt: body.createdAt });
    assert.ok(Math.abs(Date.parse(body.createdAt) - Date.now()) < 60_000);
    const read = await send('GET', headers.location);
    assert.equal(read.status, 200);
    assert.equal(read.headers.etag, '"1"');
    assert.deepEqual(read.body, body);
});

test('every violation of the schema is listed', async () => {
    const error = assertError(await create({ title: '', stars: -1, tags: [1], other: 1, id: 'mine', author: 'bob' }), 422, 'VALIDATION_ERROR');
    const seen = error.details.map(({ field, reason }) => `${field} ${reason}`).sort();
    assert.deepEqual(seen, ['author owner', 'id generated', 'other additionalProperties', 'stars minimum', 'tags.0 type', 'title minLength']);
});

test('what is missing gets the default of the schema, once', async () => {
    const { body } = await send('POST', at('filled'), { meta: {} });
    assert.deepEqual([body.status, body.meta], ['draft', { n: 1 }]);
    assert.equal((await send('PATCH', at('filled', body.id), { status: null })).body.status, undefined);
});

test('what is no document is refused', async () => {
    assertError(await send('POST', at('posts'), [1], ann), 422, 'VALIDATION_ERROR');
    const raw = (body, headers) => galley.request('POST', at('posts'), { token: ann, body, headers });
    assertError(await raw('{"title":', { 'content-type': 'application/json' }), 400, 'MALFORMED_REQUEST');
    assertError(await raw('', { 'content-type': 'application/json' }), 400, 'MALFORMED_REQUEST');
    assertError(await raw('{"title":"a","title":"b"}', { 'content-type': 'application/json' }), 400, 'MALFORMED_REQUEST');
    assertError(await raw('{"title":"a"}', { 'content-type': 'text/plain' }), 415, 'UNSUPPORTED_MEDIA_TYPE');
    assertError(await raw('{"title":"a"}', { 'content-type': 'application/json', 'content-encoding': 'gzip' }), 415);
    assertError(await raw('{"stars":1e999,"title":"a"}', { 'content-type': 'application/json' }), 400);
});

test('of what is unique there is one', async () => {
    const first = await post({ slug: 'tea' });
    const error = assertError(await create({ title: 'B', slug: 'tea' }), 409, 'ALREADY_EXISTS');
    assert.deepEqual(error.details, [{ field: 'slug', reason: 'unique' }]);
    const second = await post({ slug: 'coffee' });
    assertError(await send('PATCH', at('posts', second.id), { slug: 'tea' }, ann), 409, 'ALREADY_EXISTS');
    assert.equal((await send('DELETE', at('posts', first.id), undefined, ann)).status, 204);
    assert.equal((await send('PATCH', at('posts', second.id), { slug: 'tea' }, ann)).status, 200);
    await post();
    await post(); // without one, any number
});

// ---- Who may

test('who is not allowed gets 401 as nobody and 403 as somebody', async () => {
    assertError(await send('POST', at('posts'), { title: 'A' }), 401, 'UNAUTHENTICATED');
    const { id } = await post();
    for (const [method, json] of [['PUT', { title: 'B' }], ['PATCH', { title: 'B' }], ['DELETE', undefined]]) {
        assertError(await send(method, at('posts', id), json), 401, 'UNAUTHENTICATED');
        assertError(await send(method, at('posts', id), json, bob), 403, 'FORBIDDEN');
    }
    assert.equal((await send('PATCH', at('posts', id), { title: 'B' }, editor)).status, 200);
    assertError(await send('DELETE', at('posts', id), undefined, editor), 403, 'FORBIDDEN');
    assertError(await send('POST', at('closed'), {}, ann), 403, 'FORBIDDEN');
    assertError(await send('GET', at('closed', 'x'), undefined, ann), 403, 'FORBIDDEN');
    assertError(await send('GET', at('nothing', 'x'), undefined, ann), 404, 'NOT_FOUND');
    assertError(await galley.request('GET', at('posts', id), { token: 'no.good.token' }), 401, 'UNAUTHENTICATED');
});

test('a document that its caller may not read is not there', async () => {
    const { body: { id } } = await create({ text: 'mine' }, ann, 'drafts');
    assert.equal((await send('GET', at('drafts', id), undefined, ann)).status, 200);
    for (const [method, json] of [['GET', undefined], ['PUT', {}], ['PATCH', {}], ['DELETE', undefined]]) {
        const seen = assertError(await send(method, at('drafts', id), json, bob), 404, 'NOT_FOUND').message;
        assert.equal(assertError(await send(method, at('drafts', 'none'), json, bob), 404).message, seen);
    }
});

test('who may create and not read learns the id', async () => {
    const { status, body } = await send('POST', at('letters'), { text: 'hello' });
    assert.equal(status, 201);
    assert.deepEqual(Object.keys(body), ['id']);
    assert.equal((await send('GET', at('letters', body.id), undefined, as('root', 'admin'))).body.text, 'hello');
});

test('nobody takes a document over, or gives it away', async () => {
    const { id } = await post();
    for (const token of [ann, editor]) {
        const error = assertError(await send('PATCH', at('posts', id), { author: 'eve' }, token), 422);
        assert.deepEqual(error.details, [{ field: 'author', reason: 'owner' }]);
    }
    assertError(await send('PUT', at('posts', id), { title: 'B', author: 'bob' }, ann), 422);
    const { body } = await send('PUT', at('posts', id), { title: 'B' }, editor);
    assert.equal(body.author, 'ann');
});

// ---- Changing

test('PUT replaces all but what is the server\'s', async () => {
    const before = await post({ stars: 2, tags: ['x'] });
    const { status, headers, body } = await send('PUT', at('posts', before.id), { ...before, title: 'B', stars: undefined, createdAt: 'never' }, ann);
    assert.equal(status, 200);
    assert.equal(headers.etag, '"2"');
    assert.equal(body.title, 'B');
    assert.ok(!('stars' in body));
    assert.equal(body.createdAt, before.createdAt);
    assertError(await send('PUT', at('posts', before.id), { title: 'B', id: 'other' }, ann), 422, 'VALIDATION_ERROR');
    assertError(await send('PUT', at('posts', before.id), {}, ann), 422, 'VALIDATION_ERROR');
    assertError(await send('PUT', at('posts', 'none'), { title: 'B' }, ann), 404, 'NOT_FOUND');
});

test('PATCH merges (RFC 7396)', async () => {
    const { id } = await post({ stars: 2, tags: ['x', 'y'], meta: { a: { b: 1, c: 2 }, d: [1] } });
    const patch = (json, headers) => send('PATCH', at('posts', id), json, ann, headers);
    const { body } = await patch({ stars: null, tags: ['z'], meta: { a: { b: null }, d: { e: null }, f: null } });
    assert.deepEqual([body.stars, body.tags, body.meta], [undefined, ['z'], { a: { c: 2 }, d: {} }]);
    assert.equal((await patch({ title: 'M' }, { 'content-type': 'application/merge-patch+json' })).status, 200);
    assertError(await patch({ title: null }), 422, 'VALIDATION_ERROR');
    assertError(await patch([1]), 422, 'VALIDATION_ERROR');
    assertError(await patch({ title: 'M' }, { 'content-type': 'text/plain' }), 415, 'UNSUPPORTED_MEDIA_TYPE');
});

test('DELETE takes a document away', async () => {
    const { id } = await post();
    const { status, raw } = await send('DELETE', at('posts', id), undefined, ann);
    assert.deepEqual([status, raw.length], [204, 0]);
    assertError(await send('GET', at('posts', id)), 404, 'NOT_FOUND');
    assertError(await send('DELETE', at('posts', id), undefined, ann), 404, 'NOT_FOUND');
});

test('If-Match keeps a change from overwriting another', async () => {
    const { id } = await post();
    const put = (etag, json = { title: 'B' }) => send('PUT', at('posts', id), json, ann, { 'if-match': etag });
    assert.equal((await put('"1"')).headers.etag, '"2"');
    const late = await put('"1"');
    assert.deepEqual(assertError(late, 412, 'PRECONDITION_FAILED').details, [{ field: '', reason: 'version', version: 2 }]);
    assert.equal(late.headers.etag, '"2"');
    assert.equal((await put('"7", "2"')).status, 200);
    assert.equal((await put('*')).status, 200);
    assertError(await put('W/"4"'), 412, 'PRECONDITION_FAILED');
    for (const method of ['PATCH', 'DELETE']) {
        assertError(await send(method, at('posts', id), method === 'PATCH' ? {} : undefined, ann, { 'if-match': '"1"' }), 412);
    }
    assertError(await send('PUT', at('posts', 'none'), { title: 'B' }, ann, { 'if-match': '"1"' }), 412);
    assert.equal((await send('DELETE', at('posts', id), undefined, ann, { 'if-match': '"4"' })).status, 204);
});

test('If-None-Match saves what the client has', async () => {
    const { id } = await post();
    const get = (etag) => send('GET', at('posts', id), undefined, undefined, { 'if-none-match': etag });
    const same = await get('"1"');
    assert.deepEqual([same.status, same.raw.length, same.headers.etag], [304, 0, '"1"']);
    assert.equal((await get('"2"')).status, 200);
    const head = await send('HEAD', at('posts', id));
    assert.deepEqual([head.status, head.raw.length, head.headers.etag], [200, 0, '"1"']);
});

test('Prefer: return=minimal answers without the document', async () => {
    const prefer = { prefer: 'respond-async, return=minimal' };
    const made = await send('POST', at('posts'), { title: 'A' }, ann, prefer);
    assert.deepEqual([made.status, made.raw.length, made.headers.etag, made.headers['preference-applied']], [201, 0, '"1"', 'return=minimal']);
    const changed = await send('PATCH', made.headers.location, { title: 'B' }, ann, prefer);
    assert.deepEqual([changed.status, changed.headers.etag], [204, '"2"']);
});

test('fields= answers with these members alone', async () => {
    const { id } = await post({ stars: 1 });
    assert.deepEqual((await send('GET', `${at('posts', id)}?fields=id,stars,none`)).body, { id, stars: 1 });
});

test('a path says which methods it has', async () => {
    const options = await send('OPTIONS', at('posts', 'x'));
    assert.deepEqual(options.headers.allow.split(', ').sort(), ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'PUT']);
    assertError(await send('POST', at('posts', 'x'), {}, ann), 405, 'METHOD_NOT_ALLOWED');
});

// ---- Ids of the client

test('with id = client PUT creates, and If-None-Match: * only creates', async () => {
    const put = (id, json, headers) => send('PUT', at('things', id), json, undefined, headers);
    const made = await put('k1', { a: 1 });
    assert.deepEqual([made.status, made.headers.location, made.body], [201, at('things', 'k1'), { id: 'k1', a: 1 }]);
    assert.equal((await put('k1', { a: 2 })).headers.etag, '"2"');
    assertError(await put('k1', { a: 3 }, { 'if-none-match': '*' }), 412, 'PRECONDITION_FAILED');
    assert.equal((await put('k2', { a: 3 }, { 'if-none-match': '*' })).status, 201);
    assertError(await put('k3', { id: 'other' }), 422, 'VALIDATION_ERROR');
    assertError(await send('POST', at('things'), { id: 'k1' }), 409, 'ALREADY_EXISTS');
    for (const id of [undefined, 7, '', '.', '..', 'a/b', 'a\\b', 'a\u0001', 'x'.repeat(201)]) {
        assertError(await send('POST', at('things'), { id }), 422, 'VALIDATION_ERROR');
    }
    for (const id of ['bulk', 'ä ö', '\u{1F375}', 'x'.repeat(200), '"', '%2F', 'a?b#c']) {
        const answer = await send('POST', at('things'), { id });
        assert.equal(answer.status, 201, id);
        assert.equal((await send('GET', answer.headers.location)).body.id, id);
        assert.equal((await send('GET', at('things', id))).body.id, id);
    }
});

test('numbers are kept as they are', async () => {
    const numbers = '{"id":"n","a":9007199254740993,"b":-9223372036854775808,"c":0.1,"d":1.0,"e":1,"f":1e-07}';
    const options = { body: numbers, headers: { 'content-type': 'application/json' } };
    assert.equal((await galley.request('POST', at('things'), options)).raw.toString(), numbers);
    assert.equal((await send('PATCH', at('things', 'n'), { e: 2 })).raw.toString(), numbers.replace('"e":1', '"e":2').replace(/,"e":2(.*)}/, ',"e":2$1}'));
    for (const wrong of ['9223372036854775808', 'NaN', 'Infinity', '1e400', '01']) {
        const body = `{"id":"w","a":${wrong}}`;
        assertError(await galley.request('POST', at('things'), { ...options, body }), 400, 'MALFORMED_REQUEST');
    }
});

test('hidden members are neither seen nor written', async () => {
    const error = assertError(await send('POST', at('things'), { id: 'h', secret: 1 }), 422);
    assert.deepEqual(error.details, [{ field: 'secret', reason: 'hidden' }]);
    await send('POST', at('things'), { id: 'h' });
    assertError(await send('PATCH', at('things', 'h'), { secret: 1 }), 422);
    assert.deepEqual((await send('GET', `${at('things', 'h')}?fields=id,secret`)).body, { id: 'h' });
});

// ---- Keys, races

test('a repeated Idempotency-Key gets the answer of the first request', async () => {
    const headers = { 'idempotency-key': 'one' };
    const first = await send('POST', at('posts'), { title: 'Once' }, ann, headers);
    const again = await send('POST', at('posts'), { title: 'Once' }, ann, headers);
    assert.equal(first.status, 201);
    assert.equal(again.headers['idempotency-replayed'], 'true');
    assert.deepEqual(again.body, first.body);
    assertError(await send('POST', at('posts'), { title: 'Twice' }, ann, headers), 422, 'IDEMPOTENCY_KEY_REUSED');
});

test('of many changes at once none is lost', async () => {
    const { id } = await post();
    const members = Array.from({ length: 40 }, (_, i) => `m${i}`);
    const answers = await Promise.all(members.map((name) => send('PATCH', at('posts', id), { meta: { [name]: 1 } }, ann)));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    const { headers, body } = await send('GET', at('posts', id));
    assert.deepEqual(Object.keys(body.meta).sort(), members.sort());
    assert.equal(headers.etag, '"41"');
});

test('of many that replace one version one does', async () => {
    const { id } = await post();
    const put = (title) => send('PUT', at('posts', id), { title }, ann, { 'if-match': '"1"' });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => put(`t${i}`)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    assert.equal(answers.filter(({ status }) => status === 412).length, 19);
});

test('documents are there after a restart', async () => {
    const before = await post({ slug: 'kept' });
    await galley.restart();
    assert.deepEqual((await send('GET', at('posts', before.id))).body, before);
    assertError(await create({ title: 'B', slug: 'kept' }), 409, 'ALREADY_EXISTS');
});
