// What the schema of a collection (base/schema.h) does to documents: defaults are filled in, violations are named with
// their places, and a schema that says what nobody knows is an error before anything is served.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { configText, runGalley, startGalley } from '../lib/galley.mjs';

const PLACE = '/api/v1/collections/orders';
const RULES = Object.fromEntries(['list', 'read', 'create', 'update', 'delete'].map((rule) => [rule, 'public']));
const CONFIG = { 'collection orders': { schema: 'order.json', ...RULES } };
const ORDER = {
    type: 'object',
    required: ['items', 'state'],
    properties: {
        state: { enum: ['new', 'paid'], default: 'new' },
        total: { type: 'number', multipleOf: 0.01 },
        mail: { type: 'string', format: 'email' },
        items: { type: 'array', minItems: 1, items: { $ref: '#/$defs/item' } },
    },
    dependentRequired: { total: ['mail'] },
    unevaluatedProperties: false,
    $defs: {
        item: {
            type: 'object',
            required: ['product'],
            properties: { product: { type: 'string', pattern: '^[a-z]+$' }, qty: { type: 'integer', minimum: 1, default: 1 } },
        },
    },
};

const start = (schema = ORDER) => startGalley({ config: CONFIG, files: { 'order.json': JSON.stringify(schema) } });

test('what is missing is filled in when a document is made, and not later', async () => {
    const galley = await start();
    const made = await galley.request('POST', PLACE, { json: { items: [{ product: 'tea' }, { product: 'cup', qty: 6 }] } });
    assert.equal(made.status, 201);
    assert.equal(made.body.state, 'new');
    assert.deepEqual(made.body.items, [{ product: 'tea', qty: 1 }, { product: 'cup', qty: 6 }]);
    const gone = await galley.request('PATCH', `${PLACE}/${made.body.id}`, { json: { state: null } });
    assert.deepEqual(assertError(gone, 422, 'VALIDATION_ERROR').details, [{ field: 'state', reason: 'required', pointer: '/state' }]);
});

test('every violation is named with its place', async () => {
    const galley = await start();
    const answer = await galley.request('POST', PLACE, {
        json: { total: 19.999, items: [{ product: 'tea' }, { product: 'T', qty: 0 }], more: 1 },
    });
    assert.deepEqual(assertError(answer, 422, 'VALIDATION_ERROR').details, [
        { field: 'mail', reason: 'dependentRequired', limit: 'total', pointer: '/mail' },
        { field: 'total', reason: 'multipleOf', limit: 0.01, pointer: '/total' },
        { field: 'items.1.product', reason: 'pattern', limit: '^[a-z]+$', pointer: '/items/1/product' },
        { field: 'items.1.qty', reason: 'minimum', limit: 1, pointer: '/items/1/qty' },
        { field: 'more', reason: 'unevaluatedProperties', pointer: '/more' },
    ]);
    const good = await galley.request('POST', PLACE, { json: { total: 19.99, mail: 'a@example.org', items: [{ product: 'tea' }] } });
    assert.equal(good.status, 201);
});

test('a text that its pattern would need too long for is refused', async () => {
    const galley = await start({ properties: { text: { pattern: '^(a+)+$' } } });
    const answer = await galley.request('POST', PLACE, { json: { text: `${'a'.repeat(60)}!` } });
    assert.equal(assertError(answer, 422, 'VALIDATION_ERROR').details[0].reason, 'too complex');
});

test('a schema that says what nobody knows is an error, with its place', async (t) => {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'galley-test-'));
    t.after(() => rm(dir, { recursive: true }));
    await writeFile(path.join(dir, 'config.ini'), configText(CONFIG));
    const refused = async (schema, why) => {
        await writeFile(path.join(dir, 'order.json'), JSON.stringify(schema));
        const { status, stdout, stderr } = await runGalley(['check', '-c', 'config.ini'], { cwd: dir });
        assert.equal(status, 2);
        assert.match(stdout + stderr, why);
    };
    await refused({ properties: { a: { minimun: 1 } } }, /\[collection orders\].*The keyword "minimun" is not supported\. \(at \/properties\/a\)/);
    await refused({ properties: { a: { format: 'phone' } } }, /The format "phone" is not known/);
    await refused({ properties: { a: { pattern: '(' } } }, /The regular expression is wrong/);
    await refused({ $ref: '#' }, /leads back to itself/);
});
