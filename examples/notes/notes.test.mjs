// The module notes from outside: request, answer, state afterwards.
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';

import { eventually, startGalley } from '../../tests/lib/galley.mjs';
import { claims, makeToken } from '../../tests/lib/jwt.mjs';

const binary = path.resolve(process.env.GALLEY_TOOLS ?? 'build/dev/tests', 'galley-notes');
const galley = await startGalley({ binary, config: { 'route notes': { path: '/notes/*', target: 'app:notes' } } });
const token = await galley.login();

test('who is signed in adds, finds, lists and drops', async () => {
    const made = await galley.request('POST', '/notes', { token, json: { text: 'hello' } });
    assert.equal(made.status, 201);
    const { location } = made.headers;
    const found = await galley.request('GET', location, { token });
    assert.deepEqual(found.body, { id: made.body.id, owner: 'alice', text: 'hello' });
    const { body } = await galley.request('GET', '/notes', { token });
    assert.deepEqual(body.data, [found.body]);
    assert.equal((await galley.request('DELETE', location, { token })).status, 204);
    assert.equal((await galley.request('GET', location, { token })).status, 404);
});

test('nobody sees what is another\'s', async () => {
    const made = await galley.request('POST', '/notes', { token, json: { text: 'mine' } });
    const bob = makeToken(claims({ sub: 'bob' }));
    assert.equal((await galley.request('GET', made.headers.location, { token: bob })).status, 404);
    assert.deepEqual((await galley.request('GET', '/notes', { token: bob })).body.data, []);
    assert.equal((await galley.request('GET', '/notes')).status, 401);
});

test('who wants to be reminded gets an e-mail, unless the entry was dropped', async () => {
    const add = async (text) => (await galley.request('POST', '/notes', { token, json: { text, remindAfterSeconds: 1 } })).headers.location;
    const kept = await add('water the plants');
    await galley.request('DELETE', await add('buy plants'), { token });
    await eventually('the job has run', async () => await galley.metric('galley_queue_jobs{queue="notes",state="completed"}') === 2);
    const mails = await galley.mails();
    assert.equal(mails.length, 1);
    assert.match(mails[0], /^To: alice@example\.com$/m);
    assert.match(mails[0], /water the plants/);
    assert.equal((await galley.request('GET', kept, { token })).body.reminded, true);
});

test('what does not fit is refused with the field', async () => {
    const { status, body } = await galley.request('POST', '/notes', { token, json: { text: '' } });
    assert.equal(status, 422);
    assert.equal(body.error.details[0].field, 'text');
});
