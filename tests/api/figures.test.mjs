// What routes and servers have answered, how fast and how much, and where the time of a request went.
import assert from 'node:assert/strict';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';
import { passingOn, startUpstream } from '../lib/upstream.mjs';

// Answers as the path says: /up/404/1000 with that status and so many bytes, from /chunked/... of unknown length.
const answering = () => startUpstream((request, response) => {
    const [, , kind, size] = request.url.split('/');
    response.statusCode = Number(kind) || 200;
    if (kind === 'chunked') response.write('');
    response.end('x'.repeat(Number(size)));
});

test('routes and servers have their counts, codes, bytes and percentiles', async () => {
    const galley = await startGalley(passingOn(await answering(), { retries: 0 }));
    const admin = await galley.administrator();
    for (const [target, status] of [['200/1000', 200], ['200/100000', 200], ['chunked/70000', 200], ['404/10', 404], ['503/5', 503]]) {
        assert.equal((await galley.request('GET', `/up/${target}`)).status, status);
    }
    const route = await eventually('the last answer counts', async () => {
        const found = (await admin.get('routes')).body.data.find(({ pattern }) => pattern === '/up/*');
        return found.codes[503] && found;
    });
    assert.deepEqual(route.codes, { 200: 3, 404: 1, 503: 1 });
    assert.ok(route.bytes >= 171015 && route.bytes < 171100, `${route.bytes} bytes and some of chunks`);
    const { requests, refused, failed, bytes, p50, p95, p99 } = route.recent;
    assert.deepEqual({ requests, refused, failed, bytes }, { requests: 5, refused: 1, failed: 1, bytes: route.bytes });
    assert.ok(p50 > 0 && p50 <= p95 && p95 <= p99, JSON.stringify(route.recent));

    const [{ servers: [server] }] = (await admin.get('upstreams')).body.data;
    assert.deepEqual(server.codes, { '2xx': 3, '4xx': 1, '5xx': 1 });
    assert.equal(server.bytes, 171015);
    assert.ok(server.p50 > 0 && server.p50 <= server.p95 && server.p95 <= server.p99, JSON.stringify(server));
});

test('bytes of a try that failed are its server\'s alone', async () => {
    const half = await startUpstream((request, response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('x'.repeat(50), () => request.socket.end());
    });
    const gone = await startUpstream();
    await gone.stop();
    const galley = await startGalley(passingOn([half, gone], { retries: 1 }));
    const admin = await galley.administrator();
    assert.equal((await galley.request('GET', '/up/x')).status, 502);
    const [{ servers }] = (await admin.get('upstreams')).body.data;
    assert.deepEqual(servers.map(({ bytes }) => bytes), [50, 0]);
});

test('in development an answer says where its time went, and a client never hears it otherwise', async () => {
    const up = await answering();
    const config = (development, more = {}) => passingOn(up, {}, {}, { server: { listen: '127.0.0.1:0', data: './data', development }, ...more });
    const galley = await startGalley(config('yes', { shop: { seed: 'yes' }, 'route shop': { path: '/*', target: 'app:shop' } }));
    const times = async (target, options) => {
        const { headers } = await galley.request('GET', target, options);
        return Object.fromEntries(headers['server-timing'].split(', ').map((one) => one.split(';dur=')).map(([name, ms]) => [name, Number(ms)]));
    };
    const passed = await times('/up/200/10');
    assert.ok(passed.upstream > 0 && passed.upstream <= passed.target && passed.target <= passed.total, JSON.stringify(passed));
    assert.ok('queue' in passed);
    const own = await times('/products/17', { token: await galley.login() });
    assert.ok(own.auth > 0 && !('upstream' in own), JSON.stringify(own));
    assert.ok('total' in await times('/nothing/here/at/all'));

    await galley.configure(config('no').config);
    await galley.reload();
    assert.equal((await galley.request('GET', '/up/200/10')).headers['server-timing'], undefined);
});
