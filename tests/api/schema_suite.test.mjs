// What the standard's test suite of JSON Schema, draft 2020-12, says of base/schema.h (tests/schema_suite.c,
// tools/schema_tests.sh). A schema that says what we do not know is refused, and its cases with it: those are counted by
// why, so that no more of them come unseen.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';

const dir = path.resolve(process.env.SCHEMA_TESTS ?? 'build/schema-tests', 'draft2020-12');
const tool = path.resolve(process.env.GALLEY_TOOLS ?? 'build/release/tests', 'schema_suite');

const REFUSED = [
    ['other schemas by their address', /leads out of the text|stands at the top only/, 97],
    ['dynamic references', /"\$dynamic/, 28],
    ['other dialects and vocabularies', /Schemas are of draft/, 9],
    ['content of strings', /"content/, 18],
    ['unknown keywords, those of former drafts too', /The keyword "[a-z_-]+" is not supported/, 43],
    ['formats that are not known', /The format/, 42],
    ['NUL, which no JSON of a request may have', /NUL character/, 4],
];

const WRONG = [
    // An integer is written as one: who reads it gets an int64_t.
    'type.json: integer type matches integers: a float with zero fractional part is an integer',
    'float-overflow.json: all integers are multiples of 0.5, if overflow is handled: valid if optional overflow handling is implemented',
];

// Left out are the formats that are not known, and bignum, whose numbers no request may have.
const OPTIONAL = ['cross-draft', 'dependencies-compatibility', 'ecmascript-regex', 'float-overflow', 'format-assertion',
    'no-schema', 'non-bmp-regex', 'refOfUnknownKeyword', 'unicode'];
const FORMATS = ['date', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'json-pointer', 'regex', 'time',
    'uri', 'uuid'];

function run() {
    const files = [
        ...readdirSync(dir).filter((name) => name.endsWith('.json')),
        ...OPTIONAL.map((name) => `optional/${name}.json`),
        ...FORMATS.map((name) => `optional/format/${name}.json`),
    ].map((name) => path.join(dir, name));
    return execFileSync(tool, files, { encoding: 'utf8', maxBuffer: 16 << 20 }).trim().split('\n').map((line) => JSON.parse(line));
}

test('the public test suite holds, but for what is named', (t) => {
    assert.ok(existsSync(dir), 'make build/schema-tests/.stamp');
    const cases = run();
    const refused = cases.filter(({ got }) => got === 'refused');
    const decided = cases.filter(({ got }) => got !== 'refused');
    const wrong = decided.filter(({ got, expected }) => (got === 'valid') !== expected);
    t.diagnostic(`${decided.length - wrong.length} of ${cases.length} right, ${refused.length} refused`);
    assert.deepEqual(wrong.map(({ file, group, test }) => `${file}: ${group}: ${test}`), WRONG);
    const counts = REFUSED.map(([name, why]) => [name, why, refused.filter((one) => why.test(one.why)).length]);
    assert.deepEqual(counts, REFUSED);
    assert.equal(counts.reduce((sum, [, , count]) => sum + count, 0), refused.length);
});
