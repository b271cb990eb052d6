// Signing in and out, registering: what users do about themselves.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';

const logout = (galley, token) => galley.request('POST', '/auth/logout', { token });
const me = (galley, token) => galley.request('GET', '/users/me', { token });
const register = (galley, json) => galley.request('POST', '/auth/register', { json });

test('signing out ends this token and no other, also after a restart', async () => {
    const galley = await startGalley();
    const [one, other] = [await galley.login(), await galley.login()];
    assert.equal((await logout(galley, one)).status, 204);
    assertError(await me(galley, one), 401, 'UNAUTHENTICATED');
    assert.equal((await me(galley, other)).status, 200);
    await galley.restart();
    assertError(await me(galley, one), 401, 'UNAUTHENTICATED');
    assert.equal((await me(galley, other)).status, 200);
});

test('users sign in where no [route] section mounts anything', async () => {
    const galley = await startGalley({ config: { 'route shop': null } });
    assert.equal((await me(galley, await galley.login())).body.username, 'alice');
});

test('nobody registers unless the configuration says so', async () => {
    const galley = await startGalley();
    assertError(await register(galley, { username: 'bob', password: 'a long secret' }), 404, 'NOT_FOUND');
});

test('who registers gets the roles of the configuration, and signs in', async () => {
    const galley = await startGalley({ config: { auth: { register: 'yes', register_roles: 'customer, tester' } } });
    const jörg = { username: 'Jörg', password: 'a long secret', name: 'Jörg Müller', email: 'joerg@example.com' };
    const made = await register(galley, jörg);
    assert.equal(made.status, 201);
    assert.equal(made.headers.location, '/users/me');
    const { id, createdAt, ...profile } = made.body;
    assert.ok(id && createdAt);
    assert.deepEqual(profile, {
        username: 'Jörg', name: 'Jörg Müller', email: 'joerg@example.com', roles: ['customer', 'tester'],
    });
    assert.deepEqual((await me(galley, await galley.login('Jörg', 'a long secret'))).body, made.body);
    assertError(await register(galley, jörg), 409, 'USERNAME_TAKEN');
});

test('who registers is told everything that is wrong', async () => {
    const galley = await startGalley({ config: { auth: { register: 'yes' } } });
    const refused = async (change, field) => {
        const answer = await register(galley, { username: 'bob', password: 'a long secret', ...change });
        assert.equal(assertError(answer, 422, 'VALIDATION_ERROR').details[0].field, field);
    };
    await refused({ username: 'two words' }, 'username');
    await refused({ username: 'a\u202eb' }, 'username');
    await refused({ password: 'short' }, 'password');
    await refused({ name: 'a\nb' }, 'name');
    await refused({ email: 'nowhere' }, 'email');
    await refused({ roles: ['admin'] }, 'roles');
});
