// What the front does when there is more to do than can be done at once.
import assert from 'node:assert/strict';
import test from 'node:test';

import { statusCounts } from '../lib/assertions.mjs';
import { eventually } from '../lib/galley.mjs';
import { FrontServer, parseAll } from '../lib/front_server.mjs';

const get = (target) => `GET ${target} HTTP/1.1\r\nHost: shop.example\r\n\r\n`;

async function holdAll(server, count) {
    const holders = [];
    for (let i = 0; i < count; i++) holders.push(await server.hold());
    return holders;
}

async function ask(server, target, from) {
    const connection = await server.connect(from);
    connection.send(get(target));
    const response = await connection.response();
    connection.destroy();
    return response;
}

test('what is critical is served while all workers are held', async (t) => {
    const server = await FrontServer.start(t, { workers: 4 });
    await holdAll(server, 4);
    assert.equal((await ask(server, '/critical')).status, 200);
    server.release(4);
});

test('what is critical is served at ten times the load that holds all workers', async (t) => {
    const server = await FrontServer.start(t, { workers: 4, queue_ms: 2000 });
    await holdAll(server, 4);
    const others = Array.from({ length: 40 }, () => ask(server, '/small'));
    await server.waitsFor(40);
    const critical = await Promise.all(Array.from({ length: 40 }, () => ask(server, '/critical')));
    assert.deepEqual(statusCounts(critical), { 200: 40 });
    assert.deepEqual(statusCounts(await Promise.all(others)), { 503: 40 }); // nobody has let go
    server.release(4);
});

test('who waits too long for a worker gets 503 with Retry-After', async (t) => {
    const server = await FrontServer.start(t, { workers: 2, queue_ms: 300 });
    await holdAll(server, 2);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(server, '/small')));
    for (const { status, headers } of answers) {
        assert.equal(status, 503);
        assert.equal(headers['retry-after'], '1');
    }
    server.release(2);
});

test('those who wait are served when a worker is free', async (t) => {
    const server = await FrontServer.start(t, { workers: 2 });
    await holdAll(server, 2);
    const waiting = Array.from({ length: 20 }, () => ask(server, '/small'));
    await server.waitsFor(20);
    server.release(2);
    for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 200);
});

// Requests for /later, once all of them await their answers.
async function later(server, count, before = 0) {
    const connections = [];
    for (let i = 0; i < count; i++) connections.push(await server.connect());
    for (const connection of connections) connection.send(get('/later'));
    while ((await server.stats()).awaited < before + count);
    return connections;
}

test('an answer that comes later holds no worker', async (t) => {
    const server = await FrontServer.start(t, { workers: 1 });
    const connections = await later(server, 40);
    assert.equal((await ask(server, '/small')).status, 200);
    assert.equal((await ask(server, '/resume')).status, 204);
    for (const connection of connections) {
        assert.equal((await connection.response()).status, 200);
        connection.send(get('/small')); // it goes on
        assert.equal((await connection.response()).status, 200);
    }
});

test('workers are of one priority, whoever starts them', async (t) => {
    const server = await FrontServer.start(t, { workers: 64 });
    const connections = [];
    for (let i = 0; i < 40; i++) {
        const [connection] = await later(server, 1, i); // one by one: few workers
        connections.push(connection);
    }
    assert.equal((await ask(server, '/resume')).status, 204);
    for (const connection of connections) assert.equal((await connection.response()).status, 200);
    await eventually('who has just begun has it too', () => server.niceness().length === 1);
});

test('an answer that has come is sent while all workers are held', async (t) => {
    const server = await FrontServer.start(t, { workers: 4 });
    const [waiting] = await later(server, 1);
    const critical = await server.connect();
    await holdAll(server, 4);
    critical.send(get('/resume-now'));
    assert.equal((await critical.response()).status, 204);
    assert.equal((await waiting.response()).status, 200);
    server.release(4);
});

test('answers that come later count a quarter of what runs of an address, and are not refused for waiting', async (t) => {
    const server = await FrontServer.start(t, { workers: 4, at_once: 2, queue_ms: 300 });
    const connections = await later(server, 7);
    assert.equal((await ask(server, '/small')).status, 200);
    connections.push(...await later(server, 1, 7));
    assert.equal((await ask(server, '/small')).status, 503);
    assert.equal((await ask(server, '/small', '127.0.0.2')).status, 200);
    assert.equal((await ask(server, '/resume', '127.0.0.2')).status, 204);
    for (const connection of connections) assert.equal((await connection.response()).status, 200);
});

test('a client that goes before its answer comes harms nobody', async (t) => {
    const server = await FrontServer.start(t, { workers: 2 });
    for (const connection of await later(server, 10)) connection.destroy();
    assert.equal((await ask(server, '/resume')).status, 204);
    while ((await server.stats()).connections > 1);
    assert.equal((await ask(server, '/small')).status, 200);
});

test('a stop gives answers that come later their time, and then leaves them', async (t) => {
    const server = await FrontServer.start(t, { workers: 2, drain_ms: 300 });
    server.exitStatus = 3;
    await later(server, 5);
    server.terminate();
    assert.equal(await server.line(/^running /), 'running 5');
    assert.equal(await server.exited, 3);
});

for (const held of [0, 1, 3]) {
    test(`beside ${held} handlers that take long nobody looks again and again for what to do`, async (t) => {
        const server = await FrontServer.start(t, { workers: 8 });
        await holdAll(server, held);
        await eventually('they sleep', async () => {
            const before = server.wakes();
            await new Promise((resolve) => setTimeout(resolve, 300));
            return server.wakes() - before < 50; // timers; to look once in a millisecond would be 300
        });
        assert.equal((await ask(server, '/small')).status, 200);
        server.release(held);
    });
}

test('of low priority is refused earlier than the others', async (t) => {
    const server = await FrontServer.start(t, { workers: 1, queue_ms: 10_000 });
    await holdAll(server, 1);
    const normal = ask(server, '/small');
    await server.waitsFor(1);
    assert.equal((await ask(server, '/low')).status, 503); // while the worker is still held
    server.release(1);
    assert.equal((await normal).status, 200);
});

test('one address runs no more handlers at once than it may; another is served at once', async (t) => {
    const server = await FrontServer.start(t, { workers: 8, at_once: 2 });
    await holdAll(server, 2);
    let served = false;
    const third = ask(server, '/small').then((answer) => {
        served = true;
        return answer;
    });
    assert.equal((await ask(server, '/small', '127.0.0.2')).status, 200);
    assert.equal(served, false);
    server.release(1);
    assert.equal((await third).status, 200);
    server.release(1);
});

test('a crowd of one address delays another by its turn, not by the crowd', async (t) => {
    const server = await FrontServer.start(t, { workers: 1, connections: 2000 });
    const [holder] = await holdAll(server, 1);
    const order = [];
    const crowd = Array.from({ length: 200 }, () =>
        ask(server, '/small', '127.0.0.2').then(() => order.push('crowd')));
    await server.waitsFor(200);
    const other = ask(server, '/small', '127.0.0.3').then(() => order.push('other'));
    await server.waitsFor(201);
    server.release(1);
    await Promise.all([...crowd, other]);
    assert.ok(order.indexOf('other') < 20, `served as number ${order.indexOf('other')}`);
    holder.destroy();
});

test('one client too many is told so', async (t) => {
    const server = await FrontServer.start(t, { workers: 8, connections: 2 });
    await holdAll(server, 2);
    const connection = await server.connect();
    const [{ status, headers }] = parseAll(await connection.untilClosed());
    assert.equal(status, 503);
    assert.equal(headers['retry-after'], '1');
    server.release(2);
});

test('one address takes a part of the memory for bodies', async (t) => {
    const MiB = 1 << 20;
    const server = await FrontServer.start(t, { body_memory: 8 * MiB });
    const upload = async (size, sent, from) => {
        const connection = await server.connect(from);
        connection.send(`POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(sent)}`);
        return connection;
    };
    const holders = [];
    for (let i = 0; i < 16; i++) holders.push(await upload(MiB, MiB - 1));
    const refused = await Promise.any(holders.map((connection) => connection.response()));
    assert.equal(refused.status, 503);
    for (let i = 0; i < 4; i++) {
        const answer = await (await upload(MiB, MiB, '127.0.0.2')).response();
        assert.equal(answer.status, 200);
    }
    for (const connection of holders) connection.destroy();
});

test('all bodies together take no more than there is memory for them', async (t) => {
    const MiB = 1 << 20;
    const server = await FrontServer.start(t, { body_memory: 8 * MiB });
    const upload = async (from, sent) => {
        const connection = await server.connect(from);
        connection.send(`POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${MiB}\r\n\r\n${'x'.repeat(sent)}`);
        return connection;
    };
    const holders = [];
    for (let i = 0; i < 12; i++) holders.push(await upload(`127.0.0.${i + 2}`, MiB - 1));
    const first = await Promise.any(holders.map(async (connection) => [connection, await connection.response()]));
    assert.equal(first[1].status, 503);
    for (const connection of holders) connection.destroy();
    await eventually('there is room again', async () => {
        const connection = await upload('127.0.0.20', MiB);
        const { status } = await connection.response();
        connection.destroy();
        return status === 200;
    });
});

test('a single body may take more than its part', async (t) => {
    const server = await FrontServer.start(t, { body_memory: 1 << 20 });
    const connection = await server.connect();
    connection.send(`POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 700000\r\n\r\n${'x'.repeat(700000)}`);
    assert.equal((await connection.response()).status, 200);
});

test('bodies that are awaited hold no worker', async (t) => {
    const server = await FrontServer.start(t, { workers: 2 });
    const slow = [];
    for (let i = 0; i < 20; i++) {
        const connection = await server.connect();
        connection.send(`POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: ${i % 2 ? 10 : 50_000}\r\n\r\nabc`);
        slow.push(connection);
    }
    assert.equal((await ask(server, '/small')).status, 200);
    for (const [i, connection] of slow.entries()) {
        connection.send('x'.repeat(i % 2 ? 7 : 49_997));
        assert.equal(JSON.parse((await connection.response()).body).bodyLength, i % 2 ? 10 : 50_000);
        connection.destroy();
    }
});

test('thousands of connections that wait hold no thread', async (t) => {
    const server = await FrontServer.start(t, { workers: 64, connections: 4000, cap: 4000 });
    const parked = await Promise.all(Array.from({ length: 2000 }, () => server.connect()));
    for (const connection of parked.slice(0, 200)) {
        connection.send(get('/small'));
        assert.equal((await connection.response()).status, 200);
    }
    assert.ok(server.threads() < 30, `${server.threads()} threads`);
    for (const connection of parked) connection.destroy();
});
