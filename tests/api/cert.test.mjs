// `galley cert dev`, read by somebody else's TLS.
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import tls from 'node:tls';

import { runGalley } from '../lib/galley.mjs';

async function directory(t) {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'galley-cert-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    return dir;
}

// Makes one and reads what was written.
async function make(t, ...args) {
    const cwd = await directory(t);
    const { status, stdout, stderr } = await runGalley(['cert', 'dev', ...args], { cwd });
    assert.equal(status, 0, stderr);
    const read = (name) => readFile(path.join(cwd, 'tls', name), 'utf8');
    return { cwd, stdout, cert: await read('dev.crt'), key: await read('dev.key'), ca: await read('dev-ca.crt') };
}

// The name that a client which trusts `ca` accepts.
async function visit(server, ca, servername) {
    const client = tls.connect({ port: server.address().port, host: '127.0.0.1', ca, servername });
    try {
        await once(client, 'secureConnect');
        return client.authorized;
    } finally {
        client.destroy();
    }
}

test('a client that trusts the authority accepts the certificate for each host', async (t) => {
    const { cert, key, ca } = await make(t, 'shop.test', '*.shop.test');
    const server = tls.createServer({ cert, key }).listen(0, '127.0.0.1');
    server.on('connection', (socket) => socket.on('error', () => {}));
    t.after(() => server.close());
    await once(server, 'listening');
    for (const name of ['localhost', 'shop.test', 'www.shop.test']) assert.equal(await visit(server, ca, name), true);
    await assert.rejects(visit(server, ca, 'other.test'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    await assert.rejects(visit(server, [], 'localhost'), /certificate/);
});

test('the certificate is for localhost and what was asked for, each once', async (t) => {
    const { cert } = await make(t, 'shop.test', '192.0.2.1', 'localhost', 'shop.test');
    const leaf = new X509Certificate(cert);
    assert.equal(leaf.subjectAltName.replaceAll('0:0:0:0:0:0:0:1', '::1'),
        'DNS:localhost, IP Address:127.0.0.1, IP Address:::1, DNS:shop.test, IP Address:192.0.2.1');
    assert.equal(leaf.ca, false);
    assert.equal(leaf.publicKey.asymmetricKeyDetails.namedCurve, 'prime256v1');
});

function daysLeft(cert) {
    return Math.round((Date.parse(new X509Certificate(cert).validTo) - Date.now()) / 86_400_000);
}

test('it lives for two years, or for as many days as are asked for', async (t) => {
    assert.equal(daysLeft((await make(t)).cert), 730);
    assert.equal(daysLeft((await make(t, '--days', '5')).cert), 5);
});

test('the authority signs nothing else: its key is nowhere', async (t) => {
    const { cert, key, ca } = await make(t);
    const authority = new X509Certificate(ca);
    assert.equal(authority.ca, true);
    assert.ok(new X509Certificate(cert).verify(authority.publicKey));
    assert.equal((key.match(/BEGIN/g) ?? []).length, 1);
    assert.ok(new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)));
});

test('nobody else may read the key', async (t) => {
    const { cwd } = await make(t);
    assert.equal((await stat(path.join(cwd, 'tls/dev.key'))).mode & 0o777, 0o600);
});

test('it prints the lines for config.ini', async (t) => {
    const { stdout } = await make(t, '--dir', 'tls');
    assert.match(stdout, /^\[listener tls\]$/m);
    assert.match(stdout, /^tls_cert = tls\/dev\.crt$/m);
    assert.match(stdout, /^tls_key = tls\/dev\.key$/m);
});

test('those lines are a configuration', async (t) => {
    const { cwd, stdout } = await make(t);
    const lines = /\[listener tls\][^]*?\n\n/.exec(stdout)[0];
    await writeFile(path.join(cwd, 'config.ini'), lines);
    const { status, stderr } = await runGalley(['check'], { cwd });
    assert.equal(status, 0, stderr);
});

test('what is there stays, unless it is forced', async (t) => {
    const { cwd, cert } = await make(t);
    const again = await runGalley(['cert', 'dev'], { cwd });
    assert.equal(again.status, 1);
    assert.match(again.stderr, /tls\/dev\.crt: is there already; --force/);
    assert.equal(await readFile(path.join(cwd, 'tls/dev.crt'), 'utf8'), cert);
    assert.equal((await runGalley(['cert', 'dev', '--force'], { cwd })).status, 0);
    assert.notEqual(await readFile(path.join(cwd, 'tls/dev.crt'), 'utf8'), cert);
});

test('each of the files is kept from being overwritten', async (t) => {
    const { cwd } = await make(t);
    for (const name of ['dev.crt', 'dev-ca.crt']) await rm(path.join(cwd, 'tls', name));
    const again = await runGalley(['cert', 'dev'], { cwd });
    assert.equal(again.status, 1);
    assert.match(again.stderr, /dev\.key: is there already/);
});

test('a directory that cannot be made is told', async (t) => {
    const cwd = await directory(t);
    await writeFile(path.join(cwd, 'file'), '');
    const { status, stderr } = await runGalley(['cert', 'dev', '--dir=file'], { cwd });
    assert.equal(status, 1);
    assert.match(stderr, /^galley cert: file: cannot be made/);
});

test('what is no host or option is refused with the usage', async (t) => {
    const cwd = await directory(t);
    for (const args of [['a..b'], ['-x'], ['https://a.test'], ['a,DNS:b'], [''], ['*.*.test'], ['--dir'], ['--dir='], ['--dirt', 'a'],
        ['--days'], ['--days=0'], ['--days', '826'], ['--days', '1d']]) {
        const { status, stderr } = await runGalley(['cert', 'dev', ...args], { cwd });
        assert.equal(status, 2, args.join(' '));
        assert.match(stderr, /usage: galley cert dev/);
    }
    assert.equal((await runGalley(['cert'], { cwd })).status, 2);
    await assert.rejects(stat(path.join(cwd, 'tls')));
});
