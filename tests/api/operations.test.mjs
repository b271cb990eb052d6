// docs/operations.md names what there is.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';

import { runGalley, startGalley } from '../lib/galley.mjs';

const page = await readFile('docs/operations.md', 'utf8');
const named = (pattern) => [...new Set([...page.matchAll(pattern)].map(([, name]) => name))];

test('each metric that is to be alarmed on exists', async () => {
    const galley = await startGalley({ config: { 'upstream away': { server: '127.0.0.1:1' } } });
    assert.equal((await galley.request('GET', '/healthz')).status, 200);
    const metrics = (await galley.request('GET', '/metrics')).raw.toString();
    const names = named(/`((?:galley|process)_[a-z_]+)`/g);
    assert.ok(names.length >= 18);
    for (const name of names) assert.match(metrics, new RegExp(`^# TYPE ${name} `, 'm'), name);
});

test('each key of the configuration and each command that is named exists', async () => {
    const { stdout: config } = await runGalley(['help', 'config']);
    for (const key of named(/`((?:server|storage|cache|admin|log)\.[a-z_]+)`/g)) {
        const [section, name] = key.split('.');
        assert.match(config.split(`## [${section}]`)[1].split('\n## ')[0], new RegExp(`^\\| \`${name}\` \\|`, 'm'), key);
    }
    for (const command of named(/(?:^ {4}|`)galley ([a-z]+)/gm)) {
        assert.equal((await runGalley(['help', command])).status, 0, command);
    }
});
