// Who is served by address: allow and deny.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { runGalley, startGalley } from '../lib/galley.mjs';

const behindProxy = { trusted_proxies: '127.0.0.1' };
const open = { path: '/open', target: 'respond:200', respond_body: 'x' };

const ask = (galley, target, from) => galley.request('GET', target, { headers: { 'x-forwarded-for': from } });

async function refusals(galley, by, from) {
    const { raw } = await ask(galley, '/metrics', from);
    return Number(new RegExp(`^galley_address_refusals_total\\{by="${by}"\\} (\\d+)$`, 'm').exec(raw)[1]);
}

test('a route lets those it allows, but for those it denies', async () => {
    const galley = await startGalley({
        config: {
            server: behindProxy,
            'route closed': {
                path: '/closed', target: 'respond:200', respond_body: 'x', allow: '10.0.0.0/8, 2001:db8::/32', deny: ['10.0.0.66', '2001:db8:bad::/48'],
            },
            'route open': open,
        },
    });
    const statuses = async (target, list) => Promise.all(list.map(async (from) => (await ask(galley, target, from)).status));
    assert.deepEqual(
        await statuses('/closed', ['10.1.2.3', '10.0.0.66', '11.0.0.1', '2001:db8::1', '2001:db8:bad::1', '2001:db9::1']),
        [200, 403, 403, 200, 403, 403],
    );
    assert.deepEqual(await statuses('/open', ['10.0.0.66', '11.0.0.1']), [200, 200]);
    assertError(await ask(galley, '/closed', '11.0.0.1'), 403, 'FORBIDDEN');
    assert.equal(await refusals(galley, 'route', '10.1.2.3'), 5);
    assert.equal(await refusals(galley, 'server', '10.1.2.3'), 0);
});

test('the server serves nothing to those it denies, whatever they ask for', async () => {
    const galley = await startGalley({ config: { server: { ...behindProxy, deny: '192.0.2.0/24' }, 'route open': open } });
    for (const target of ['/open', '/healthz', '/metrics', '/nothing']) {
        const answer = await ask(galley, target, '192.0.2.9');
        assertError(answer, 403, 'FORBIDDEN');
        assert.equal(answer.headers.connection, 'close');
    }
    assert.equal((await ask(galley, '/open', '192.0.3.9')).status, 200);
    assert.equal(await refusals(galley, 'server', '10.1.2.3'), 4);
});

test('a reload changes both lists, and reaches the server that allows nobody here', async () => {
    const galley = await startGalley({ config: { server: { allow: '192.0.2.1' }, 'route open': open } });
    assert.equal((await galley.request('GET', '/open')).status, 403);
    const { status } = await runGalley(['reload'], { cwd: galley.dir });
    assert.equal(status, 0);
    await galley.configure({ server: { allow: 'loopback' }, 'route open': { ...open, deny: '127.0.0.1' } });
    await galley.reload();
    assert.equal((await galley.request('GET', '/open')).status, 403);
    assert.equal((await galley.request('GET', '/healthz')).status, 200);
    await galley.configure({ 'route open': open });
    await galley.reload();
    assert.equal((await galley.request('GET', '/open')).status, 200);
});

test('what is no network is said with its line', async () => {
    const galley = await startGalley({});
    await galley.configure({ 'route x': { ...open, deny: '10.0.0.1/8' } });
    const { status, stderr } = await runGalley(['check'], { cwd: galley.dir });
    assert.equal(status, 2);
    assert.match(stderr, /^config\.ini:\d+: \[route x\] deny: read "10\.0\.0\.1\/8"/m);
});
