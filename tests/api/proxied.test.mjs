// Behind a balancer or a proxy: who a client really is, to limits and the log.
import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import tls from 'node:tls';

import { makeCertificates } from '../lib/certificates.mjs';
import { eventually, startGalley } from '../lib/galley.mjs';
import { RawConnection } from '../lib/raw.mjs';

const V2 = Buffer.concat([Buffer.from('\r\n\r\n\0\r\nQUIT\n'), Buffer.from([0x21, 0x11, 0, 12]),
    Buffer.from([192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x34, 0, 80])]);
const V1 = Buffer.from('PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\r\n');
const LOCAL = Buffer.concat([V2.subarray(0, 12), Buffer.from([0x20, 0, 0, 0])]);
const request = (target, fields = '') => `GET ${target} HTTP/1.1\r\nHost: shop.test\r\n${fields}\r\n`;

const portOf = (galley, name) => Number(new RegExp(`:(\\d+) \\(${name}\\)$`, 'm').exec(galley.stdout)[1]);

function start(server, listener = {}) {
    const balanced = { address: '127.0.0.1:0', proxy_protocol: 'yes', ...listener };
    return startGalley({ config: { server, 'listener balanced': balanced } });
}

// From whom the log says that a request for this path came.
async function loggedAddress(galley, path) {
    const find = () => galley.log().split('\n').find((text) => text.includes('"access"') && text.includes(`"${path}"`));
    await eventually(`${path} is logged`, find);
    return JSON.parse(find()).address;
}

for (const [name, header, address] of [['v1', V1, '192.0.2.7'], ['v2', V2, '192.0.2.7'], ['of the balancer itself', LOCAL, '127.0.0.1']]) {
    test(`a PROXY header ${name} says who the client is, in one piece or byte by byte`, async () => {
        const galley = await start({ trusted_proxies: '127.0.0.1' });
        for (const pieces of [[header], [...header].map((byte) => Buffer.from([byte]))]) {
            const connection = await RawConnection.open(portOf(galley, 'balanced'));
            const target = `/nosuch/${pieces.length}`;
            for (const piece of pieces) {
                connection.send(piece);
                if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve));
            }
            connection.send(request(target));
            assert.equal((await connection.response()).status, 404);
            connection.send(request('/healthz')); // no header before the next one
            assert.equal((await connection.response()).status, 200);
            connection.destroy();
            assert.equal(await loggedAddress(galley, target), address);
        }
    });
}

test('what does not begin with a PROXY header, or comes from who is not trusted, is closed unanswered', async () => {
    const galley = await start({ trusted_proxies: '127.0.0.1' });
    const said = async (bytes, from) => {
        const connection = await RawConnection.open(portOf(galley, 'balanced'), '127.0.0.1', from);
        connection.send(bytes);
        return connection.untilClosed();
    };
    assert.equal(await said(request('/healthz')), '');
    assert.equal(await said('PROXY TCP4 192.0.2.7 127.0.0.1 4660 80\n'), '');
    assert.match(await said(V1 + request('/healthz', 'Connection: close\r\n')), /^HTTP\/1\.1 200/);
    assert.equal(await said(V1 + request('/healthz'), '127.0.0.2'), '');
});

test('a PROXY header that does not end has the time of a head', async () => {
    const galley = await start({ trusted_proxies: '127.0.0.1', head_timeout: '300ms' });
    const connection = await RawConnection.open(portOf(galley, 'balanced'));
    connection.send(V2.subarray(0, 20));
    assert.equal(await connection.untilClosed(), '');
});

test('TLS comes behind the PROXY header', async (t) => {
    const { cert, key, ca } = await makeCertificates();
    const galley = await start({ trusted_proxies: '127.0.0.1' }, { tls_cert: cert, tls_key: key });
    const socket = net.connect(portOf(galley, 'balanced'), '127.0.0.1');
    t.after(() => socket.destroy());
    socket.write(V2);
    const secure = tls.connect({ socket, ca, servername: 'localhost' });
    secure.write(request('/nosuch/tls', 'Connection: close\r\n'));
    const text = (await secure.setEncoding('latin1').toArray()).join('');
    assert.match(text, /^HTTP\/1\.1 404/);
    assert.equal(await loggedAddress(galley, '/nosuch/tls'), '192.0.2.7');
});

test('the connections of a client behind a balancer have a cap of their own', async () => {
    const galley = await start({ trusted_proxies: '127.0.0.1', connections_per_address: 2 });
    const open = async (last) => {
        const connection = await RawConnection.open(portOf(galley, 'balanced'));
        connection.send(`PROXY TCP4 192.0.2.${last} 127.0.0.1 4660 80\r\n${request('/healthz')}`);
        assert.equal((await connection.response()).status, 200);
        return connection;
    };
    const [first] = [await open(7), await open(7)], others = [];
    for (let last = 8; last < 18; last++) others.push(await open(last));
    assert.equal(first.closed, false);
    others.push(await open(7));
    assert.equal(await first.untilClosed(), ''); // whose client has one more
    for (const connection of others) {
        connection.send(request('/healthz'));
        assert.equal((await connection.response()).status, 200);
        connection.destroy();
    }
});

test('limits and the log speak of the client whom a trusted proxy names', async () => {
    const galley = await startGalley({ config: { server: { trusted_proxies: '127.0.0.1', address_limit: '2/min burst 2' } } });
    const ask = async (client, target) =>
        (await galley.request('GET', target, { headers: { 'x-forwarded-for': client } })).status;
    assert.equal(await ask('198.51.100.1, 192.0.2.7', '/nosuch/a'), 404); // what the client itself says counts for nothing
    assert.equal(await loggedAddress(galley, '/nosuch/a'), '192.0.2.7');
    assert.equal(await ask('192.0.2.7', '/nosuch/b'), 404);
    assert.equal(await ask('198.51.100.9, 192.0.2.7', '/nosuch/c'), 429);
    assert.equal(await ask('192.0.2.8', '/nosuch/d'), 404);
});
