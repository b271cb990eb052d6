// The example as somebody who tries it meets it: its script shows each part, and says when one is not so.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';

import { binary, freePort } from '../../tests/lib/galley.mjs';

const show = path.resolve('examples/gateway/show.sh');
const PORTS = [8080, 9101, 9102, 9103, 9104, 9105]; // of config.ini

const isFree = (port) => new Promise((resolve) => {
    const probe = net.createServer().once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
});

// What to add to all of them so that nobody else has one.
async function freeShift() {
    for (;;) {
        const shift = await freePort() - PORTS[0];
        const free = await Promise.all(PORTS.map((port) => port + shift < 65536 && isFree(port + shift)));
        if (free.every(Boolean)) return shift;
    }
}

test('the example of a gateway shows what it says', async () => {
    const env = { ...process.env, GALLEY: binary, SHIFT: await freeShift() };
    const { status, stdout, stderr } = await new Promise((resolve) => {
        execFile(show, { env, timeout: 300_000 }, (error, ...texts) =>
            resolve({ status: error ? error.code ?? error.signal : 0, stdout: texts[0], stderr: texts[1] }));
    });
    assert.equal(status, 0, stdout + stderr);
    for (const part of ['Who may', 'canary', 'Versions', 'Limits', 'Several answers', 'in time', 'A server that goes', 'Cache']) {
        assert.match(stdout, new RegExp(part));
    }
    assert.doesNotMatch(stdout + stderr, /NOT SO/);
});
