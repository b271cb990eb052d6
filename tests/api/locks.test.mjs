// Locks that have a name: one holder at a time, numbers that only grow.
import assert from 'node:assert/strict';
import test from 'node:test';

import { eventually, runGalley, startGalley, withDeadline } from '../lib/galley.mjs';
import { claims, makeToken } from '../lib/jwt.mjs';

const config = { 'route locks': { path: '/api/v1/locks/*', target: 'app:locks', roles: 'service' } };
const token = makeToken(claims({ sub: 'robot', roles: ['service'] }));
const clientOf = (galley) => {
    const call = (method, path, json) => galley.request(method, `/api/v1/locks/${path}`, { json, token, agent: false });
    return {
        take: (name, json = {}) => call('POST', name, json),
        renew: (name, json) => call('POST', `${name}/renew`, json),
        release: (name, held) => call('POST', `${name}/release`, { token: held }),
        show: (name) => call('GET', name),
    };
};

async function held(locks, name, json) {
    const answer = await locks.take(name, json);
    assert.equal(answer.status, 200, answer.raw.toString());
    return answer.body;
}

test('a lock is taken once, and free again when it was released', async () => {
    const locks = clientOf(await startGalley({ config }));
    const first = await held(locks, 'deploy');
    assert.deepEqual([first.name, first.fence], ['deploy', 1]);
    assert.match(first.token, /^[0-9a-f]{32}$/);
    const refused = await locks.take('deploy');
    assert.equal(refused.status, 409);
    assert.equal(refused.body.error.code, 'LOCKED');
    assert.ok(Number(refused.headers['retry-after']) > 0);
    const { body } = await locks.show('deploy');
    assert.deepEqual([body.held, body.holder, body.fence, body.token], [true, 'robot', 1, undefined]);
    assert.equal((await held(locks, 'other')).fence, 2);
    assert.equal((await locks.release('deploy', first.token)).status, 200);
    assert.deepEqual((await locks.show('deploy')).body, { name: 'deploy', held: false });
    assert.equal((await held(locks, 'deploy')).fence, 3);
});

test('only the token that holds a lock renews and releases it', async () => {
    const locks = clientOf(await startGalley({ config }));
    const { token: own, expiresAt, fence } = await held(locks, 'a', { leaseMs: 60_000 });
    const renewed = await locks.renew('a', { token: own, leaseMs: 3_600_000 });
    assert.equal(renewed.status, 200);
    assert.deepEqual([renewed.body.fence, renewed.body.token], [fence, own]);
    assert.ok(renewed.body.expiresAt > expiresAt);
    for (const answer of [await locks.renew('a', { token: 'f'.repeat(32) }), await locks.release('a', 'f'.repeat(32)), await locks.release('b', own)]) {
        assert.deepEqual([answer.status, answer.body.error.code], [409, 'STALE_LEASE']);
    }
    assert.equal((await locks.release('a', own)).status, 200);
    assert.equal((await locks.renew('a', { token: own })).status, 409);
});

test('a lease that is over is another holder\'s, and the one before is told so', async () => {
    const locks = clientOf(await startGalley({ config }));
    const first = await held(locks, 'a', { leaseMs: 100 });
    const second = await held(locks, 'a', { waitMs: 60_000 }); // waits for no release
    assert.ok(second.fence > first.fence);
    assert.equal((await locks.renew('a', { token: first.token })).body.error.code, 'STALE_LEASE');
    assert.equal((await locks.release('a', first.token)).body.error.code, 'STALE_LEASE');
    assert.equal((await locks.show('a')).body.fence, second.fence);
});

test('who waits gets the lock when it is released, or is refused when his time is over', async () => {
    const galley = await startGalley({ config });
    const locks = clientOf(galley);
    const { token: own } = await held(locks, 'a');
    const refused = await locks.take('a', { waitMs: 50 });
    assert.equal(refused.body.error.code, 'LOCKED');
    const waiting = held(locks, 'a', { waitMs: 60_000 });
    await eventually('it waits', async () => (await galley.metric('galley_lock_waits')) === 1);
    await locks.release('a', own);
    assert.equal((await withDeadline('the lock', waiting)).fence, 2);
});

test('many that wait hold the lock one after the other, and hold no thread', async () => {
    const galley = await startGalley({ config: { ...config, server: { listen: '127.0.0.1:0', workers: 4 } } });
    const locks = clientOf(galley);
    let holders = 0;
    const fences = [];
    await Promise.all(Array.from({ length: 30 }, async () => {
        const { token: own, fence } = await held(locks, 'a', { waitMs: 60_000, leaseMs: 60_000 });
        assert.equal(++holders, 1);
        fences.push(fence);
        await galley.request('GET', '/healthz');
        assert.equal(--holders, 0);
        assert.equal((await locks.release('a', own)).status, 200);
    }));
    assert.deepEqual(fences, [...fences].sort((a, b) => a - b));
    assert.equal(new Set(fences).size, 30);
});

test('a stop does not wait for those who wait', async () => {
    const galley = await startGalley({ config });
    const locks = clientOf(galley);
    await held(locks, 'a');
    const waiting = locks.take('a', { waitMs: 60_000 });
    await eventually('it waits', async () => (await galley.metric('galley_lock_waits')) === 1);
    await galley.stop();
    assert.equal((await waiting).body.error.code, 'LOCKED');
});

test('over kill -9 locks stay held, and numbers only grow', async () => {
    const galley = await startGalley({ config });
    const locks = clientOf(galley);
    let last = 0;
    for (let kill = 0; kill < 4; kill++) {
        const names = await Promise.all(['x', 'y', 'z'].map((name) => held(locks, `${name}${kill}`, { leaseMs: 3_600_000 })));
        for (const { fence } of names) assert.ok(fence > last);
        last = Math.max(...names.map(({ fence }) => fence));
        await locks.release(`y${kill}`, names[1].token);
        const racing = Array.from({ length: 20 }, (_, i) => locks.take(`r${kill}-${i}`).catch(() => {}));
        await galley.kill9();
        const answers = (await Promise.all(racing)).filter((answer) => answer?.status === 200);
        await galley.start();
        last = Math.max(last, ...answers.map(({ body }) => body.fence));
        assert.equal((await locks.take(`x${kill}`)).status, 409);
        assert.equal((await locks.renew(`x${kill}`, { token: names[0].token })).status, 200);
        assert.equal((await locks.show(`y${kill}`)).body.held, false);
    }
});

test('nobody is told to serve locks who does not', async () => {
    const galley = await startGalley();
    const { status, stdout, stderr } = await runGalley(['check'], { cwd: galley.dir });
    assert.deepEqual([status, /locks/.test(stdout + stderr)], [0, false]);
    assert.equal((await clientOf(galley).take('a')).status, 404);
});

test('a repeated Idempotency-Key gets the same lock', async () => {
    const galley = await startGalley({ config });
    const take = () => galley.request('POST', '/api/v1/locks/a', { json: {}, token, headers: { 'idempotency-key': 'k' } });
    const [first, again] = [await take(), await take()];
    assert.deepEqual([first.status, again.status, again.headers['idempotency-replayed']], [200, 200, 'true']);
    assert.equal(again.body.token, first.body.token);
});

test('what is asked wrongly is refused precisely', async () => {
    const galley = await startGalley({ config });
    const locks = clientOf(galley);
    const field = ({ status, body }) => [status, body.error.details[0].field];
    assert.deepEqual(field(await locks.take('a', { leaseMs: 99 })), [422, 'leaseMs']);
    assert.deepEqual(field(await locks.take('a', { waitMs: 60_001 })), [422, 'waitMs']);
    assert.deepEqual(field(await locks.take('%23', {})), [422, 'name']);
    assert.deepEqual(field(await locks.take('a'.repeat(129), {})), [422, 'name']);
    assert.deepEqual(field(await locks.renew('a', {})), [422, 'token']);
    assert.equal((await held(locks, 'a'.repeat(128))).fence, 1);
    const customer = await galley.login();
    const ask = (as) => galley.request('POST', '/api/v1/locks/a', { json: {}, token: as });
    assert.equal((await ask(customer)).status, 403);
    assert.equal((await ask()).status, 401);
});
