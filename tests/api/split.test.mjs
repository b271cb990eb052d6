// Several targets with a share of the requests each: canaries.
import assert from 'node:assert/strict';
import test from 'node:test';

import { runGalley, startGalley } from '../lib/galley.mjs';
import { startUpstream } from '../lib/upstream.mjs';

async function startSplit(weights, keys = {}) {
    const servers = await Promise.all(['old', 'new'].map((name) => startUpstream((request, response) => response.end(name))));
    return startGalley({
        config: {
            'upstream old': { server: servers[0].address },
            'upstream new': { server: servers[1].address },
            'route split': { path: '/x', target: [`upstream:old weight=${weights[0]}`, `upstream:new weight=${weights[1]}`], ...keys },
        },
    });
}

async function count(galley, times, headers = {}) {
    const counts = { old: 0, new: 0 };
    for (let i = 0; i < times; i++) counts[(await galley.request('GET', '/x', { headers })).body]++;
    return counts;
}

test('requests are shared by weight, evenly over time', async () => {
    const galley = await startSplit([9, 1]);
    for (let round = 0; round < 3; round++) {
        const { new: canary } = await count(galley, 100);
        assert.ok(canary >= 8 && canary <= 12, `${canary} of 100`);
    }
});

test('a weight of 0 gets nothing, and a reload changes the shares', async () => {
    const galley = await startSplit([1, 0]);
    assert.deepEqual(await count(galley, 20), { old: 20, new: 0 });
    const [, old, fresh] = /server = (\S+)[^]*server = (\S+)/.exec(
        await (await import('node:fs/promises')).readFile(`${galley.dir}/config.ini`, 'utf8'));
    await galley.configure({
        'upstream old': { server: old }, 'upstream new': { server: fresh },
        'route split': { path: '/x', target: ['upstream:old weight=0', 'upstream:new'] },
    });
    await galley.reload();
    assert.deepEqual(await count(galley, 20), { old: 0, new: 20 });
});

test('a browser stays where it is by a cookie', async () => {
    const galley = await startSplit([1, 1], { sticky: 'cookie' });
    const seen = new Set();
    for (let browser = 0; browser < 8; browser++) {
        const first = await galley.request('GET', '/x');
        const [cookie] = first.headers['set-cookie'];
        assert.match(cookie, /^galley-split=\d+; Path=\/; HttpOnly; SameSite=Lax$/);
        seen.add(first.body);
        const headers = { cookie: `other=1; ${cookie.split(';')[0]}` };
        for (let i = 0; i < 5; i++) {
            const again = await galley.request('GET', '/x', { headers });
            assert.equal(again.body, first.body);
            assert.equal(again.headers['set-cookie'], undefined);
        }
    }
    assert.equal(seen.size, 2);
    for (const bad of ['galley-split=99999', 'galley-split=-1', 'galley-split=', 'galley-split=x']) {
        assert.equal((await galley.request('GET', '/x', { headers: { cookie: bad } })).headers['set-cookie'].length, 1);
    }
});

test('an address, and a user, stays where it is', async () => {
    const galley = await startSplit([1, 1], { sticky: 'address' });
    const { old } = await count(galley, 10);
    assert.ok(old === 0 || old === 10);
    const users = await startSplit([1, 1], { sticky: 'user', signed_in: 'yes' });
    const token = await users.login();
    const bodies = new Set();
    for (let i = 0; i < 10; i++) bodies.add((await users.request('GET', '/x', { token })).body);
    assert.equal(bodies.size, 1);
});

test('targets of other kinds share too, and what does not fit is said', async () => {
    const galley = await startGalley({
        config: { 'route a': { path: '/x', target: ['respond:200 weight=1', 'respond:503 weight=1'], respond_body: 'here' } },
    });
    const statuses = new Set();
    for (let i = 0; i < 6; i++) statuses.add((await galley.request('GET', '/x')).status);
    assert.deepEqual([...statuses].sort(), [200, 503]);
    const wrong = async (target, expected) => {
        await galley.configure({ 'route x': { path: '/a', target } });
        const { status, stderr } = await runGalley(['check'], { cwd: galley.dir });
        assert.equal(status, 2, stderr);
        assert.match(stderr, expected);
    };
    await wrong(['respond:200 weight=0'], /\[route x\] target: at most 8, with a weight above 0 in all/);
    await wrong(['respond:200 weight=2000'], /weight=0 to weight=1000/);
    await wrong(['respond:200', 'app:shop'], /\[route x\] target: app: has all requests or none/);
    await wrong(['respond:200', 'upstream:none'], /\[route x\] target: there is no \[upstream none\]/);
    await wrong(Array(9).fill('respond:200'), /target: at most 8/);
});
