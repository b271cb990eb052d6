// What routes change in JSON, of requests and of answers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';
import zlib from 'node:zlib';

import { assertError } from '../lib/assertions.mjs';
import { runGalley, startGalley } from '../lib/galley.mjs';
import { claims, makeToken } from '../lib/jwt.mjs';
import { passingOn, readAll, startUpstream } from '../lib/upstream.mjs';

async function startWith(route, handle) {
    const upstream = await startUpstream(handle);
    const galley = await startGalley(passingOn(upstream, {}, route));
    galley.upstream = upstream;
    return galley;
}

// Answers with this text, as JSON if nothing else is said.
const saying = (text, headers = {}, status = 200) => (request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
};

test('bodies of requests are changed before the target reads them', async () => {
    const galley = await startWith({
        request_json: [
            'set meta.tenant {user.id}', 'set meta.client {client}', 'set active true', 'set tags ["a", "b"]', 'set code "17"',
            'add qty 1', 'add note {header.X-Note}', 'remove admin, owner.secret', 'rename sku id',
        ],
        signed_in: 'yes',
    });
    const send = (json, headers) => galley.request('POST', '/up/', { token: makeToken(), json, headers });
    const { body } = await send(
        { qty: 5, admin: true, owner: { secret: 1, name: 'x' }, sku: 7, id: 8, meta: { tenant: 'bob', kept: 1 } },
        { 'X-Note': 'say "hi", "admin": true' },
    );
    assert.deepEqual(JSON.parse(body.body), {
        qty: 5, owner: { name: 'x' }, id: 7, meta: { tenant: 'alice', kept: 1, client: '127.0.0.1' }, active: true, tags: ['a', 'b'],
        code: '17', note: 'say "hi", "admin": true',
    });
    assert.equal(Number(body.headers['content-length']), body.body.length);
});

test('bodies that are not JSON pass, and those that cannot be changed are refused', async () => {
    const galley = await startWith({ request_json: 'set a 1', body_max: '2MiB' }, async (request, response) => {
        response.end(await readAll(request));
    });
    const send = (body, type, headers = {}) => galley.request('POST', '/up/', { body, headers: { 'content-type': type, ...headers } });
    assert.equal((await send('{"b": 2', 'text/plain')).raw.toString(), '{"b": 2');
    assert.equal((await send('{"b":2}', 'application/vnd.x+json; charset=utf-8')).raw.toString(), '{"b":2,"a":1}');
    assert.equal((await send('[{}, 3]', 'application/json')).raw.toString(), '[{"a":1},3]');
    assertError(await send('{"b": 2', 'application/json'), 400, 'MALFORMED_REQUEST');
    assertError(await send('{}', 'application/json', { 'content-encoding': 'gzip' }), 415);
    assertError(await send(`"${'x'.repeat(1 << 20)}"`, 'application/json'), 413);
    assert.equal((await send('x'.repeat(1 << 20), 'text/plain')).raw.length, 1 << 20);
    assert.equal((await galley.request('GET', '/up/')).status, 200);
});

test('answers are changed, through arrays too, with an ETag and length of their own', async () => {
    const galley = await startWith({
        response_json: ['remove data.cost, page', 'rename data.sku id', 'set for {user.id}', 'set data.seen true', 'add total 0'],
    }, saying('{"data":[{"sku":1,"cost":2},{"sku":3},4],"page":1,"total":9}', { etag: '"inner"', 'last-modified': 'Sun, 06 Nov 1994 08:49:37 GMT' }));
    const first = await galley.request('GET', '/up/');
    assert.deepEqual(first.body, { data: [{ id: 1, seen: true }, { id: 3, seen: true }, 4], total: 9 });
    assert.equal(Number(first.headers['content-length']), first.raw.length);
    assert.notEqual(first.headers.etag, '"inner"');
    assert.equal(first.headers['last-modified'], undefined);
    const ask = (headers, method = 'GET') => galley.request(method, '/up/', { headers });
    assert.equal((await ask({ 'If-None-Match': first.headers.etag })).status, 304);
    assert.equal((await ask({ 'If-None-Match': '"inner"' })).status, 200);
    assert.equal((await ask({ Range: 'bytes=0-3' })).status, 200);
    const head = await ask({}, 'HEAD');
    assert.equal(head.headers['content-length'], first.headers['content-length']);
    assert.equal(head.headers.etag, first.headers.etag);
    assert.equal(head.raw.length, 0);
    const asked = galley.upstream.requests;
    assert.ok(asked.every(({ headers }) => headers['accept-encoding'] === 'identity'));
    assert.ok(asked.every(({ headers }) => !headers['if-none-match'] && !headers.range));
});

test('what a client may have compressed is compressed here', async () => {
    const galley = await startWith({ response_json: 'keep a' }, (request, response) => {
        const text = JSON.stringify({ a: 'x'.repeat(5000), b: 1 });
        const coded = request.headers['accept-encoding'] !== 'identity';
        response.writeHead(200, { 'content-type': 'application/json', etag: '"e"', ...(coded && { 'content-encoding': 'gzip' }) });
        response.end(coded ? zlib.gzipSync(text) : text);
    });
    const { headers, raw } = await galley.request('GET', '/up/', { headers: { 'Accept-Encoding': 'gzip' } });
    assert.equal(headers['content-encoding'], 'gzip');
    assert.match(headers.etag, /-gzip"$/);
    assert.deepEqual(JSON.parse(zlib.gunzipSync(raw)), { a: 'x'.repeat(5000) });
});

test('an answer that cannot be changed is kept back', async () => {
    const secret = '{"a":1,"secret":"hidden"}';
    const kinds = {
        '/up/none': saying('{"secret":"hidden"'),
        '/up/coded': saying(zlib.gzipSync(secret), { 'content-encoding': 'gzip' }),
        '/up/large': saying(`{"secret":"${'hidden'.repeat(200_000)}"}`),
        '/up/part': saying('{"secret":"hid', { 'content-range': 'bytes 0-13/26' }, 206),
        '/up/long': (request, response) => {
            response.writeHead(200, { 'content-type': 'application/json' });
            for (let i = 0; i < 40; i++) response.write(`"${'hidden'.repeat(8000)}",`);
            response.end();
        },
        '/up/error': saying('{"error":1}', {}, 500),
        '/up/text': saying('not JSON', { 'content-type': 'text/plain' }),
    };
    const galley = await startWith({ response_json: 'remove secret' }, (request, response) => kinds[request.url](request, response));
    for (const target of ['/up/none', '/up/coded', '/up/large', '/up/part', '/up/long']) {
        const answer = await galley.request('GET', target);
        assertError(answer, 502, 'BAD_GATEWAY');
        assert.ok(!answer.raw.includes('hidden'));
    }
    assert.deepEqual((await galley.request('GET', '/up/error')).body, { error: 1 });
    assert.equal((await galley.request('GET', '/up/text')).body, 'not JSON');
});

test('answers in chunks of up to 1 MiB are changed as a whole, and streams of other kinds pass', async () => {
    const galley = await startWith({ fields: 'n' }, (request, response) => {
        const json = request.url === '/up/json';
        response.writeHead(200, { 'content-type': json ? 'application/json' : 'text/event-stream' });
        if (!json) return response.write('data: {"a":1}\n\n');
        response.write('[');
        for (let i = 0; i < 5000; i++) response.write(`{"n":${i},"text":"${'x'.repeat(100)}"},`);
        return response.end('{"text":1}]');
    });
    const { body, headers } = await galley.request('GET', '/up/json');
    assert.equal(body.length, 5001);
    assert.deepEqual(body[4999], { n: 4999 });
    assert.deepEqual(body[5000], {});
    assert.ok(headers['content-length']);
    const events = await new Promise((resolve, reject) => http.get({ port: galley.port, path: '/up/events' }, resolve).on('error', reject));
    const [piece] = await once(events, 'data');
    assert.equal(piece.toString(), 'data: {"a":1}\n\n');
    events.destroy();
});

test('members by device, header, version and role', async () => {
    const galley = await startWith({
        roles: 'customer, staff',
        fields: ['* if role staff', 'id if header X-Client: partner', 'id, name if device mobile, tablet', 'id, name, owner.name if version 1',
            'id, name, price'],
    }, saying('[{"id":1,"name":"a","price":2,"cost":3,"owner":{"name":"o","mail":"m"}}]'));
    const ask = async (headers, roles = ['customer']) => {
        const answer = await galley.request('GET', '/up/', { token: makeToken(claims({ roles })), headers });
        assert.equal(answer.headers.vary, 'Authorization, X-Client, User-Agent, Sec-CH-UA-Mobile, API-Version, Accept');
        return Object.keys(answer.body[0]).join();
    };
    const mobile = { 'User-Agent': 'Mozilla/5.0 (iPhone) Mobi' };
    assert.equal(await ask({}), 'id,name,price');
    assert.equal(await ask(mobile), 'id,name');
    assert.equal(await ask({ ...mobile, 'X-Client': 'partner' }), 'id');
    assert.equal(await ask({ 'API-Version': '1' }), 'id,name,owner');
    assert.equal(await ask(mobile, ['staff']), 'id,name,price,cost,owner');
});

test('one cached answer is cut for each client anew', async () => {
    const galley = await startWith({
        cache: 'yes', cache_ttl: '1h', fields: ['id if device mobile', '* if device desktop'], response_json: 'set by {header.X-Name}',
    }, saying('{"id":1,"name":"a"}', { etag: '"inner"' }));
    const ask = async (agent, headers = {}) => galley.request('GET', '/up/x', { headers: { 'User-Agent': agent, 'X-Name': 'n', ...headers } });
    const wide = await ask('Firefox');
    const small = await ask('iPhone Mobi');
    assert.deepEqual(wide.body, { id: 1, name: 'a', by: 'n' });
    assert.deepEqual(small.body, { id: 1 });
    assert.notEqual(wide.headers.etag, small.headers.etag);
    assert.equal((await ask('iPhone Mobi', { 'If-None-Match': small.headers.etag })).status, 304);
    assert.equal((await ask('iPhone Mobi', { 'If-None-Match': wide.headers.etag })).status, 200);
    assert.equal((await ask('iPhone Mobi', { 'If-Modified-Since': 'Sun, 06 Nov 2094 08:49:37 GMT' })).status, 200);
    assert.deepEqual((await ask('Firefox', { 'X-Name': 'm' })).body.by, 'm');
    assert.equal(galley.upstream.requests.length, 1);
});

test('all kinds of targets alike', async () => {
    const upstream = await startUpstream(saying('{"id":1,"name":"a"}'));
    const rules = { response_json: ['keep id, a.id', 'set via galley'] };
    const galley = await startGalley({});
    await mkdir(path.join(galley.dir, 'site'), { recursive: true });
    await writeFile(path.join(galley.dir, 'site/a.json'), '{"id":1,"name":"a"}');
    await writeFile(path.join(galley.dir, 'site/large.json'), JSON.stringify({ id: 1, name: 'a'.repeat(200_000) }));
    await galley.configure({
        'upstream up': { server: upstream.address, check: 'no' },
        'compose both': { part: ['a upstream:up/a', 'b upstream:up/b'] },
        'route shop': { path: '/*', target: 'app:shop', ...rules, request_json: 'rename product productId' },
        'route up': { path: '/up', target: 'upstream:up', ...rules },
        'route both': { path: '/both', target: 'compose:both', ...rules },
        'route files': { path: '/files/*', rewrite: '/*', target: 'static:site', ...rules },
        'route fix': { path: '/fix', target: 'respond:200', respond_body: '{"id":1,"name":"a"}', ...rules },
    });
    await galley.reload();
    for (const target of ['/up', '/files/a.json', '/files/large.json', '/fix'])
        assert.deepEqual((await galley.request('GET', target)).body, { id: 1, via: 'galley' }, target);
    assert.deepEqual((await galley.request('GET', '/both')).body, { a: { id: 1 }, via: 'galley' });
    const token = await galley.login();
    assert.deepEqual((await galley.request('GET', '/products/17', { token })).body, { id: 17, via: 'galley' });
    const order = (product) => galley.request('POST', '/place-order', { token, json: { product, qty: 1 }, headers: { 'Idempotency-Key': 'k1' } });
    const placed = await order(17);
    assert.equal(placed.status, 201);
    assert.deepEqual(placed.body, { via: 'galley' });
    const again = await order(17);
    assert.equal(again.headers['idempotency-replayed'], 'true');
    assert.deepEqual(again.body, { via: 'galley' });
    assert.equal((await order(18)).status, 422);
});

test('what is no change of JSON is said with its line', async () => {
    const galley = await startGalley({});
    const wrong = async (keys, expected) => {
        await galley.configure({ 'route x': { path: '/a', target: 'respond:200', ...keys } });
        const { status, stderr } = await runGalley(['check'], { cwd: galley.dir });
        assert.equal(status, 2, JSON.stringify(keys));
        assert.match(stderr, expected);
    };
    await wrong({ response_json: 'set a..b 1' }, /^config\.ini:\d+: \[route x\] response_json: .*"a\.\.b" is no path of members/m);
    await wrong({ response_json: 'rename a.b c.d' }, /without dots/);
    await wrong({ response_json: 'set a {nothing}' }, /there is no place \{nothing\}/);
    await wrong({ response_header: 'keep X-A' }, /"keep" is no change: set, add, remove or rename/);
    await wrong({ fields: 'id if phone' }, /behind if stands device, role/);
    await wrong({ fields: 'id if device phone' }, /"phone" is none/);
    await wrong({ fields: 'id if role a b' }, /"a b" is no role/);
    await wrong({ fields: ', ' }, /it names no member/);
});
