// What routes change in requests and answers.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { eventually, runGalley, startGalley } from '../lib/galley.mjs';
import { makeToken } from '../lib/jwt.mjs';
import { RawConnection } from '../lib/raw.mjs';
import { passingOn, startUpstream } from '../lib/upstream.mjs';

async function startWith(route, handle) {
    const upstream = await startUpstream(handle);
    const galley = await startGalley(passingOn(upstream, {}, route));
    galley.upstream = upstream;
    return galley;
}

const seen = async (galley, target, options) => (await galley.request('GET', target, options)).body;

test('headers of requests are set, added, removed and renamed', async () => {
    const galley = await startWith({
        request_header: [
            'set X-Where {method} {host} {path} {query.q}', 'add X-More one', 'add X-More two', 'remove X-Secret, Cookie',
            'rename X-Old X-New', 'set X-Id {id}', 'set X-Client {client}',
        ],
    });
    const { headers } = await seen(galley, '/up/a%20b?q=1%2B1', {
        headers: { 'X-Secret': 's', 'X_Secret': 's', Cookie: 'a=b', 'X-Old': 'v', 'X-New': 'mine', 'X-Where': 'mine' },
    });
    assert.equal(headers['x-where'], `GET 127.0.0.1:${galley.port} /up/a b 1+1`);
    assert.equal(headers['x-more'], 'one, two');
    for (const name of ['x-secret', 'x_secret', 'cookie', 'x-old']) assert.equal(headers[name], undefined, name);
    assert.equal(headers['x-new'], 'v');
    assert.equal(headers['x-id'], headers['x-request-id']);
    assert.equal(headers['x-client'], '127.0.0.1');
});

test('who has signed in is said by a template, and a client cannot say it instead', async () => {
    const galley = await startWith({ request_header: 'set X-Tenant {user.id}', signed_in: 'yes' });
    await galley.configure({
        ...galleyConfig(galley), 'route open': { path: '/open', target: 'upstream:up', request_header: 'set X-Tenant {user.id}' },
    });
    await galley.reload();
    const token = makeToken();
    const forged = { 'X-Tenant': 'bob', X_Tenant: 'bob', Connection: 'X-Tenant, close' };
    assert.equal((await seen(galley, '/up/', { token, headers: forged })).headers['x-tenant'], 'alice');
    const { headers } = await seen(galley, '/open', { headers: forged });
    assert.equal(headers['x-tenant'], undefined);
    assert.equal(headers.x_tenant, undefined);
});

const galleyConfig = (galley) => passingOn(galley.upstream, {}, { request_header: 'set X-Tenant {user.id}', signed_in: 'yes' }).config;

test('a value never ends its line', async () => {
    const galley = await startWith({
        request_header: 'set X-Q {query.q}', response_header: 'set X-Q {query.q}', request_query: 'set r {query.q}',
    });
    const { headers, body } = await galley.request('GET', '/up/?q=a%0D%0AX-Evil:%20b%26c%3Dd%00');
    assert.equal(headers['x-evil'], undefined);
    assert.equal(headers['x-q'], undefined); // with NUL it is no text
    const second = await galley.request('GET', '/up/?q=a%0D%0AX-Evil:%20b%26c%3Dd');
    assert.equal(second.headers['x-evil'], undefined);
    assert.equal(second.headers['x-q'], 'a X-Evil: b&c=d');
    assert.equal(second.body.headers['x-q'], 'a X-Evil: b&c=d');
    assert.equal(second.body.headers['x-evil'], undefined);
    assert.ok(second.body.url.endsWith('&r=a%0D%0AX-Evil%3A%20b%26c%3Dd'), second.body.url);
    assert.ok(!body.url.includes('r='), body.url);
});

test('parameters of the query are set, added, removed and renamed', async () => {
    const galley = await startWith({
        request_query: ['remove debug, trace', 'rename page p', 'set lang {header.X-Lang}', 'add tag new'],
    });
    const url = async (query, headers = {}) => (await seen(galley, `/up/${query}`, { headers })).url;
    assert.equal(await url('?a=%20&debug=1&d%65bug=2&page=3&p=4&tag=old&lang=en'), '/up/?a=%20&p=3&tag=old&tag=new');
    assert.equal(await url('', { 'X-Lang': 'd&e' }), '/up/?lang=d%26e&tag=new');
    assert.equal(await url('?trace&page'), '/up/?p&tag=new');
});

test('headers of answers, and security headers among them', async () => {
    const rules = [
        'set X-Frame-Options SAMEORIGIN', "set Content-Security-Policy default-src 'self'", 'remove Referrer-Policy, X-Inner',
        'rename X-Old X-New',
    ];
    const upstream = await startUpstream((request, response) => {
        response.setHeader('X-Inner', '1').setHeader('X-Old', ['a', 'b']).end('text');
    });
    const { config } = passingOn(upstream, {}, { response_header: rules });
    const galley = await startGalley({
        config: { ...config, 'route here': { path: '/here', target: 'respond:200', respond_body: '{}', response_header: rules } },
    });
    for (const target of ['/up/', '/here']) {
        const { headers } = await galley.request('GET', target);
        assert.equal(headers['x-frame-options'], 'SAMEORIGIN', target);
        assert.equal(headers['x-content-type-options'], 'nosniff', target);
        assert.equal(headers['content-security-policy'], "default-src 'self'");
        assert.equal(headers['referrer-policy'], undefined, target);
        assert.equal(headers['x-inner'], undefined);
        if (target === '/up/') assert.equal(headers['x-new'], 'a, b');
    }
});

test('pages have a policy, until a line says another', async () => {
    const galley = await startGalley({});
    await mkdir(path.join(galley.dir, 'site'), { recursive: true });
    await writeFile(path.join(galley.dir, 'site/index.html'), '<p>');
    await writeFile(path.join(galley.dir, 'site/a.css'), 'p {}');
    const page = { target: 'respond:200', respond_body: '<p>' };
    await galley.configure({
        'route site': { path: '/site/*', rewrite: '/*', target: 'static:site' },
        'route page': { path: '/page', ...page },
        'route own': { path: '/own', ...page, response_header: 'set Content-Security-Policy frame-ancestors https://a.example.org' },
        'route none': { path: '/none', ...page, response_header: 'remove Content-Security-Policy' },
    });
    await galley.reload();
    const policy = async (target) => (await galley.request('GET', target)).headers['content-security-policy'];
    assert.equal(await policy('/site/'), "base-uri 'self'; object-src 'none'");
    assert.equal(await policy('/page'), "base-uri 'self'; object-src 'none'");
    assert.equal(await policy('/site/a.css'), undefined);
    assert.equal(await policy('/own'), 'frame-ancestors https://a.example.org');
    assert.equal(await policy('/none'), undefined);
});

test('statuses are mapped, and what is said of it stays', async () => {
    const galley = await startWith({ response_status: ['404 as 200', '500-599 as 502'] }, (request, response) => {
        response.statusCode = Number(request.url.slice(4));
        response.end('text');
    });
    const status = async (of) => (await galley.request('GET', `/up/${of}`)).status;
    assert.deepEqual(await Promise.all([200, 404, 410, 500, 503].map(status)), [200, 200, 410, 502, 502]);
});

test('a version says that it is deprecated, when it ends, and what comes next', async () => {
    const galley = await startWith({
        deprecated: '2026-01-31', sunset: '2026-06-30T12:00:00Z', successor: 'https://api.example.org/v2',
        deprecation_link: '/docs/v1#end', sunset_link: '/docs/sunset',
    });
    const { headers } = await galley.request('GET', '/up/');
    assert.equal(headers.deprecation, '@1769817600');
    assert.equal(headers.sunset, 'Tue, 30 Jun 2026 12:00:00 GMT');
    assert.equal(headers.link, '<https://api.example.org/v2>; rel="successor-version", </docs/v1#end>; rel="deprecation", '
        + '</docs/sunset>; rel="sunset"');
});

test('versions of one path by header, media type, query and host, each with notices of its own', async () => {
    const galley = await startGalley({
        config: {
            'route new': { path: '/version', target: 'respond:200', respond_body: '2' },
            'route old': { path: '/version', version: '1', target: 'respond:200', respond_body: '1', deprecated: '2026-01-31' },
            'route old-host': { path: '/version', host: 'v1.example.org', target: 'respond:200', respond_body: '1', deprecated: '2026-01-31' },
        },
    });
    const ask = async (target, headers = {}) => {
        const answer = await galley.request('GET', target, { headers });
        return `${answer.body} ${answer.headers.deprecation ?? ''}`;
    };
    assert.equal(await ask('/version'), '2 ');
    assert.equal(await ask('/version', { 'API-Version': '1' }), '1 @1769817600');
    assert.equal(await ask('/version', { Accept: 'application/vnd.shop.v1+json' }), '1 @1769817600');
    assert.equal(await ask('/version?api-version=1'), '1 @1769817600');
    assert.equal(await ask('/version', { Host: 'v1.example.org' }), '1 @1769817600');
});

test('all kinds of targets alike', async () => {
    const upstream = await startUpstream();
    const rules = { response_header: 'set X-Who {client} {param.id}', response_status: '200 as 203' };
    const galley = await startGalley({ config: { shop: { seed: 'yes' } } });
    await mkdir(path.join(galley.dir, 'site'), { recursive: true });
    await writeFile(path.join(galley.dir, 'site/a.txt'), 'file');
    await galley.configure({
        'upstream up': { server: upstream.address, check: 'no' },
        'compose both': { part: ['a upstream:up/a'] },
        'route shop': { path: '/*', target: 'app:shop', ...rules },
        'route up': { path: '/up/{id}', target: 'upstream:up', ...rules },
        'route both': { path: '/both/{id}', target: 'compose:both', ...rules },
        'route files': { path: '/files/{id}', rewrite: '/{id}', target: 'static:site', ...rules },
        'route fix': { path: '/fix/{id}', target: 'respond:200', respond_body: '{}', ...rules },
    });
    await galley.reload();
    for (const target of ['/up/a.txt', '/both/a.txt', '/files/a.txt', '/fix/a.txt']) {
        const { status, headers } = await galley.request('GET', target);
        assert.equal(`${target} ${status} ${headers['x-who']}`, `${target} 203 127.0.0.1 a.txt`);
    }
    const { status, headers } = await galley.request('GET', '/products/17', { token: makeToken() });
    assert.equal(`${status} ${headers['x-who']}`, '203 127.0.0.1 17');
});

test('what a client calls by another name is part of what its answer is stored under', async () => {
    const galley = await startWith({
        cache: 'yes', cache_ttl: '1h', request_header: 'rename X-Lang Accept-Language',
    }, (request, response) => {
        response.setHeader('Vary', 'Accept-Language').end(request.headers['accept-language'] ?? 'none');
    });
    const text = async (headers) => (await galley.request('GET', '/up/', { headers })).body;
    assert.equal(await text({ 'X-Lang': 'de', 'Accept-Language': 'en' }), 'de');
    assert.equal(await text({ 'Accept-Language': 'en' }), 'en');
    assert.equal(await text({ 'X-Lang': 'fr', 'Accept-Language': 'en' }), 'fr');
});

test('a request that gets too many fields is refused, and logged with its own', async () => {
    const upstream = await startUpstream();
    const galley = await startGalley(passingOn(upstream, {}, { cache: 'yes', request_header: 'set X-Tenant x' },
        { log: { access_format: 'combined' } }));
    const connection = await RawConnection.open(galley.port);
    const fields = Array.from({ length: 62 }, (_, i) => `X-F${i}: v\r\n`).join('');
    connection.send(`GET /up/ HTTP/1.1\r\nHost: a\r\nUser-Agent: tester\r\n${fields}\r\n`);
    assert.equal((await connection.response()).status, 431);
    connection.destroy();
    await eventually('its line', () => / 431 .*"tester"/.test(galley.log()));
});

test('a cached answer is right for each user and client', async () => {
    const galley = await startWith({
        cache: 'yes', cache_ttl: '1h', request_header: 'set X-Lang {header.Accept-Language}', request_query: 'set fixed yes',
        response_header: ['set X-For {header.X-Name}', 'set X-Id {id}'],
    }, (request, response) => {
        response.setHeader('Cache-Control', 'public').end(request.headers['x-lang'] ?? 'none');
    });
    const ask = async (lang, name) => {
        const { body, headers } = await galley.request('GET', '/up/x', { headers: { 'Accept-Language': lang, 'X-Name': name } });
        assert.equal(headers['x-for'], name);
        assert.equal(headers['x-id'], headers['x-request-id']);
        assert.match(headers.vary, /X-Name/);
        return body;
    };
    assert.equal(await ask('de', 'a'), 'de');
    assert.equal(await ask('fr', 'b'), 'fr');
    assert.equal(await ask('de', 'c'), 'de');
    assert.equal(galley.upstream.requests.length, 2);
    assert.ok(galley.upstream.requests.every(({ url }) => url === '/up/x?fixed=yes'));
    assert.equal((await galley.request('POST', '/up/x')).status, 200); // makes both untrue
    assert.equal(await ask('de', 'd'), 'de');
    assert.equal(galley.upstream.requests.length, 4);
});

test('values of the configuration, of today and without secrets', async () => {
    const keys = { path: '/x', target: 'respond:200', response_header: 'set X-A {config.server.idle_timeout} {config.route x.target}' };
    const galley = await startGalley({ config: { 'route x': keys } });
    const value = async () => (await galley.request('GET', '/x')).headers['x-a'];
    assert.equal(await value(), '60s respond:200');
    await galley.configure({ 'route x': { ...keys, response_header: 'set X-A {config.cors.max_age}' }, cors: { max_age: '7min' } });
    await galley.reload();
    assert.equal(await value(), '7min');
    for (const name of ['auth.key', 'server.nothing', 'nowhere.key', 'server']) {
        await galley.configure({ 'route x': { ...keys, response_header: `set X-A {config.${name}}` } });
        const { status, stderr } = await runGalley(['check'], { cwd: galley.dir });
        assert.equal(status, 2, name);
        assert.match(stderr, /^config\.ini:\d+: \[route x\] \{config\.[a-z.]+\}: there is no such key, or it is secret$/m);
    }
});

test('a reload carries every change', async () => {
    const galley = await startGalley({ config: { 'route x': { path: '/x', target: 'respond:200', respond_body: 'x' } } });
    const header = async () => (await galley.request('GET', '/x')).headers;
    const configure = async (keys) => {
        await galley.configure({ 'route x': { path: '/x', target: 'respond:200', respond_body: 'x', ...keys } });
        await galley.reload();
    };
    assert.equal((await header()).sunset, undefined);
    await configure({ sunset: '2026-06-30', response_header: 'set X-A 1' });
    assert.equal((await header()).sunset, 'Tue, 30 Jun 2026 00:00:00 GMT');
    assert.equal((await header())['x-a'], '1');
    await configure({});
    assert.equal((await header())['x-a'], undefined);
});

test('what is no change is said with its line', async () => {
    const galley = await startGalley({});
    const wrong = async (keys, expected) => {
        await galley.configure({ 'route x': { path: '/a/{id}', target: 'respond:200', ...keys } });
        const { status, stderr } = await runGalley(['check'], { cwd: galley.dir });
        assert.equal(status, 2, JSON.stringify(keys));
        assert.match(stderr, expected);
    };
    await wrong({ request_header: 'put X-A 1' }, /^config\.ini:\d+: \[route x\] request_header: .*"put" is no change/m);
    await wrong({ request_header: 'set X-A {user.name}' }, /there is no place \{user.name\}/);
    await wrong({ request_header: 'set Host other' }, /Host is what the server itself says/);
    await wrong({ request_header: 'set X_User_Id 1' }, /X_User_Id is what the server itself says/);
    await wrong({ response_header: 'remove Content-Length' }, /Content-Length is what the server itself says/);
    await wrong({ response_header: 'set X:A 1' }, /"X:A" is no name of a header/);
    await wrong({ request_query: 'rename a' }, /rename a to what/);
    await wrong({ response_status: '200 as 304' }, /response_status/);
    await wrong({ deprecated: '2026-02-30' }, /"2026-02-30" is no day that there is/);
    await wrong({ sunset: 'tomorrow' }, /a day such as 2026-01-31/);
    await wrong({ deprecated: '2026-02-02', sunset: '2026-02-01' }, /^config\.ini:\d+: \[route x\] sunset is before deprecated$/m);
    await wrong({ successor: 'v2>; rel="x"' }, /is no URI/);
    await wrong({ response_header: Array(65).fill('add X-A 1') }, /at most 64 changes/);
});
