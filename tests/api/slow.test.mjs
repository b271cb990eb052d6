// Slow clients are their own problem.
import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';

import { startGalley } from '../lib/galley.mjs';

// Sends a request at a byte a second, and another connection's worth whenever it is cut off.
class SlowClient {
    constructor(port) {
        this.port = port;
        this.open();
    }

    open() {
        this.at = 0;
        this.socket = net.connect(this.port, '127.0.0.1');
        this.socket.on('error', () => {}); // cut off: 'close' follows
        this.socket.on('close', () => !this.stopped && this.open());
        this.ready = new Promise((resolve) => this.socket.once('connect', resolve));
        this.sendByte();
    }

    sendByte() {
        const text = `POST /auth/login HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(1000)}\r\n\r\n`;
        this.socket.write(text[this.at++ % text.length]);
    }

    stop() {
        this.stopped = true;
        this.socket.destroy();
    }
}

// Runs `meanwhile` with `count` slow clients on the server.
async function besideSlowClients(galley, count, meanwhile) {
    const slow = Array.from({ length: count }, () => new SlowClient(galley.port));
    const pace = setInterval(() => slow.forEach((client) => client.sendByte()), 1000);
    try {
        await Promise.all(slow.map((client) => client.ready));
        await meanwhile();
    } finally {
        clearInterval(pace);
        slow.forEach((client) => client.stop());
    }
}

test('1000 connections at a byte a second: others are served', async () => {
    const galley = await startGalley({ config: { server: { workers: 1024, connections_per_address: 512 } } });
    const token = await galley.login();
    await besideSlowClients(galley, 1000, async () => {
        for (let i = 0; i < 30; i++) {
            // A new connection each: they have to get in as well.
            const { status } = await galley.request('POST', '/place-order',
                { token, agent: false, json: { productId: 1, qty: 1 } });
            assert.equal(status, 201);
        }
    });
});

test('few workers, all held by slow connections: others are served', async () => {
    const galley = await startGalley({ config: { server: { workers: 8 } } });
    await besideSlowClients(galley, 100, async () => {
        for (let i = 0; i < 10; i++) {
            assert.equal((await galley.request('GET', '/healthz', { agent: false })).status, 200);
        }
    });
});

test('408: a head or a body that does not end in time', async () => {
    const galley = await startGalley({ config: { server: { head_timeout: '500ms', body_timeout: '500ms' } } });
    for (const text of ['GET /healthz HT', 'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{']) {
        const connection = await galley.connect();
        connection.send(text);
        assert.equal((await connection.response()).status, 408);
        await connection.untilClosed();
    }
});

test('an idle connection is closed without a word', async () => {
    const galley = await startGalley({ config: { server: { idle_timeout: '500ms' } } });
    const connection = await galley.connect();
    connection.send('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal((await connection.response()).status, 200);
    assert.equal(await connection.untilClosed(), '');
});
