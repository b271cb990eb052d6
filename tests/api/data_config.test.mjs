// [collection] sections: what is wrong with them, and how they change while the server runs.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { runGalley, startGalley } from '../lib/galley.mjs';

async function check(t, text, files = {}) {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'galley-test-'));
    t.after(() => rm(dir, { recursive: true }));
    for (const [name, content] of Object.entries(files)) await writeFile(path.join(dir, name), content);
    await writeFile(path.join(dir, 'config.ini'), text);
    const { status, stdout, stderr } = await runGalley(['check', '-c', 'config.ini'], { cwd: dir });
    return { status, lines: `${stdout}${stderr}`.trim().split('\n') };
}

const all = { list: 'public', read: 'public', create: 'public', update: 'public', delete: 'public', id: 'client' };

test('each mistake is named with its line', async (t) => {
    const { status, lines } = await check(t, `[collection posts]
schema = none.json
index = author, -createdAt
index = a..b
index = a
index = a
unique = one,two,three,four,five
list = owner
read = role:
create = stars >
delete = x = @old.x
owner = id
hidden = x y
[collection ${'x'.repeat(49)}]
schema = bad.json
`, { 'bad.json': '{"type":"objekt"}' });
    assert.notEqual(status, 0);
    const found = (pattern) => assert.ok(lines.some((line) => pattern.test(line)), `${pattern} in\n${lines.join('\n')}`);
    found(/^config\.ini:2: \[collection posts\] schema: none\.json: No such file/);
    found(/^config\.ini:3: \[collection posts\] index: read "author, -createdAt"; an index has no direction/);
    found(/\[collection posts\] index: read "a\.\.b"; allowed: 1 to 4 members/);
    found(/\[collection posts\] index: read "a"; there is such an index already/);
    found(/^config\.ini:7: \[collection posts\] unique: read "one,two,three,four,five"; allowed/);
    found(/^config\.ini:8: \[collection posts\] list: owner: there is none/);
    found(/^config\.ini:9: \[collection posts\] read: /);
    found(/^config\.ini:10: \[collection posts\] create: /);
    found(/^config\.ini:11: \[collection posts\] delete: /);
    found(/^config\.ini:12: \[collection posts\] owner: read "id", allowed/);
    found(/^config\.ini:13: \[collection posts\] hidden: read/);
    found(/^config\.ini:14: \[collection x+\] a name has at most 48/);
    found(/^config\.ini:15: \[collection x+\] schema: bad\.json: /);
});

test('a reload brings new collections, rules and schemas', async () => {
    const files = { 'schemas/a.json': { properties: { n: { type: 'integer' } } } };
    const galley = await startGalley({ config: { 'collection a': { ...all, schema: 'schemas/a.json' } }, files });
    const put = (name, id, json) => galley.request('PUT', `/api/v1/collections/${name}/${id}`, { json });
    assert.equal((await put('a', '1', { n: 1 })).status, 201);
    assertError(await put('a', '2', { n: 'x' }), 422);
    assertError(await put('b', '1', {}), 404);
    await galley.write({ 'schemas/a.json': { properties: { n: { type: 'string' } } } });
    await galley.configure({ 'collection a': { ...all, schema: 'schemas/a.json', delete: 'nobody' }, 'collection b': all });
    await galley.reload();
    assert.equal((await put('a', '2', { n: 'x' })).status, 201);
    assert.equal((await put('b', '1', {})).status, 201);
    assertError(await galley.request('DELETE', '/api/v1/collections/a/1'), 401);
    await galley.configure({ 'collection b': all });
    await galley.reload();
    assertError(await put('a', '2', { n: 'x' }), 404);
    await galley.configure({ 'collection a': all });
    await galley.restart();
    assert.equal((await galley.request('GET', '/api/v1/collections/a/2')).body.n, 'x');
});

test('other indexes are built by a restart', async () => {
    const galley = await startGalley({ config: { 'collection a': { ...all, index: 'n' } } });
    const sorted = async (by) => (await galley.request('GET', `/api/v1/collections/a?sort=${by}`)).body.data.map(({ id }) => id);
    for (const [id, n, m] of [['x', 2, 1], ['y', 1, 2], ['z', 1, 3]]) {
        await galley.request('PUT', `/api/v1/collections/a/${id}`, { json: { n, m } });
    }
    await galley.configure({ 'collection a': { ...all, index: 'm,n', unique: 'm' } });
    await galley.restart();
    assert.deepEqual(await sorted('m'), ['x', 'y', 'z']);
    assertError(await galley.request('PUT', '/api/v1/collections/a/w', { json: { m: 3 } }), 409, 'ALREADY_EXISTS');
    await galley.stop();
    await galley.configure({ 'collection a': { ...all, unique: 'n' } });
    const { status, stderr } = await runGalley(['serve'], { cwd: galley.dir });
    assert.notEqual(status, 0);
    assert.match(stderr, /\[collection a\] index, unique: documents that are stored have the same/);
    await galley.configure({ 'collection a': { ...all, index: 'm,n', unique: 'm' } });
    await galley.start();
    assert.deepEqual(await sorted('-m'), ['z', 'y', 'x']);
});

test('a reload that cannot be changes nothing', async () => {
    const files = { 'a.json': {} };
    const section = { ...all, schema: 'a.json', index: 'n' };
    const galley = await startGalley({ config: { 'collection a': section }, files });
    for (const change of [{ index: 'm' }, { list: 'x >' }, { schema: 'none.json' }]) {
        await galley.configure({ 'collection a': { ...section, ...change } });
        await galley.reload();
        assert.match(galley.log(), /not reloaded/);
        assert.equal((await galley.request('GET', '/api/v1/collections/a?sort=n')).status, 200);
    }
    assert.match(galley.log(), /take a restart/);
});

test('a collection is no module\'s, whatever it is called', async () => {
    const galley = await startGalley({ config: { 'collection users': all, 'collection products': all } });
    assertError(await galley.request('GET', '/api/v1/collections/users/alice'), 404);
    assert.deepEqual((await galley.request('GET', '/api/v1/collections/products')).body.data, []);
});

test('routes are counted by collection, not by document', async () => {
    const galley = await startGalley({ config: { 'collection a': all } });
    for (let i = 0; i < 5; i++) await galley.request('GET', `/api/v1/collections/a/${i}`);
    const { raw } = await galley.request('GET', '/metrics');
    const label = 'route="/api/v1/collections/a/{id}",method="GET"';
    const lines = raw.toString().split('\n').filter((line) => line.includes('collections/a'));
    assert.ok(lines.some((line) => line.includes(label)), lines.join('\n'));
    assert.ok(!lines.some((line) => line.includes('collections/a/1')));
});

test('galley collections says what there is', async () => {
    const galley = await startGalley({ config: { 'collection a': { ...all, index: 'n', unique: 'm' } } });
    const text = JSON.stringify({ id: 'x', n: 1 });
    for (const id of ['x', 'y']) await galley.request('PUT', `/api/v1/collections/a/${id}`, { json: { n: 1 } });
    const { status, stdout } = await runGalley(['collections', '--data', galley.dataDir]);
    assert.equal(status, 0);
    const row = stdout.split('\n').find((line) => line.startsWith('a '));
    assert.deepEqual(row.split(/\s{2,}/), ['a', 'configuration', '2', String(2 * text.length), 'n; m (unique)']);
    assert.match(stdout, /^products +modules +1000 /m);
    const json = JSON.parse((await runGalley(['collections', '--data', galley.dataDir, '--json'])).stdout);
    const one = json.collections.find(({ name }) => name === 'a');
    assert.deepEqual(one, { name: 'a', of: 'configuration', documents: 2, bytes: 2 * text.length, indexes: [{ fields: 'n', unique: false }, { fields: 'm', unique: true }] });
    await galley.stop();
    assert.notEqual((await runGalley(['collections', '--data', galley.dataDir])).status, 0);
});
