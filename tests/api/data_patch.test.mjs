// Collections that config.ini declares: the three kinds of patches.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';

const all = { list: 'public', read: 'public', create: 'public', update: 'public', delete: 'public', id: 'client' };
const config = {
    'collection d': all,
    'collection secrets': { ...all, hidden: 'secret' },
    'collection strict': { ...all, schema: 'strict.json' },
};
const files = { 'strict.json': { properties: { n: { type: 'integer', minimum: 0 }, tags: { type: 'array', maxItems: 2 } } } };
const galley = await startGalley({ config, files });
const OPS = 'application/vnd.galley.ops+json', JSON_PATCH = 'application/json-patch+json';

const send = (method, path, json, headers) => galley.request(method, `/api/v1/collections/${path}`, { json, headers });
const patch = (type, json, path = 'd/x') => send('PATCH', path, json, { 'content-type': type });
async function put(doc, path = 'd/x') {
    const { status, raw } = await send('PUT', path, doc);
    assert.ok(status < 300, raw.toString());
}
async function get(path = 'd/x') {
    const { id, ...rest } = (await send('GET', path)).body;
    return rest;
}
async function patched(type, before, json) {
    await put(before);
    const { status, raw } = await patch(type, json);
    assert.equal(status, 200, `${JSON.stringify(json)}: ${raw}`);
    return get();
}
async function refused(type, before, json, status, details, code) {
    await put(before);
    const error = assertError(await patch(type, json), status, code);
    if (details) assert.deepEqual(error.details, details, JSON.stringify(json));
    assert.deepEqual(await get(), before); // nothing of it
}

// ---- RFC 7396

test('merge patches do as the examples of RFC 7396', async () => {
    for (const [before, json, after] of [
        [{ a: 'b' }, { a: 'c' }, { a: 'c' }], [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }], [{ a: 'b' }, { a: null }, {}],
        [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }], [{ a: ['b'] }, { a: 'c' }, { a: 'c' }], [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
        [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }], [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
        [{ e: null }, { a: 1 }, { e: null, a: 1 }], [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ]) assert.deepEqual(await patched('application/merge-patch+json', before, json), after, JSON.stringify(json));
    for (const json of [['c'], 'x', 1, null]) await refused('application/merge-patch+json', { a: 1 }, json, 422);
});

// ---- RFC 6902

test('JSON patches do as the examples of RFC 6902', async () => {
    for (const [before, json, after] of [
        [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
        [{ foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }], { foo: ['bar', 'qux', 'baz'] }],
        [{ baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
        [{ foo: ['bar', 'qux', 'baz'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['bar', 'baz'] }],
        [{ baz: 'qux' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo' }],
        [{ foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } }, [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
            { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } }],
        [{ foo: ['all', 'grass', 'cows', 'eat'] }, [{ op: 'move', from: '/foo/1', path: '/foo/3' }], { foo: ['all', 'cows', 'eat', 'grass'] }],
        [{ baz: 'qux', foo: ['a', 2, 'c'] }, [{ op: 'test', path: '/baz', value: 'qux' }, { op: 'test', path: '/foo/1', value: 2.0 }], { baz: 'qux', foo: ['a', 2, 'c'] }],
        [{ foo: 'bar' }, [{ op: 'add', path: '/child', value: { grandchild: {} } }], { foo: 'bar', child: { grandchild: {} } }],
        [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux', xyz: 123 }], { foo: 'bar', baz: 'qux' }],
        [{ '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }, { op: 'remove', path: '/~1' }], { '~1': 10 }],
        [{ foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['abc', 'def'] }], { foo: ['bar', ['abc', 'def']] }],
        [{ a: { b: 1 } }, [{ op: 'copy', from: '/a', path: '/c' }, { op: 'replace', path: '/c/b', value: 2 }], { a: { b: 1 }, c: { b: 2 } }],
        [{ a: 1 }, [{ op: 'replace', path: '', value: { b: null } }], { b: null }],
        [{ a: 1 }, [{ op: 'add', path: '/a', value: null }, { op: 'test', path: '/a', value: null }], { a: null }],
        [{ a: { x: [1, { y: 2.0 }] } }, [{ op: 'test', path: '/a', value: { x: [1.0, { y: 2 }] } }], { a: { x: [1, { y: 2 }] } }],
        [{ a: 1 }, [{ op: 'move', from: '/a', path: '/a' }], { a: 1 }],
        [{ a: 1 }, [], { a: 1 }],
    ]) assert.deepEqual(await patched(JSON_PATCH, before, json), after, JSON.stringify(json));
});

test('a JSON patch that does not fit changes nothing', async () => {
    const before = { foo: ['a'], bar: { x: 1 }, s: 'x' };
    for (const [step, field, reason] of [
        [{ op: 'add', path: '/baz/bat', value: 1 }, 'path', 'missing'], [{ op: 'add', path: '/foo/2', value: 1 }, 'path', 'missing'],
        [{ op: 'add', path: '/foo/01', value: 1 }, 'path', 'missing'], [{ op: 'add', path: '/foo/-1', value: 1 }, 'path', 'missing'],
        [{ op: 'add', path: '/s/1', value: 1 }, 'path', 'missing'], [{ op: 'replace', path: '/foo/-', value: 1 }, 'path', 'missing'],
        [{ op: 'remove', path: '/nope' }, 'path', 'missing'], [{ op: 'replace', path: '/nope', value: 1 }, 'path', 'missing'],
        [{ op: 'remove', path: '/foo/1' }, 'path', 'missing'], [{ op: 'move', from: '/nope', path: '/y' }, 'from', 'missing'],
        [{ op: 'move', from: '/bar', path: '/bar/x/y' }, 'path', 'within'], [{ op: 'copy', from: '/nope', path: '/y' }, 'from', 'missing'],
        [{ op: 'test', path: '/s' }, 'value', 'required'], [{ op: 'add', path: '/y' }, 'value', 'required'],
        [{ op: 'add', value: 1 }, 'path', 'required'], [{ op: 'add', path: 'y', value: 1 }, 'path', 'pointer'],
        [{ op: 'add', path: '/~2', value: 1 }, 'path', 'pointer'], [{ op: 'add', path: `${'/a'.repeat(33)}`, value: 1 }, 'path', 'pointer'],
        [{ op: 'move', path: '/y' }, 'from', 'required'], [{ op: 'increase', path: '/y' }, 'op', 'enum'], [{ path: '/y' }, 'op', 'required'],
    ]) {
        const steps = [{ op: 'add', path: '/new', value: 1 }, step];
        await refused(JSON_PATCH, before, steps, 422, [{ field: `1.${field}`, reason }]);
    }
    await refused(JSON_PATCH, before, [{ op: 'test', path: '/s', value: 'y' }], 409, [{ field: '0.path', reason: 'test' }], 'TEST_FAILED');
    for (const json of [{}, 'x', [1], [null]]) await refused(JSON_PATCH, before, json, 422);
    await refused(JSON_PATCH, before, [{ op: 'remove', path: '' }], 422);
    await refused(JSON_PATCH, before, [{ op: 'replace', path: '/id', value: 'y' }], 422, [{ field: 'id', reason: 'id' }]);
});

test('a JSON patch cannot make a document grow without end', async () => {
    const double = Array.from({ length: 40 }, (_, i) => ({ op: 'copy', from: '/a', path: `/a/${i % 2 ? '-' : '0'}` }));
    await refused(JSON_PATCH, { a: [1] }, double, 422);
    await refused(JSON_PATCH, { a: [1] }, Array.from({ length: 1001 }, () => ({ op: 'test', path: '/a/0', value: 1 })), 422);
    const deep = Array.from({ length: 900 }, () => ({ op: 'move', from: '/a', path: '/b' })).flatMap((move) => [{ op: 'add', path: '/b', value: {} }, { op: 'copy', from: '/a', path: '/b/a' }, { op: 'move', from: '/b', path: '/a' }]).slice(0, 999);
    await refused(JSON_PATCH, { a: {} }, deep, 422);
});

// ---- Operators

test('operators change single members', async () => {
    for (const [before, json, after] of [
        [{ a: 1 }, { $set: { b: 2, 'c.d.e': [1] } }, { a: 1, b: 2, c: { d: { e: [1] } } }],
        [{ a: 1, b: { c: 1, d: 2 } }, { $unset: ['a', 'b.c', 'x.y'] }, { b: { d: 2 } }],
        [{ a: 1, b: 1 }, { $unset: { a: true } }, { b: 1 }],
        [{ a: 1 }, { $inc: { a: 5, b: -2, 'c.d': 1 } }, { a: 6, b: -2, c: { d: 1 } }],
        [{ a: 1.5, b: null }, { $inc: { a: 1, b: 0.5 } }, { a: 2.5, b: 0.5 }],
        [{ a: 5, b: 5, s: 'm' }, { $min: { a: 3, b: 7, s: 'a', n: 4 } }, { a: 3, b: 5, s: 'a', n: 4 }],
        [{ a: 5, b: 5.5, s: 'm' }, { $max: { a: 3, b: 7, s: 'z', n: 4 } }, { a: 5, b: 7, s: 'z', n: 4 }],
        [{ a: [1] }, { $push: { a: [2], b: 'x' } }, { a: [1, [2]], b: ['x'] }],
        [{ a: [1, { b: 1 }] }, { $addToSet: { a: { b: 1 }, c: 1 } }, { a: [1, { b: 1 }], c: [1] }],
        [{ a: 1 }, { $inc: { a: 1 }, $set: { a: 10 }, $max: { a: 11 } }, { a: 11 }],
        [{ n: 3 }, { $if: 'n >= 3', $inc: { n: -3 } }, { n: 0 }],
        [{ n: 3 }, {}, { n: 3 }],
    ]) assert.deepEqual(await patched(OPS, before, json), after, JSON.stringify(json));
});

test('an operator that does not fit changes nothing', async () => {
    const before = { a: 1, s: 'x', o: { p: 1 }, l: [1] };
    for (const [json, field, reason] of [
        [{ $inc: { s: 1 } }, 's', 'type'], [{ $inc: { a: 'x' } }, 'a', 'type'], [{ $push: { a: 1 } }, 'a', 'type'],
        [{ $min: { s: 1 } }, 's', 'type'], [{ $max: { a: true } }, 'a', 'type'], [{ $addToSet: { o: 1 } }, 'o', 'type'],
        [{ $set: { 'a.b': 1 } }, 'a.b', 'path'], [{ $set: { '': 1 } }, '', 'path'], [{ $set: { 'x..y': 1 } }, 'x..y', 'path'],
        [{ $inc: { 'l.0': 1 } }, 'l.0', 'path'], [{ $rename: { a: 'b' } }, '$rename', 'unknown'], [{ title: 'x' }, 'title', 'unknown'],
        [{ $set: 1 }, '$set', 'type'], [{ $if: 1 }, '$if', 'type'], [{ $if: 'a >' }, '$if', 'expression'],
        [{ $set: { id: 'y' } }, 'id', 'id'], [{ $inc: { a: 9223372036854775807n } }, 'a', 'range'],
    ]) {
        const text = JSON.stringify({ ...json, $push: { ...json.$push, l: 2 } }, (_, value) => (typeof value === 'bigint' ? `#${value}` : value)).replace(/"#(\d+)"/, '$1');
        await put(before);
        const answer = await galley.request('PATCH', '/api/v1/collections/d/x', { body: text, headers: { 'content-type': OPS } });
        assert.deepEqual(assertError(answer, 422, 'VALIDATION_ERROR').details, [{ field, reason }], text);
        assert.deepEqual(await get(), before);
    }
    await refused(OPS, before, { $if: 'a > 1', $inc: { a: 1 } }, 412, undefined, 'CONDITION_FAILED');
    await refused(OPS, before, [1], 422);
});

test('the schema is asked of what an operator leaves', async () => {
    await put({ n: 1, tags: ['a'] }, 'strict/x');
    const strict = (json) => patch(OPS, json, 'strict/x');
    assertError(await strict({ $inc: { n: -2 } }), 422, 'VALIDATION_ERROR');
    assert.equal((await strict({ $push: { tags: 'b' } })).status, 200);
    assertError(await strict({ $push: { tags: 'c' } }), 422, 'VALIDATION_ERROR');
    assert.deepEqual(await get('strict/x'), { n: 1, tags: ['a', 'b'] });
});

test('a number that many count down at once never falls below its condition', async () => {
    await put({ stock: 50 });
    const answers = await Promise.all(Array.from({ length: 120 }, () => patch(OPS, { $inc: { stock: -1 }, $if: 'stock >= 1' })));
    const statuses = answers.map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 200).length, 50);
    assert.equal(statuses.filter((status) => status === 412).length, 70);
    assert.deepEqual(await get(), { stock: 0 });
});

test('no patch sees what is hidden', async () => {
    await put({ a: 1 }, 'secrets/x');
    for (const step of [{ op: 'copy', from: '/secret', path: '/b' }, { op: 'test', path: '/secret', value: 1 }]) {
        const { status } = await patch(JSON_PATCH, [step], 'secrets/x');
        assert.ok(status === 422 || status === 409);
    }
    assertError(await patch(OPS, { $set: { secret: 1 } }, 'secrets/x'), 422);
    assertError(await patch(JSON_PATCH, [{ op: 'add', path: '/secret', value: 1 }], 'secrets/x'), 422);
});

test('another type is refused with those that there are', async () => {
    const error = assertError(await patch('application/xml', {}), 415, 'UNSUPPORTED_MEDIA_TYPE');
    assert.match(error.message, /merge-patch\+json.*json-patch\+json.*vnd\.galley\.ops\+json/);
});
