// Tokens made by hand, right and wrong.
import { createHash, createHmac } from 'node:crypto';

import { SIGNING_KEY } from './galley.mjs';

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

// Claims that pass, for alice, with changes; undefined leaves a claim out.
export function claims(changes = {}) {
    const now = Math.floor(Date.now() / 1000);
    return { sub: 'alice', roles: ['customer'], iss: 'galley', aud: 'galley', iat: now, exp: now + 600, ...changes };
}

// The name of a key: the beginning of its hash.
export const keyId = (key) => createHash('sha256').update(key).digest().subarray(0, 8).toString('base64url');

export const header = (changes = {}) => ({ alg: 'HS256', typ: 'JWT', kid: keyId(SIGNING_KEY), ...changes });

export function makeToken(payload = claims(), head = header(), { key = SIGNING_KEY, hash = 'sha256' } = {}) {
    const signed = `${encode(head)}.${encode(payload)}`;
    return `${signed}.${createHmac(hash, key).update(signed).digest('base64url')}`;
}
