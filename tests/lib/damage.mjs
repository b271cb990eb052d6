// What a disk does to a database.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

const PAGE = 4096;
const LEAF = 2;

// Zeroes each leaf of LMDB that has product 637, also those of former states.
export async function losePage(galley) {
    const file = path.join(galley.dataDir, 'data.mdb');
    const bytes = await readFile(file);
    const pages = [];
    for (let at = bytes.indexOf('@0000000637'); at >= 0; at = bytes.indexOf('@0000000637', at + 1)) {
        const page = Math.floor(at / PAGE);
        if (bytes.readUInt16LE(page * PAGE + 10) === LEAF && !pages.includes(page)) pages.push(page);
    }
    assert.ok(pages.length > 0);
    for (const page of pages) bytes.fill(0, page * PAGE, (page + 1) * PAGE);
    await writeFile(file, bytes);
}
