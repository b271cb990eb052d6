// The change feed of declared collections: to each reader what a list would show him.
import assert from 'node:assert/strict';
import test from 'node:test';

import { startGalley, withDeadline } from '../lib/galley.mjs';
import { claims, makeToken } from '../lib/jwt.mjs';
import { openStream } from '../lib/sse.mjs';

const all = { create: 'user', update: 'user', delete: 'user' };
const config = {
    'collection posts': {
        ...all, id: 'client', owner: 'author', feed: 'yes', hidden: 'secret',
        list: 'published = true || author = @user.id', read: 'published = true || author = @user.id',
    },
    'collection notes': { ...all, id: 'client', list: 'public', read: 'public', feed: 'yes' },
    'collection pages': { ...all, id: 'client', list: 'public', read: 'public', feed: 'before' },
    'collection letters': { ...all, list: 'role:clerk', read: 'role:clerk', feed: 'yes' },
    'collection quiet': { ...all, list: 'public', read: 'public' },
};
const galley = await startGalley({ config });
const as = (sub, ...roles) => makeToken(claims({ sub, roles }));
const [ann, bob] = [as('ann'), as('bob')];
const path = (name, id) => `/api/v1/collections/${name}/${id}`;
const put = async (name, id, json, token = ann) => {
    const { status, raw } = await galley.request('PUT', path(name, id), { json, token });
    assert.ok(status === 200 || status === 201, raw.toString());
};
const remove = (name, id) => galley.request('DELETE', path(name, id), { token: ann });
const short = ({ data }) => [data.id, data.change, data.document?.title, data.before?.title];

async function follow(query, token) {
    const stream = await openStream(galley, `/api/v1/feed?${query}`, { token });
    assert.equal(stream.status, 200, stream.text);
    return stream;
}

test('each reader sees what a list would show him, and what leaves it is deleted', async () => {
    const [hers, his, nobodys] = [await follow('collections=posts', ann), await follow('collections=posts', bob), await follow('collections=posts')];
    await put('posts', 'p', { title: 'draft', published: false });
    await put('posts', 'p', { title: 'out', published: true });
    await put('posts', 'p', { title: 'better', published: true });
    await put('posts', 'p', { title: 'back', published: false });
    await put('posts', 'q', { title: 'never', published: false });
    await remove('posts', 'q');
    await put('posts', 'end', { title: 'end', published: true });
    for (const stream of [his, nobodys]) {
        await stream.until(4);
        assert.deepEqual(stream.events.map(short), [
            ['p', 'created', 'out', undefined],
            ['p', 'replaced', 'better', 'out'],
            ['p', 'deleted', undefined, 'better'],
            ['end', 'created', 'end', undefined],
        ]);
        assert.ok(!stream.text.includes('never') && !stream.text.includes('draft') && !stream.text.includes('back'));
    }
    await hers.until(7);
    assert.deepEqual(hers.events.map(({ data }) => data.change),
        ['created', 'replaced', 'replaced', 'replaced', 'created', 'deleted', 'created']);
    [hers, his, nobodys].forEach((stream) => stream.close());
});

test('a filter is asked of the document before and after', async () => {
    const stream = await follow(`collections=pages&filter=${encodeURIComponent('stars >= 3')}`);
    await put('pages', 'a', { title: 'a1', stars: 1 });
    await put('pages', 'a', { title: 'a2', stars: 3 });
    await put('pages', 'a', { title: 'a3', stars: 2 });
    await put('pages', 'b', { title: 'b', stars: 5 });
    await stream.until(3);
    assert.deepEqual(stream.events.map(short),
        [['a', 'created', 'a2', undefined], ['a', 'deleted', undefined, 'a2'], ['b', 'created', 'b', undefined]]);
    const wrong = await galley.request('GET', '/api/v1/feed?collections=pages&wait=0&filter=stars%20%3E%3E%203');
    assert.equal(wrong.status, 422);
    assert.equal(wrong.body.error.details[0].field, 'filter');
    stream.close();
});

test('without the document before, one that was replaced is told of as it is now', async () => {
    const stream = await follow('collections=notes');
    await put('notes', 'a', { title: 'a1' });
    await put('notes', 'a', { title: 'a2' });
    await remove('notes', 'a');
    await stream.until(3);
    assert.deepEqual(stream.events.map(short),
        [['a', 'created', 'a1', undefined], ['a', 'replaced', 'a2', undefined], ['a', 'deleted', undefined, 'a2']]);
    stream.close();
});

test('a filter asks nothing of hidden members, and nobody sees them', async () => {
    await galley.configure({ ...config, 'collection posts': { ...config['collection posts'], hidden: 'stars' } });
    await galley.reload();
    const filtered = await follow(`collections=posts&filter=${encodeURIComponent('stars = 5')}`, ann);
    const stream = await follow('collections=posts', ann);
    const bare = await galley.request('GET', '/api/v1/feed?collections=posts&since=0&wait=0', { token: ann });
    assert.ok(bare.body.data.length > 0 && !bare.raw.toString().includes('stars'));
    await put('posts', 'h', { title: 'h' });
    await stream.until(1);
    assert.equal(filtered.events.length, 0);
    await galley.configure(config);
    await galley.reload();
    await withDeadline('the end of the stream', stream.ended); // the rules may be others now
});

test('who may list nothing reads nothing', async () => {
    const ask = async (name, token) => (await galley.request('GET', `/api/v1/feed?collections=${name}&wait=0`, { token })).status;
    assert.equal(await ask('letters'), 401);
    assert.equal(await ask('letters', ann), 403);
    assert.equal(await ask('letters', as('kim', 'clerk')), 200);
    assert.equal(await ask('quiet', ann), 404);
    assert.equal(await ask('notes,letters', ann), 403);
    assert.equal(await ask('missing', as('eve', 'admin')), 404);
});
