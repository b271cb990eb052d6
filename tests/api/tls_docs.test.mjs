// The commands of docs/tls.md do what the page says.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { makeCertificates } from '../lib/certificates.mjs';
import { startGalley } from '../lib/galley.mjs';

const page = await readFile(new URL('../../docs/tls.md', import.meta.url), 'utf8');

// The lines of the page's blocks of this kind that talk to localhost.
function commands(kind) {
    const blocks = [...page.matchAll(new RegExp(`^\`\`\`${kind}\\n([^]*?)^\`\`\``, 'gm'))];
    return blocks.flatMap(([, text]) => text.split('\n')).filter((line) => line.includes('localhost:8443'));
}

async function start() {
    const { dir, cert, key } = await makeCertificates();
    const galley = await startGalley({
        config: { 'listener tls': { address: '127.0.0.1:0', tls_cert: cert, tls_key: key } },
    });
    const port = /:(\d+) \(tls\)$/m.exec(galley.stdout)[1];
    return (line) => new Promise((resolve) => {
        const text = line.replaceAll('localhost:8443', `localhost:${port}`).replaceAll(' tls/', ` ${dir}/`);
        execFile('sh', ['-c', text], { cwd: path.dirname(dir) }, (error, stdout, stderr) =>
            resolve({ status: error?.code ?? 0, output: stdout + stderr }));
    });
}

test('what should work works', async () => {
    const run = await start();
    const lines = commands('sh');
    assert.ok(lines.length >= 4);
    for (const line of lines) {
        const { status, output } = await run(line);
        assert.equal(status, 0, `${line}\n${output}`);
    }
});

test('what must fail fails', async () => {
    const run = await start();
    const lines = commands('sh-fails');
    assert.ok(lines.length >= 4);
    for (const line of lines) {
        const { status, output } = await run(line);
        assert.notEqual(status, 0, `${line}\n${output}`);
    }
});
