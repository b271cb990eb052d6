// tools/check_dialect.sh sees what docs/style.md forbids.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

const SCRIPT = path.resolve('tools/check_dialect.sh');

// Checks one file and returns { status, stdout }.
function check(t, text) {
    const root = mkdtempSync(path.join(os.tmpdir(), 'galley-dialect-'));
    t.after(() => rmSync(root, { recursive: true }));
    mkdirSync(path.join(root, 'base'));
    writeFileSync(path.join(root, 'base', 'a.c'), text);
    return spawnSync(SCRIPT, [root], { encoding: 'utf8' });
}

test('the repository is written in it', () => {
    assert.equal(execFileSync(SCRIPT, { encoding: 'utf8' }), '');
});

test('what the page shows passes', (t) => {
    const { status, stdout } = check(
        t,
        `#include "base/a.h"

#include "base/mem.h"

#include <stdlib.h>

#define COUNT_OF(list) (sizeof(list) / sizeof (list)[0])

struct pair {
    int a;

    int b;
};

static size_t f(struct pair *pair)
{
    if (!pair)
        return sizeof(struct pair) + sizeof(uint64_t) + sizeof(*pair)->a;
    int copy;
    memcpy(&copy, &pair->a, sizeof copy);

    return sizeof *pair;
}
`,
    );
    assert.equal(stdout, '');
    assert.equal(status, 0);
});

test('each offence is named with file and line', (t) => {
    const { status, stdout } = check(
        t,
        `#include "base/mem.h"
#include "base/a.h"
#include <stdlib.h>
#include "base/buf.h"

static size_t f(struct pair *pair)
{
    struct pair *copy = pair;
    int rc;

    if (copy == NULL)
        return sizeof(*pair);
    for (int i = 0; i < 3; i++) {
        char text[3];

        free(mem_strdup(text));
    }
    return copy->next != NULL ? sizeof(copy->next) : 0;
}
`,
    );
    assert.equal(status, 1);
    assert.deepEqual(stdout.trim().split('\n'), [
        'base/a.c:2: the own header is the first',
        'base/a.c:4: our headers stand before those of the system',
        'base/a.c:10: declarations stand where a variable is first used, without a blank line',
        'base/a.c:11: a pointer is asked as p or !p',
        'base/a.c:12: sizeof has no brackets before an object',
        'base/a.c:15: declarations stand where a variable is first used, without a blank line',
        'base/a.c:18: a pointer is asked as p or !p',
        'base/a.c:18: sizeof has no brackets before an object',
    ]);
});
