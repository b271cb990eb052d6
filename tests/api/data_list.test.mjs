// Collections that config.ini declares: lists.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';
import { claims, makeToken } from '../lib/jwt.mjs';

const config = {
    'collection posts': {
        id: 'client', index: ['stars, title', 'author', 'tags[]', 'pin'], unique: 'slug', owner: 'author', hidden: 'pin',
        list: 'public', read: 'owner, role:editor', create: 'user', delete: 'owner',
    },
    'collection news': {
        id: 'client', index: 'at', list: 'status = "public" || author = @user.id', read: 'public', create: 'user', owner: 'author',
    },
    'collection many': { id: 'client', list: 'public', read: 'public', create: 'public' },
    'collection unlisted': { read: 'public' },
    'collection own': { list: 'owner', read: 'owner', owner: 'by' },
};
const galley = await startGalley({ config });
const as = (sub, ...roles) => makeToken(claims({ sub, roles }));
const [ann, bob, editor] = [as('ann'), as('bob'), as('eve', 'editor')];
const send = (method, path, json, token) => galley.request(method, `/api/v1/collections/${path}`, { json, token });
const list = (path, token = editor) => send('GET', path, undefined, token);
const ids = ({ status, body, raw }) => {
    assert.equal(status, 200, raw.toString());
    return body.data.map(({ id }) => id);
};
async function create(name, json, token = ann) {
    const answer = await send('POST', name, json, token);
    assert.equal(answer.status, 201, answer.raw.toString());
}

// Ties, nothing, mixed types.
const posts = [
    { id: 'a', stars: 3, title: 'x' }, { id: 'b', stars: 1, title: 'y' }, { id: 'c', stars: 3, title: 'w' },
    { id: 'd', title: 'v' }, { id: 'e', stars: 'many', title: 'u' }, { id: 'f', stars: 3, title: 'x' }, { id: 'g', stars: 2.5, title: 't' },
];
for (const post of posts) await create('posts', post, post.id > 'd' ? bob : ann);
const byStars = ['d', 'b', 'g', 'c', 'a', 'f', 'e'];

test('a list holds exactly what its caller may read', async () => {
    assert.deepEqual(ids(await list('posts')), ['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    assert.deepEqual(ids(await list('posts', ann)), ['a', 'b', 'c', 'd']);
    assert.deepEqual(ids(await list('posts', bob)), ['e', 'f', 'g']);
    assertError(await send('GET', 'posts'), 401, 'UNAUTHENTICATED'); // nothing could be in it
    assertError(await list('unlisted'), 403, 'FORBIDDEN');
    assertError(await send('GET', 'own'), 401, 'UNAUTHENTICATED');
    assert.deepEqual(ids(await list('own')), []);
});

test('a rule may be about the document', async () => {
    await create('news', { id: '1', status: 'public' });
    await create('news', { id: '2', status: 'draft' });
    await create('news', { id: '3', status: 'draft' }, bob);
    assert.deepEqual(ids(await list('news', ann)), ['1', '2']);
    assert.deepEqual(ids(await list('news', bob)), ['1', '3']);
    assert.deepEqual(ids(await send('GET', 'news')), ['1']);
});

test('documents come in the order of ids or of an index, either way', async () => {
    assert.deepEqual(ids(await list('posts?sort=id')), ['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    assert.deepEqual(ids(await list('posts?sort=-id')), ['g', 'f', 'e', 'd', 'c', 'b', 'a']);
    assert.deepEqual(ids(await list('posts?sort=stars,title')), byStars);
    assert.deepEqual(ids(await list('posts?sort=stars')), byStars);
    assert.deepEqual(ids(await list('posts?sort=-stars,-title')), [...byStars].reverse());
});

test('pages follow each other whatever their size', async () => {
    for (const sort of ['id', '-id', 'stars', '-stars,-title']) {
        const whole = ids(await list(`posts?sort=${sort}`));
        for (const limit of [1, 2, 3, 6, 7, 8]) {
            const seen = [];
            for (let after = ''; after !== null;) {
                const answer = await list(`posts?sort=${sort}&limit=${limit}${after && `&after=${after}`}`);
                seen.push(...ids(answer));
                const { pagination } = answer.body;
                assert.equal(pagination.limit, limit);
                assert.equal(pagination.hasNext, pagination.nextCursor !== null);
                const link = pagination.hasNext ? `</api/v1/collections/posts?sort=${sort}&limit=${limit}&after=${pagination.nextCursor}>; rel="next"` : undefined;
                assert.equal(answer.headers.link, link);
                after = pagination.nextCursor;
            }
            assert.deepEqual(seen, whole, `${sort} by ${limit}`);
        }
    }
});

test('a page goes on behind a document that has gone', async () => {
    await create('posts', { id: 'a1' });
    const first = await list('posts?limit=2', ann);
    assert.deepEqual(ids(first), ['a', 'a1']);
    assert.equal((await send('DELETE', 'posts/a1', undefined, ann)).status, 204);
    assert.deepEqual(ids(await list(`posts?limit=2&after=${first.body.pagination.nextCursor}`, ann)), ['b', 'c']);
});

test('a filter leaves out what does not fit', async () => {
    const filtered = (text, more = '') => list(`posts?filter=${encodeURIComponent(text)}${more}`);
    assert.deepEqual(ids(await filtered('stars = 3')), ['a', 'c', 'f']);
    assert.deepEqual(ids(await filtered('stars >= 2 && title != "w"', '&sort=-stars')), ['f', 'a', 'g']);
    assert.deepEqual(ids(await filtered('author = @user.id')), []);
    const page = await filtered('stars = 3', '&limit=2');
    assert.deepEqual(ids(page), ['a', 'c']);
    assert.deepEqual(ids(await filtered('stars = 3', `&limit=2&after=${page.body.pagination.nextCursor}`)), ['f']);
    assertError(await filtered('stars = 4', `&limit=2&after=${page.body.pagination.nextCursor}`), 422, 'VALIDATION_ERROR');
});

test('fields= leaves members out', async () => {
    const { body } = await list('posts?fields=id,title,pin&limit=1');
    assert.deepEqual(body.data, [{ id: 'a', title: 'x' }]);
});

test('a wrong query is told what is wrong with it', async () => {
    const { nextCursor } = (await list('posts?limit=1')).body.pagination;
    for (const [query, field, reason] of [
        ['limit=0', 'limit', 'range'], ['limit=1001', 'limit', 'range'], ['limit=x', 'limit', 'range'], ['limit=', 'limit', 'range'],
        ['sort=title', 'sort', 'index'], ['sort=', 'sort', 'index'], ['sort=stars,-title', 'sort', 'index'], ['sort=star', 'sort', 'index'],
        ['sort=tags[]', 'sort', 'index'], ['sort=pin', 'sort', 'index'], ['sort=slug', 'sort', 'index'],
        ['after=xyz', 'after', 'cursor'], ['after=', 'after', 'cursor'], [`after=${nextCursor}x`, 'after', 'cursor'],
        [`sort=stars&after=${nextCursor}`, 'after', 'cursor'], [`after=${Buffer.alloc(20).toString('base64url')}`, 'after', 'cursor'],
        ['filter=stars%20%3D', 'filter', 'expression'], ['filter=', 'filter', 'expression'], ['page=2', 'page', 'unknown'],
    ]) {
        const error = assertError(await list(`posts?${query}`), 422, 'VALIDATION_ERROR');
        assert.deepEqual(error.details, [{ field, reason }], query);
    }
    const forged = Buffer.concat([Buffer.from(nextCursor, 'base64url').subarray(0, 8), Buffer.from('anywhere else')]).toString('base64url');
    assertError(await list(`posts?after=${forged}`), 422, 'VALIDATION_ERROR');
});

test('what is hidden cannot be found out by a filter', async () => {
    assert.deepEqual(ids(await list(`posts?filter=${encodeURIComponent('pin = null')}`)).length, 7);
});

test('an unchanged list is 304', async () => {
    const { headers } = await list('posts?limit=2');
    const answer = await galley.request('GET', '/api/v1/collections/posts?limit=2', { token: editor, headers: { 'if-none-match': headers.etag } });
    assert.equal(answer.status, 304);
    assert.match(headers['cache-control'], /private/);
});

test('a HEAD of a list has no body', async () => {
    const { status, raw } = await galley.request('HEAD', '/api/v1/collections/posts', { token: editor });
    assert.deepEqual([status, raw.length], [200, 0]);
});
