// The description of the API, `galley openapi` and GET /openapi.json: complete, clean under a public linter
// (tests/openapi/package.json), and true; and the types made of it.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';

import { configText, freePort, runGalley, startGalley } from '../lib/galley.mjs';

const require = createRequire(path.resolve('build/tests/openapi/package.json'));
const redocly = require('@redocly/openapi-core');
const ts = require('typescript');

const POST = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    additionalProperties: false,
    required: ['title', 'status', 'secret'],
    properties: {
        title: { type: 'string', minLength: 1, description: 'What stands */ above it' },
        status: { enum: ['draft', 'public'] },
        tags: { type: 'array', items: { $ref: '#/$defs/tag' } },
        answers: { type: 'array', items: { $ref: '#' } },
        place: { type: ['object', 'null'], properties: { lat: { type: 'number' } }, required: ['lat'] },
        secret: { type: 'string' },
        'odd-name': { anyOf: [{ type: 'string' }, { const: 7 }] },
    },
    $defs: { tag: { type: 'string', pattern: '^[a-z]+$' } },
};

const CONFIG = {
    'collection posts': {
        schema: 'post.json', owner: 'author', timestamps: 'yes', hidden: 'secret', list: 'public', read: 'public', create: 'user',
        feed: 'yes',
    },
    'collection notes': { list: 'user' },
    'collection error': {},
    'upstream back': { server: '127.0.0.1:1' },
    'route up': { path: '/up/*', target: 'upstream:back', roles: 'editor', rate_limit: '5/s by ip' },
    'route up-post': { path: '/down/{id}', method: 'POST', target: 'respond:204' },
    'route canary': { path: '/up/*', target: 'respond:200', header: 'X-Canary: yes' },
    'route names': { path: '/down/{name}', method: 'DELETE', target: 'respond:204', host: 'api.example.org' },
};
const files = { 'post.json': JSON.stringify(POST) };

const dir = await mkdtemp(path.join(os.tmpdir(), 'galley-openapi-'));
after(() => rm(dir, { recursive: true }));
await writeFile(path.join(dir, 'post.json'), files['post.json']);
await writeFile(path.join(dir, 'config.ini'), configText(CONFIG));

async function print(...args) {
    const { status, stdout, stderr } = await runGalley(['openapi', '-c', 'config.ini', ...args], { cwd: dir });
    assert.equal(status, 0, stderr);
    return stdout;
}
const document = JSON.parse(await print());
const operations = Object.entries(document.paths).flatMap(([place, item]) =>
    Object.entries(item).map(([method, operation]) => ({ place, method, ...operation })));

async function lint(parsed) {
    const config = await redocly.createConfig({
        extends: ['recommended-strict'],
        rules: {
            'info-license': 'off', // what may be done with an API is its owner's to say
            'no-ambiguous-paths': 'off', // of two patterns the more particular is taken (docs/gateway.md)
            'operation-4xx-response': 'error',
            'operation-operationId': 'error',
            'tag-description': 'error',
            'no-unused-components': 'error',
        },
    });
    const problems = await redocly.lintFromString({ source: JSON.stringify(parsed), config });
    return problems.map(({ ruleId, message, location }) => `${ruleId} ${location[0]?.pointer}: ${message}`);
}

test('the linter finds nothing', async () => {
    assert.deepEqual(await lint(document), []);
    const broken = structuredClone(document);
    delete broken.paths['/products/{id}'].get.parameters;
    assert.equal((await lint(broken)).length, 1); // it does look
});

test('every route is in it', async () => {
    const { stdout } = await runGalley(['routes', '-c', 'config.ini', '--json'], { cwd: dir });
    const shape = (place) => place.replace(/\*$/, '{}').replace(/\{[^}]*\}/g, '{}');
    const there = new Set(operations.map(({ place, method }) => `${method.toUpperCase()} ${shape(place)}`));
    const routes = JSON.parse(stdout).filter(({ path: place }) => !/^\/_(\/|$)/.test(place));
    assert.ok(routes.length > 25);
    for (const { method, path: place } of routes) {
        assert.ok(there.has(`${method ?? 'PATCH'} ${shape(place)}`), `${method} ${place}`);
    }
});

test('it says who may, what goes in and which errors come', () => {
    const order = document.paths['/place-order'].post;
    assert.deepEqual(order.security, [{ bearer: [] }]);
    const body = document.components.schemas[order.requestBody.content['application/json'].schema.$ref.split('/').at(-1)];
    assert.deepEqual(body.required, ['productId', 'qty']);
    for (const status of [400, 401, 409, 413, 415, 422, 503]) assert.ok(order.responses[status], `${status}`);
    assert.equal(order.responses[429], undefined); // nobody has set a limit
    const up = document.paths['/up/{rest}'].put;
    assert.deepEqual(up.security, [{ bearer: ['editor'] }]);
    assert.ok(up.responses[403] && up.responses[429] && up.responses[502]);
    assert.match(up.description, /upstream:back/);
    assert.match(up.description, /X-Canary/);
    const posts = document.paths['/api/v1/collections/posts'];
    assert.deepEqual(posts.get.security, [{}, { bearer: [] }]);
    assert.match(posts.post.description, /Who may: `user`/);
    assert.match(document.components.schemas.Error.properties.error.properties.code.description, /`STORE_FULL`/);
    assert.match(document.paths['/down/{id}'].delete.description, /api\.example\.org/);
});

test("a collection's schema has what the server adds, and nothing that is hidden", () => {
    const { Posts } = document.components.schemas;
    assert.equal(Posts.properties.id.readOnly, true);
    assert.equal(Posts.properties.author.readOnly, true);
    assert.equal(Posts.properties.updatedAt.format, 'date-time');
    assert.equal(Posts.properties.secret, undefined);
    assert.deepEqual(Posts.required, ['title', 'status']);
    assert.equal(Posts.properties.tags.items.$ref, '#/components/schemas/Posts/$defs/tag');
    assert.equal(Posts.properties.answers.items.$ref, '#/components/schemas/Posts');
    const made = document.paths['/api/v1/collections/error'].post.responses[201];
    assert.equal(made.content['application/json'].schema.$ref, '#/components/schemas/ErrorDocument');
});

// The lines that do not compile.
function compile(source) {
    const options = { strict: true, noEmit: true, target: ts.ScriptTarget.ES2022, lib: ['lib.es2022.d.ts'], types: [] };
    const host = ts.createCompilerHost(options);
    const read = host.getSourceFile;
    host.getSourceFile = (name, ...rest) =>
        name === 'a.ts' ? ts.createSourceFile(name, source, ts.ScriptTarget.ES2022) : read(name, ...rest);
    const program = ts.createProgram(['a.ts'], options, host);
    const lines = source.split('\n');
    return ts.getPreEmitDiagnostics(program).map(({ file, start }) => lines[file.getLineAndCharacterOfPosition(start).line]);
}

test('its types are TypeScript, and as strict as the schemas', async () => {
    const types = await print('--types');
    const good = `
        export const input: PostsInput = { title: 'a', status: 'draft', tags: ['x'], place: null, 'odd-name': 7 };
        export const order: PostPlaceOrderBody = { productId: 1, qty: 2 };
        export const of = (post: Posts): string => post.id + post.updatedAt + (post.place?.lat ?? 0) + (post.answers?.[0]?.title ?? '');
        export const note: Notes = { id: '1' };
        export const tag: Posts_tag = 'a';`;
    const wrong = ["{ title: 'a' }", "{ title: 1, status: 'draft' }", "{ title: 'a', status: 'other' }", "{ title: 'a', status: 'draft', id: '1' }"]
        .map((value, i) => `export const wrong${i}: PostsInput = ${value};`);
    assert.deepEqual(compile([types, good, ...wrong].join('\n')), wrong);
});

test('the server answers with the same, made anew at a reload', async () => {
    const galley = await startGalley({ config: CONFIG, files });
    const { status, body, headers } = await galley.request('GET', '/openapi.json');
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'application/json');
    assert.deepEqual(body, document);
    await galley.configure({ ...CONFIG, 'collection things': {}, 'collection notes': null });
    await galley.reload();
    const again = (await galley.request('GET', '/openapi.json')).body;
    assert.ok(again.paths['/api/v1/collections/things']);
    assert.equal(again.paths['/api/v1/collections/notes'], undefined);
});

test('it is seen where the administration is, by everybody or by nobody', async () => {
    const port = await freePort();
    const ask = async (galley, at) => (await fetch(`${at ?? galley.url}/openapi.json`)).status;
    const galley = await startGalley({ config: { admin: { listen: `127.0.0.1:${port}` } } });
    const admin = `http://127.0.0.1:${port}`;
    assert.deepEqual([await ask(galley), await ask(galley, admin)], [404, 200]);
    await galley.configure({ admin: { listen: `127.0.0.1:${port}` }, server: { openapi: 'public' } });
    await galley.reload();
    assert.deepEqual([await ask(galley), await ask(galley, admin)], [200, 200]);
    await galley.configure({ admin: { listen: `127.0.0.1:${port}` }, server: { openapi: 'off' } });
    await galley.reload();
    assert.deepEqual([await ask(galley), await ask(galley, admin)], [404, 404]);
});
