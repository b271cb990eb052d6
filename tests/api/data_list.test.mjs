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
    'collection many': { id: 'client', index: 'n', list: 'public', read: 'public', create: 'public' },
    'collection mine': { index: 'by', owner: 'by', list: 'owner', read: 'owner', create: 'user' },
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
    assert.deepEqual(ids(await list('posts?sort=stars')), ['d', 'b', 'g', 'a', 'c', 'f', 'e']); // ties by id
    assert.deepEqual(ids(await list('posts?sort=title,-id')), ['g', 'e', 'd', 'c', 'f', 'a', 'b']); // sorted in memory
    assert.deepEqual(ids(await list('posts?sort=-stars,title')), ['e', 'c', 'a', 'f', 'g', 'b', 'd']);
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
    assert.deepEqual(ids(await filtered('stars = 3', '&sort=id')), ['a', 'c', 'f']);
    assert.deepEqual(ids(await filtered('stars >= 2 && title != "w"', '&sort=-stars')), ['f', 'a', 'g']);
    assert.deepEqual(ids(await filtered('author = @user.id')), []);
    const page = await filtered('stars = 3', '&limit=2');
    assert.deepEqual(ids(page), ['c', 'a']); // as the index has them
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
        ['sort=', 'sort', 'member'], ['sort=tags[]', 'sort', 'member'], ['sort=pin', 'sort', 'member'], ['sort=-pin.x', 'sort', 'member'],
        ['sort=a..b', 'sort', 'member'], ['sort=a,,b', 'sort', 'member'], ['sort=a,b,c,d,e', 'sort', 'member'], ['count=all', 'count', 'enum'], ['explain=2', 'explain', 'enum'],
        ['after=xyz', 'after', 'cursor'], ['after=', 'after', 'cursor'], [`after=${nextCursor}x`, 'after', 'cursor'],
        [`sort=stars&after=${nextCursor}`, 'after', 'cursor'], [`after=${Buffer.alloc(20).toString('base64url')}`, 'after', 'cursor'],
        ['filter=stars%20%3D', 'filter', 'expression'], ['filter=', 'filter', 'expression'], ['page=2', 'page', 'unknown'],
    ]) {
        const error = assertError(await list(`posts?${query}`), 422, 'VALIDATION_ERROR');
        assert.deepEqual(error.details, [{ field, reason }], query);
    }
});

test('count=exact counts what the caller may read', async () => {
    for (const [token, count] of [[editor, 7], [ann, 4], [bob, 3]]) {
        const { body } = await list('posts?limit=2&count=exact', token);
        assert.equal(body.pagination.count, count);
        assert.equal(body.data.length, 2);
    }
    assert.equal((await list(`posts?count=exact&filter=${encodeURIComponent('stars = 3')}`)).body.pagination.count, 3);
});

test('figures are of what the caller may read', async () => {
    const figures = async (query, token = editor) => (await list(`posts?${query}`, token)).body.data;
    assert.deepEqual(await figures('aggregate=count,max(title)&group=author'), [{ author: 'ann', count: 4, 'max(title)': 'y' }, { author: 'bob', count: 3, 'max(title)': 'x' }]);
    assert.deepEqual(await figures('aggregate=count,sum(stars)', ann), [{ count: 4, 'sum(stars)': 7 }]);
    assert.deepEqual(await figures(`aggregate=count&filter=${encodeURIComponent('stars = 3')}`), [{ count: 3 }]);
    for (const [query, field] of [['aggregate=total(x)', 'aggregate'], ['aggregate=', 'aggregate'], ['aggregate=max(pin)', 'aggregate'], ['aggregate=count&group=pin', 'group'], ['group=author', 'group']]) {
        assert.equal(assertError(await list(`posts?${query}`), 422, 'VALIDATION_ERROR').details[0].field, field, query);
    }
});

test('who administers may see what a list took', async () => {
    const admin = as('root', 'admin', 'editor');
    const explain = async (query, token = admin) => (await list(`posts?explain=1&${query}`, token)).body.plan;
    const plan = await explain(`filter=${encodeURIComponent('stars = 3')}`);
    assert.equal(plan.index, 'stars,title');
    assert.match(plan.range, /stars = 3/);
    assert.deepEqual([plan.lookedAt, plan.returned, plan.sorted], [3, 3, false]);
    assert.equal((await explain('sort=title')).sorted, true);
    assertError(await list('posts?explain=1', editor), 403, 'FORBIDDEN');
});

test('of a large collection only what an index finds is looked at', async () => {
    for (let from = 0; from < 11_000; from += 1000) {
        const body = Array.from({ length: 1000 }, (_, i) => JSON.stringify({ id: `i${from + i}`, n: from + i, m: (from + i) % 5000 })).join('\n');
        const { status } = await galley.request('POST', '/api/v1/collections/many/bulk', { body, token: from % 2000 ? ann : bob, headers: { 'content-type': 'application/x-ndjson' } });
        assert.equal(status, 200);
    }
    const filtered = (text, more = '', token = ann) => list(`many?filter=${encodeURIComponent(text)}${more}`, token);
    assert.deepEqual(ids(await filtered('n = 10999')), ['i10999']);
    assert.deepEqual(ids(await filtered('n >= 10997', '&sort=-n&limit=2')), ['i10999', 'i10998']);
    assertError(await filtered('m = 4999 && n != 4999'), 422, 'SCAN_TOO_LARGE');
    assertError(await list('many?sort=m'), 422, 'SCAN_TOO_LARGE');
    assert.equal((await list('many?sort=n&limit=1000')).body.data.length, 1000);
    assert.deepEqual(ids(await list('mine?limit=3', ann)), []);
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
