// docs/gateway.md: every key of what a gateway is made of has an example there, and no example has another key.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';

import { runGalley } from '../lib/galley.mjs';

const KINDS = ['route', 'upstream', 'compose'];

// { route: Set of keys } as the program says.
async function keysOfProgram() {
    const { stdout } = await runGalley(['help', 'config', 'own']);
    const kinds = {};
    for (const [, kind, text] of stdout.matchAll(/^## \[(\w+)[^\n]*\]\n(.*?)(?=^## |(?![^]))/gms)) {
        kinds[kind] = new Set([...text.matchAll(/^\| `(\w+)` \|/gm)].map(([, key]) => key));
    }
    return kinds;
}

// [kind or undefined, key] of each line of a block; what stands behind blanks is a block as well.
async function examples() {
    const text = await readFile('docs/gateway.md', 'utf8');
    const found = [];
    for (const block of text.match(/^```ini\n.*?^```|(?:^ {4}\S[^\n]*\n)+/gms)) {
        let kind;
        for (const line of block.split('\n')) {
            kind = /^ *\[(\w+)/.exec(line)?.[1] ?? kind;
            const key = /^ *(\w+) = /.exec(line)?.[1];
            if (key) found.push([kind, key]);
        }
    }
    return found;
}

test('every key of a gateway has an example in docs/gateway.md', async () => {
    const kinds = await keysOfProgram();
    const shown = new Set((await examples()).map(([, key]) => key));
    for (const kind of KINDS) {
        const missing = [...kinds[kind]].filter((key) => !shown.has(key));
        assert.deepEqual(missing, [], `of [${kind}]`);
    }
});

test('every example in docs/gateway.md is of a key that there is', async () => {
    const kinds = await keysOfProgram();
    const all = new Set(Object.values(kinds).flatMap((keys) => [...keys]));
    const unknown = (await examples()).filter(([kind, key]) => !(kinds[kind] ?? all).has(key));
    assert.deepEqual(unknown, []);
});
