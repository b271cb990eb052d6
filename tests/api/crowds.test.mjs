// Crowds that hold a server up: slow, silent or vanished clients by the thousand. Others are served.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';

import { beginCrowd, runCrowd } from '../lib/crowd.mjs';
import { FrontServer } from '../lib/front_server.mjs';
import { eventually, freePort, startGalley } from '../lib/galley.mjs';

const CROWD = Number(process.env.CROWD ?? 1000);
const ADDRESSES = 100; // that a crowd comes from
// Who is not served at all waits for a deadline of ten seconds; who is, for a busy machine.
const SERVED_MS = 1000;

const SERVER = {
    workers: 64, connections: CROWD + 500, connections_per_address: CROWD, body_rate: '0', idle_timeout: '1h',
};

const dir = mkdtempSync(path.join(os.tmpdir(), 'galley-cert-'));
after(() => rmSync(dir, { recursive: true }));
const cert = path.join(dir, 'dev.crt'), key = path.join(dir, 'dev.key');
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
    '-days', '2', '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' });

// A galley that many may connect to, with and without TLS: { galley, ports: { plain, tls } }.
async function startForCrowds() {
    const tls = await freePort();
    const galley = await startGalley({
        config: {
            server: SERVER,
            'listener tls': { address: `127.0.0.1:${tls}`, tls_cert: cert, tls_key: key },
        },
    });
    return { galley, ports: { plain: galley.port, tls } };
}

// Well-behaved clients from other addresses: some that stay and some that come anew for each request.
async function assertOthersAreServed(port, options = {}) {
    const common = { sources: 4, first_source: 1001, clients: 4, seconds: 2, path: '/products', ...options };
    const [staying, coming] = await Promise.all([
        runCrowd('ask', port, { ...common, every_ms: 20 }),
        runCrowd('open', port, common),
    ]);
    for (const [who, seen] of Object.entries({ staying, coming })) {
        const what = `${who}: ${JSON.stringify(seen)}`;
        assert.ok(seen.failed === 0 && seen.lost === 0, what);
        assert.ok(seen.answers > 50, what);
        assert.ok(seen.p99_ms < SERVED_MS, what);
    }
}

const over = (tls) => (tls ? ' over TLS' : '');

const slow = {
    heads: { path: '/products' },
    bodies: { path: '/auth/login', size: 1000000 },
};

for (const [kind, options] of Object.entries(slow)) {
    for (const tls of [0, 1]) {
        test(`${CROWD} slow ${kind}${over(tls)}: others are served`, async () => {
            const { ports } = await startForCrowds();
            const port = tls ? ports.tls : ports.plain;
            const crowd = await beginCrowd(kind, port, { clients: CROWD, sources: ADDRESSES, tls, ...options });
            assert.equal(crowd.failed, 0);
            await assertOthersAreServed(port, { tls });
            await crowd.end();
        });
    }
}

test(`${CROWD} slow handshakes: others are served`, async () => {
    const { ports } = await startForCrowds();
    const crowd = await beginCrowd('hellos', ports.tls, { clients: CROWD, sources: ADDRESSES });
    assert.equal(crowd.failed, 0);
    await assertOthersAreServed(ports.tls, { tls: 1 });
    await assertOthersAreServed(ports.plain);
    await crowd.end();
});

const startFront = (t, tls) => FrontServer.start(t, { connections: CROWD + 500, cap: CROWD, workers: 16 }, tls ? { FRONT_TLS_DIR: dir } : {});

for (const tls of [0, 1]) {
    test(`${CROWD} slow readers${over(tls)}: others are served`, async (t) => {
        const server = await startFront(t, tls);
        const crowd = await beginCrowd('readers', server.port,
            { clients: CROWD, sources: ADDRESSES, path: '/down?size=10000000', tls });
        assert.equal(crowd.failed, 0);
        await assertOthersAreServed(server.port, { path: '/small', tls });
        await crowd.end();
    });

    test(`${CROWD} streams${over(tls)}: each event reaches all of them, and they hold no thread`, async (t) => {
        const server = await startFront(t, tls);
        const crowd = await beginCrowd('sse', server.port, { clients: CROWD, sources: ADDRESSES, path: '/tick', seconds: 3, tls });
        assert.equal(crowd.settled, CROWD);
        const seen = await crowd.finish();
        assert.equal(seen.lost, 0);
        assert.ok(seen.answers >= 2 * CROWD, JSON.stringify(seen));
        assert.ok(seen.max_ms < (tls ? 5 : 1) * SERVED_MS, JSON.stringify(seen)); // the first while others still shake hands
        assert.ok(threads(server.child.pid) < 16 + 20);
    });
}

for (const tls of [0, 1]) {
    test(`${CROWD} idle connections${over(tls)} hold no thread and stay`, async () => {
        const { galley, ports } = await startForCrowds();
        const port = tls ? ports.tls : ports.plain;
        const crowd = await beginCrowd('idle', port, { clients: CROWD, sources: ADDRESSES, tls });
        assert.equal(crowd.settled, CROWD);
        await assertOthersAreServed(port, { tls });
        assert.ok(await galley.metric('galley_connections') >= CROWD);
        assert.ok(threads(galley.pid) < 64 + 20, `${threads(galley.pid)} threads`);
        const { standing, lost } = await crowd.end();
        assert.deepEqual({ standing, lost }, { standing: CROWD, lost: 0 });
        await eventually('their places are free', async () => await galley.metric('galley_connections') < 50);
    });
}

function threads(pid) {
    return Number(execFileSync('sh', ['-c', `ls /proc/${pid}/task | wc -l`]));
}

test('a client that vanishes in the middle of its answer is given up after the deadline', async (t) => {
    const server = await FrontServer.start(t, { body_ms: 500 });
    const crowd = await beginCrowd('gone', server.port, { clients: 20, path: '/big?size=20000000' });
    assert.equal(crowd.settled, 20);
    for (let i = 0; i < 20; i++) assert.match(await server.line(/^outcome /), /^outcome 2 /); // SENT_TIMEOUT
    await crowd.end();
});

test('a client that vanishes while it waits for news is given up too', async (t) => {
    const server = await FrontServer.start(t, { body_ms: 1000 });
    const crowd = await beginCrowd('gone', server.port, { clients: 20, path: '/tick' });
    assert.equal(crowd.settled, 20);
    for (let i = 0; i < 20; i++) assert.match(await server.line(/^outcome /), /^outcome [12] /); // SENT_GONE: a reset, or SENT_TIMEOUT
    await crowd.end();
});
