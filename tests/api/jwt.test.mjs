// Tokens that must not pass, made with knowledge of the right key where that helps the attacker.
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { SIGNING_KEY, startGalley } from '../lib/galley.mjs';
import { claims, header, makeToken } from '../lib/jwt.mjs';

const galley = await startGalley();
const now = Math.floor(Date.now() / 1000);
const look = (authorization) =>
    galley.request('GET', '/products/17', { headers: authorization === undefined ? {} : { authorization } });

const good = makeToken();
const [head, payload, signature] = good.split('.');
const b64 = (text) => Buffer.from(text).toString('base64url');

const refused = {
    'a wrong key': makeToken(claims(), header(), { key: 'another key, also of more than 32 bytes' }),
    'no signature': `${head}.${payload}.`,
    'no signature part': `${head}.${payload}`,
    'a fourth part': `${good}.${signature}`,
    'a changed payload': `${head}.${b64(JSON.stringify(claims({ roles: ['admin'] })))}.${signature}`,
    'a cut signature': good.slice(0, -1),
    'a signature with padding': `${good}=`,
    'algorithm none': `${b64('{"alg":"none","typ":"JWT"}')}.${payload}.`,
    'algorithm none with a signature': makeToken(claims(), header({ alg: 'none' })),
    'a lower-case algorithm': makeToken(claims(), header({ alg: 'hs256' })),
    'another algorithm, rightly signed': makeToken(claims(), header({ alg: 'HS512' }), { hash: 'sha512' }),
    'an asymmetric algorithm': makeToken(claims(), header({ alg: 'RS256' })),
    'no algorithm': makeToken(claims(), header({ alg: undefined })),
    'an unknown key id': makeToken(claims(), header({ kid: 'other' })),
    'a critical extension': makeToken(claims(), header({ crit: ['exp'] })),
    'an unencoded payload': makeToken(claims(), header({ b64: false })),
    'a key of its own': makeToken(claims(), header({ jwk: { kty: 'oct', k: b64(SIGNING_KEY) } })),
    'a key from elsewhere': makeToken(claims(), header({ jku: 'http://127.0.0.1/keys' })),
    'a certificate from elsewhere': makeToken(claims(), header({ x5u: 'http://127.0.0.1/cert' })),
    'another type': makeToken(claims(), header({ typ: 'secevent+jwt' })),
    'two algorithms': makeToken(claims(), `{"alg":"none","alg":"HS256","kid":"${header().kid}"}`),
    'expired': makeToken(claims({ exp: now - 120 })),
    'no expiry': makeToken(claims({ exp: undefined })),
    'an expiry in quotes': makeToken(claims({ exp: String(now + 600) })),
    'not yet valid': makeToken(claims({ nbf: now + 120 })),
    'another issuer': makeToken(claims({ iss: 'somebody' })),
    'no issuer': makeToken(claims({ iss: undefined })),
    'another audience': makeToken(claims({ aud: 'somebody' })),
    'other audiences': makeToken(claims({ aud: ['somebody', 'else'] })),
    'no subject': makeToken(claims({ sub: undefined })),
    'an empty subject': makeToken(claims({ sub: '' })),
    'a subject that is a number': makeToken(claims({ sub: 1 })),
    'a NUL in the subject': makeToken(claims({ sub: 'alice\0bob' })),
    'an over-long subject': makeToken(claims({ sub: 'x'.repeat(129) })),
    'roles that are no strings': makeToken(claims({ roles: [1] })),
    'the same claim twice': makeToken(`{"sub":"bob","sub":"alice","iss":"galley","aud":"galley","exp":${now + 600}}`),
    'a payload that is no object': makeToken('[]'),
    'an over-long token': makeToken(claims({ padding: 'x'.repeat(5000) })),
    'nothing': '',
    'dots': '..',
};

for (const [name, token] of Object.entries(refused)) {
    test(`401: ${name}`, async () => {
        const answer = await look(`Bearer ${token}`);
        assertError(answer, 401, 'UNAUTHENTICATED');
        assert.match(answer.headers['www-authenticate'], /^Bearer .*error="invalid_token"/);
    });
}

test('401: no credentials, or of another scheme', async () => {
    for (const authorization of [undefined, 'Basic YWxpY2U6c2VjcmV0', good, `Token ${good}`]) {
        const answer = await look(authorization);
        assertError(answer, 401, 'UNAUTHENTICATED');
        assert.match(answer.headers['www-authenticate'], /^Bearer/);
    }
});

test('401: two Authorization fields', async () => {
    const connection = await galley.connect();
    connection.send(`GET /products/17 HTTP/1.1\r\nHost: x\r\n${`Authorization: Bearer ${good}\r\n`.repeat(2)}\r\n`);
    assertError(await connection.response(), 401, 'UNAUTHENTICATED');
    connection.destroy();
});

test('200: what the rules allow', async () => {
    const allowed = [
        good,
        makeToken(claims(), header({ typ: undefined })),
        makeToken(claims({ aud: ['other', 'galley'] })),
        makeToken(claims({ exp: now - 30 })), // within the leeway of a minute
        makeToken(claims({ nbf: now + 30 })),
        makeToken(claims({ roles: undefined })),
    ];
    for (const token of allowed) assert.equal((await look(`Bearer ${token}`)).status, 200, token);
    assert.equal((await look(`bearer ${good}`)).status, 200);
});

test('a token of another server, with a key of its own, does not pass', async () => {
    const other = await startGalley({ config: { auth: { key: 'the key of quite another server, long' } } });
    assertError(await look(`Bearer ${await other.login()}`), 401, 'UNAUTHENTICATED');
});

test('the key that was made at the first start is private and is kept', async () => {
    const fresh = await startGalley({ config: { auth: null } });
    const { mode, size } = await stat(path.join(fresh.dataDir, 'signing.key'));
    assert.deepEqual([mode & 0o777, size], [0o600, 64]);
    const token = await fresh.login();
    await fresh.restart();
    assert.equal((await fresh.request('GET', '/products/17', { token })).status, 200);
});
