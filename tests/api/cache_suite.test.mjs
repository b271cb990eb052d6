// What the public tests of HTTP caches say of ours (tests/lib/cache_suite.mjs, tools/cache_tests.sh): the required ones are
// requirements of RFC 9111, the optional ones what a cache may do better. Those that do not pass are named, with why.
import assert from 'node:assert/strict';
import test from 'node:test';

import { runSuite, startOrigin } from '../lib/cache_suite.mjs';
import { startGalley } from '../lib/galley.mjs';

const NOT_REQUIRED = [
    // The origin closes without an answer: ours is 502, which these cases take for a stored answer.
    'stale-close-must-revalidate', 'stale-close-proxy-revalidate', 'stale-close-no-cache', 'stale-close-s-maxage=2',
    // Set-Cookie is not stored unless the answer says that it is for all.
    'headers-store-Set-Cookie', '304-etag-update-response-Set-Cookie',
    // A method that we do not know is 501 and never reaches an origin.
    'invalidate-M-SEARCH', 'invalidate-M-SEARCH-cl',
    // A Transfer-Encoding that is none is 502.
    'headers-store-Transfer-Encoding',
    // Of several ages nobody knows which is right: the answer is stale, as four other cases want it.
    'age-parse-prefix',
];
const NOT_OPTIONAL = [
    'method-POST', // answers to POST are not stored
    'vary-normalise-lang-order', 'vary-normalise-lang-select', // there are origins to which the order matters
    'conditional-lm-fresh-no-lm', // it is newer than what the client has
    'invalidate-M-SEARCH-failed', 'other-set-cookie', // as above
    // Parts are cut from a whole that is stored, but are not stored themselves.
    'partial-store-partial-reuse-partial', 'partial-store-partial-reuse-partial-byterange',
    'partial-store-partial-reuse-partial-absent', 'partial-store-partial-reuse-partial-suffix', 'partial-store-partial-complete',
];

const score = (results, kind) => {
    const all = results.filter((result) => result.kind === kind);
    return [all.filter(({ passed }) => passed).length, all.length];
};

test('all cases pass but those that are named', async (t) => {
    const port = await startOrigin();
    const galley = await startGalley({
        config: {
            'upstream origin': { server: `127.0.0.1:${port}`, retries: 0 }, // each request is the origin's to see
            'route shop': { path: '/products' },
            'route tests': { path: '/test/*', target: 'upstream:origin', cache: 'yes' },
            'route rest': { path: '/*', target: 'upstream:origin' },
        },
    });
    const results = await runSuite(galley.url);
    const failed = results.filter(({ passed, kind }) => !passed && kind !== 'check');
    const surprises = failed.filter(({ id }) => ![...NOT_REQUIRED, ...NOT_OPTIONAL].includes(id));
    const required = score(results, 'required'), optional = score(results, 'optimal');
    t.diagnostic(`required ${required.join(' of ')}, optional ${optional.join(' of ')}`);
    assert.deepEqual(surprises, []);
    assert.deepEqual(required, [154, 164]);
    assert.deepEqual(optional, [82, 93]);
});
