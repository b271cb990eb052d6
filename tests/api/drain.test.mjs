// Stopping: what is in flight is answered, what was answered is kept.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';

import { eventually, startGalley } from '../lib/galley.mjs';

// Orders one after the other until the server is gone; returns the number of orders that it acknowledged.
async function buyUntilGone(galley, token, counts) {
    const agent = new http.Agent({ keepAlive: true });
    try {
        for (;;) {
            const { status } = await galley.request('POST', '/place-order',
                { token, agent, json: { productId: 1, qty: 1 } });
            if (status !== 201) return assert.equal(status, 503);
            counts.acknowledged++;
        }
    } catch (error) {
        assert.match(error.code ?? error.message, /ECONNREFUSED|ECONNRESET|EPIPE/); // not taken on any more
    } finally {
        agent.destroy();
    }
}

test('SIGTERM under load: every order that was executed was also acknowledged', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    const counts = { acknowledged: 0 };
    const buyers = Array.from({ length: 16 }, () => buyUntilGone(galley, token, counts));
    await eventually('there is load', () => counts.acknowledged > 200);
    await galley.stop();
    await Promise.all(buyers);

    await galley.start();
    const { body } = await galley.request('GET', '/products/1', { token });
    assert.equal(1000000 - body.stock, counts.acknowledged);
    assert.equal((await galley.mails()).length, counts.acknowledged);
});

test('a request that has begun when SIGTERM comes is answered', async () => {
    const galley = await startGalley();
    const token = await galley.login();
    const body = '{"productId":2,"qty":1}';
    const connection = await galley.connect();
    connection.send(`POST /place-order HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n`
        + `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`);
    await eventually('the head has arrived', () => galley.metric('galley_connections').then((n) => n >= 2));
    const stopped = galley.stop();
    await eventually('nobody new gets in', () => galley.connect().then((other) => other.destroy(), () => true));
    connection.send(body);
    const answer = await connection.response();
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.connection, 'close');
    await connection.untilClosed();
    await stopped;
});

test('with a drain_delay a stop goes on serving with /readyz at 503, newcomers too, and then ends', async () => {
    const galley = await startGalley({ config: { server: { drain_delay: '3s' } } });
    const token = await galley.login();
    const begin = Date.now(), stopped = galley.terminate();
    const status = async (target) => (await galley.request('GET', target, { token, agent: false })).status;
    await eventually('it is not ready', async () => (await status('/readyz')) === 503);
    assert.equal(await status('/healthz'), 200);
    const order = await galley.request('POST', '/place-order', { token, json: { productId: 3, qty: 1 } });
    assert.equal(order.status, 201);
    assert.notEqual(order.headers.connection, 'close'); // that is for when it stops accepting
    assert.equal((await stopped).code, 0);
    assert.ok(Date.now() - begin >= 3000);
    await assert.rejects(galley.connect());
});

test('idle connections do not hold a stop up', async () => {
    const galley = await startGalley({ config: { server: { drain_timeout: '10min' } } });
    const idle = await Promise.all(Array.from({ length: 10 }, () => galley.connect()));
    const used = await galley.connect();
    used.send('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal((await used.response()).status, 200);
    await galley.stop();
    for (const connection of [...idle, used]) await connection.untilClosed();
});

test('SIGINT stops it in the same way', async () => {
    const galley = await startGalley();
    assert.equal((await galley.terminate('SIGINT')).code, 0);
});

test('a stop that has to cut something says so with its exit status', async () => {
    const galley = await startGalley({ config: { server: { drain_timeout: '0s' } } });
    const connection = await galley.connect();
    connection.send('POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n');
    await eventually('the head has arrived', () => galley.metric('galley_connections').then((n) => n >= 2));
    assert.equal((await galley.terminate()).code, 1);
    connection.destroy();
});

test('a second signal ends it at once', async () => {
    const galley = await startGalley({ config: { server: { drain_timeout: '10min', body_timeout: '10min' } } });
    const connection = await galley.connect();
    connection.send('POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n');
    await eventually('the head has arrived', () => galley.metric('galley_connections').then((n) => n >= 2));
    galley.child.kill('SIGTERM');
    await eventually('it is stopping', () => galley.log().includes('stopping'));
    assert.equal((await galley.terminate('SIGTERM')).signal, 'SIGTERM');
    connection.destroy();
});
