// Tokens made by hand, right and wrong.
import { createHmac } from 'node:crypto';

import { SIGNING_KEY } from './galley.mjs';

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

// Claims that pass, for alice, with changes; undefined leaves a claim out.
export function claims(changes = {}) {
    const now = Math.floor(Date.now() / 1000);
    return { sub: 'alice', roles: ['customer'], iss: 'galley', aud: 'galley', iat: now, exp: now + 600, ...changes };
}

export function makeToken(payload = claims(), { header = { alg: 'HS256', typ: 'JWT' }, key = SIGNING_KEY, hash = 'sha256' } = {}) {
    const signed = `${encode(header)}.${encode(payload)}`;
    return `${signed}.${createHmac(hash, key).update(signed).digest('base64url')}`;
}
