// Servers that come and go while Galley runs: behind names, and in a file.
import assert from 'node:assert/strict';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { startDns } from '../lib/dns.mjs';
import { eventually, startGalley } from '../lib/galley.mjs';
import { passingOn, startUpstream } from '../lib/upstream.mjs';

const named = (name, host = '127.0.0.1', port = 0) =>
    startUpstream((request, response) => response.end(name), { listen: { port, host } });

const quiet = { check: 'no', slow_start: '0ms' };
const ask = (galley) => galley.request('GET', '/up/x');

async function servers(galley) {
    const { raw } = await galley.request('GET', '/metrics');
    return [...raw.toString().matchAll(/^galley_upstream_up\{upstream="up",server="([^"]+)"\}/gm)].map(([, name]) => name);
}

test('a name is looked up as often as DNS says, and each address is a server', async () => {
    const a = await named('a', '127.0.0.2'), b = await named('b', '127.0.0.3', a.port);
    const dns = await startDns({ 'api.test': { A: ['127.0.0.2'], ttl: 1 } });
    const galley = await startGalley(passingOn([`api.test:${a.port}`],
        { ...quiet, resolver: dns.address, resolve_local: 'yes' }));
    assert.equal((await ask(galley)).body, 'a'); // the start has waited for it
    assert.deepEqual(await servers(galley), [`127.0.0.2:${a.port}`]);

    dns.names = { 'api.test': { A: ['127.0.0.3', '127.0.0.2'], ttl: 1 } };
    await eventually('both are there', async () => (await servers(galley)).length === 2);
    assert.deepEqual(new Set([(await ask(galley)).body, (await ask(galley)).body]), new Set('ab'));

    dns.names = { 'api.test': { A: ['127.0.0.3'], ttl: 1 } };
    await eventually('one has gone', async () => (await servers(galley)).length === 1);
    for (let i = 0; i < 4; i++) assert.equal((await ask(galley)).body, 'b');
});

test('a name server that is gone, or knows the name no more, takes no server away', async () => {
    const a = await named('a', '127.0.0.2');
    const dns = await startDns({ 'api.test': { A: ['127.0.0.2'], ttl: 1 } });
    const galley = await startGalley(passingOn([`api.test:${a.port}`],
        { ...quiet, resolver: dns.address, resolve_local: 'yes' }));
    assert.equal((await ask(galley)).body, 'a');
    dns.names = {};
    await eventually('it was asked in vain', () => /api.test: no address is found/.test(galley.log()));
    assert.equal((await ask(galley)).body, 'a');
    await galley.configure(passingOn([`api.test:${a.port}`],
        { ...quiet, resolver: dns.address, resolve_local: 'yes', keepalive: 5 }).config);
    await galley.reload(); // and neither does a reload
    assert.equal((await ask(galley)).body, 'a');
});

test('a name that leads to this machine is not followed unless that is wanted', async () => {
    const a = await named('a');
    const dns = await startDns({ 'evil.test': { A: ['127.0.0.1', '169.254.169.254'], ttl: 1 } });
    const galley = await startGalley(passingOn([`evil.test:${a.port}`], { ...quiet, resolver: dns.address }));
    assert.equal((await ask(galley)).status, 503);
    assert.deepEqual(await servers(galley), []);
    await eventually('it is said', () => /evil.test: all its addresses are local/.test(galley.log()));
    assert.equal(a.connections, 0);
});

test('a service name brings ports, weights and priorities', async () => {
    const a = await named('a', '127.0.0.2'), b = await named('b', '127.0.0.3');
    const dns = await startDns({
        '_http._tcp.test': { SRV: [[10, 3, a.port, 'one.test'], [20, 1, b.port, 'two.test']], ttl: 1 },
        'one.test': { A: ['127.0.0.2'] },
        'two.test': { A: ['127.0.0.3'] },
    });
    const galley = await startGalley(passingOn(['_http._tcp.test'],
        { ...quiet, resolver: dns.address, resolve_local: 'yes' }));
    const post = await galley.administrator();
    const { body } = await post.get('upstreams');
    assert.deepEqual(body.data[0].servers.map(({ server, weight, backup }) => [server, weight, backup]), [
        [a.address.replace('.1:', '.2:'), 3, false],
        [b.address.replace('.1:', '.3:'), 1, true],
    ]);
    assert.equal((await ask(galley)).body, 'a');
    await a.stop();
    assert.equal((await ask(galley)).body, 'b');
});

test('servers of a file come and go with it, and a damaged one changes nothing', async () => {
    const a = await named('a'), b = await named('b');
    const galley = await startGalley(passingOn([], { ...quiet, servers_file: 'servers.json' }));
    assert.equal((await ask(galley)).status, 503);
    const write = async (text) => { // at once, as those who generate it do
        await writeFile(path.join(galley.dir, 'next.json'), typeof text === 'string' ? text : JSON.stringify(text));
        await rename(path.join(galley.dir, 'next.json'), path.join(galley.dir, 'servers.json'));
    };
    await write({ servers: [{ address: a.address, weight: 2, zone: 'here' }] });
    await eventually('the first is there', async () => (await servers(galley)).length === 1);
    assert.equal((await ask(galley)).body, 'a');
    await write({ servers: [{ address: a.address, backup: true }, { address: b.address }] });
    await eventually('both are there', async () => (await servers(galley)).length === 2);
    assert.equal((await ask(galley)).body, 'b');
    for (const [text, why] of [
        ['{"servers": [', 'servers.json: '],
        [{ servers: [{ address: 'localhost:80' }] }, '"localhost:80" is no ADDRESS:PORT'],
    ]) {
        const before = galley.log().length;
        await write(text);
        await eventually(why, () => galley.log().slice(before).includes(JSON.stringify(why).slice(1, -1)));
        assert.equal((await servers(galley)).length, 2);
        await write({ servers: [{ address: a.address }, { address: b.address }] });
        await eventually('it is read again', () => galley.log().slice(before).includes('has 2 servers'));
    }
});

test('servers register, say so again, leave, and go when they are silent', async () => {
    const KEY = 'a key of sixteen bytes';
    const a = await named('a'), b = await named('b');
    const config = passingOn([], { ...quiet, register_key: KEY }).config;
    const galley = await startGalley({ config });
    const say = (body, key = KEY, upstream = 'up') =>
        galley.request('POST', `/api/v1/upstreams/${upstream}/servers`, { token: key, json: body });
    assert.equal((await ask(galley)).status, 503);
    for (const [status, ...what] of [
        [401, { address: a.address, ttlMs: 1000 }, 'another key of the length'],
        [404, { address: a.address, ttlMs: 1000 }, KEY, 'nobody'],
        [422, { address: 'localhost:80', ttlMs: 1000 }],
        [422, { address: a.address }],
        [422, { address: a.address, ttlMs: 1000, weight: 0 }],
    ]) assert.equal((await say(...what)).status, status, JSON.stringify(what));
    assert.deepEqual(await servers(galley), []);

    assert.equal((await say({ address: a.address, ttlMs: 3_600_000 })).status, 204);
    assert.equal((await ask(galley)).body, 'a');
    assert.equal((await say({ address: b.address, ttlMs: 100, backup: true })).status, 204);
    await eventually('the silent one has gone', async () => (await servers(galley)).length === 1);
    await galley.configure({ ...config, 'upstream up': { ...config['upstream up'], keepalive: 3 } });
    await galley.reload();
    assert.equal((await ask(galley)).body, 'a');
    assert.equal((await say({ address: a.address, ttlMs: 0 })).status, 204);
    assert.equal((await ask(galley)).status, 503);
});

test('without a register_key nobody registers', async () => {
    const a = await named('a');
    const galley = await startGalley(passingOn(a, quiet));
    const answer = await galley.request('POST', '/api/v1/upstreams/up/servers',
        { token: '', json: { address: '127.0.0.1:1', ttlMs: 1000 } });
    assert.equal(answer.status, 404);
    assert.deepEqual(await servers(galley), [a.address]);
});
