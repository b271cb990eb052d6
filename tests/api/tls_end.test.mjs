// However a TLS connection ends, its client is told that it has (close_notify): what ends without may
// have been cut by somebody in between. openssl's client complains where that is missing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import test from 'node:test';

import { makeCertificates } from '../lib/certificates.mjs';
import { eventually, withDeadline } from '../lib/galley.mjs';

process.env.FRONT_TLS_DIR = (await makeCertificates()).dir;
const { FrontServer } = await import('../lib/front_server.mjs');

const request = (target, fields = '') => `GET ${target} HTTP/1.1\r\nHost: shop.example\r\n${fields}\r\n`;

class OpensslClient {
    static async connect(t, server) {
        const client = new OpensslClient();
        const args = ['s_client', '-connect', `127.0.0.1:${server.port}`, '-quiet', '-no_ign_eof', '-verify_quiet',
            '-CAfile', `${process.env.FRONT_TLS_DIR}/dev-ca.crt`];
        client.child = spawn('openssl', args);
        t.after(() => client.child.kill('SIGKILL'));
        client.received = client.said = '';
        client.child.stdout.on('data', (bytes) => (client.received += bytes));
        client.child.stderr.on('data', (bytes) => (client.said += bytes));
        client.child.stdin.on('error', () => {});
        client.exited = new Promise((resolve) => client.child.on('close', resolve));
        return client;
    }

    send(text) {
        this.child.stdin.write(text);
    }

    answered() {
        return eventually('an answer', () => this.received.includes('\r\n\r\n'));
    }

    // Ends once the server has; says whether in order.
    async ended() {
        await withDeadline('the end', this.exited);
        return !/unexpected eof|errno|reset/i.test(this.said);
    }
}

async function open(t, settings) {
    const server = await FrontServer.start(t, settings);
    return [server, await OpensslClient.connect(t, server)];
}

test('the client of these tests notices an end without it', async (t) => {
    const [server, client] = await open(t);
    client.send(request('/'));
    await client.answered();
    server.child.kill('SIGKILL');
    server.exited = Promise.resolve(0); // as is meant
    assert.equal(await client.ended(), false);
});

test('after the last answer', async (t) => {
    const [, client] = await open(t);
    client.send(request('/', 'Connection: close\r\n'));
    assert.equal(await client.ended(), true, client.said);
    assert.match(client.received, /^HTTP\/1\.1 200/);
});

test('after a refusal', async (t) => {
    const [, client] = await open(t);
    client.send('hello\r\n\r\n');
    assert.equal(await client.ended(), true, client.said);
    assert.match(client.received, /^HTTP\/1\.1 400/);
});

test('after a head that took too long', async (t) => {
    const [, client] = await open(t, { head_ms: 2000 });
    client.send('GET / HTTP/1.1\r\n');
    assert.equal(await client.ended(), true, client.said);
    assert.match(client.received, /^HTTP\/1\.1 408/);
});

test('when the client says nothing', async (t) => {
    const [, client] = await open(t, { head_ms: 300 });
    assert.equal(await client.ended(), true, client.said);
    assert.equal(client.received, '');
});

test('when the client has nothing more to say', async (t) => {
    const [, client] = await open(t, { idle_ms: 300 });
    client.send(request('/'));
    assert.equal(await client.ended(), true, client.said);
    assert.match(client.received, /^HTTP\/1\.1 200/);
});

test('when it makes room for another', async (t) => {
    const [server, client] = await open(t, { cap: 1 });
    client.send(request('/'));
    await client.answered();
    const newcomer = await server.connect();
    assert.equal(await client.ended(), true, client.said);
    newcomer.destroy();
});

test('when the server stops', async (t) => {
    const [server, client] = await open(t);
    client.send(request('/'));
    await client.answered();
    server.terminate();
    assert.equal(await client.ended(), true, client.said);
});

test('at the end of a stream', async (t) => {
    const [server, client] = await open(t);
    client.send(request('/stream'));
    await client.answered();
    server.terminate();
    assert.equal(await client.ended(), true, client.said);
});

test('a handshake that does not come to its end is cut by the deadline of a head', async (t) => {
    const { default: net } = await import('node:net');
    const server = await FrontServer.start(t, { head_ms: 300 });
    const socket = net.connect(server.port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1])); // the beginning of a hello
    await withDeadline('the cut', new Promise((resolve) => socket.on('close', resolve)));
    const other = await server.connect();
    other.destroy();
});

test('of a crowd that shakes hands at once nobody is taken for slow', async (t) => {
    const server = await FrontServer.start(t, { workers: 2 });
    const answers = await Promise.all(Array.from({ length: 300 }, async () => {
        const connection = await server.connect();
        connection.send(request('/', 'Connection: close\r\n'));
        return connection.response();
    }));
    for (const answer of answers) assert.equal(answer?.status, 200);
});
