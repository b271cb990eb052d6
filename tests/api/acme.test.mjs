// What an ACME client lays down is what the certificate authority gets.
import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import test from 'node:test';

import { startGalley } from '../lib/galley.mjs';

const PATH = '/.well-known/acme-challenge';
const TOKEN = 'evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA';

async function start() {
    const galley = await startGalley({ config: { server: { acme_webroot: 'webroot' } } });
    await mkdir(`${galley.dir}/webroot${PATH}`, { recursive: true });
    return galley;
}

test('the answer to a challenge is served to anybody', async () => {
    const galley = await start();
    await writeFile(`${galley.dir}/webroot${PATH}/${TOKEN}`, `${TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI`);
    const { status, body } = await galley.request('GET', `${PATH}/${TOKEN}`);
    assert.equal(status, 200);
    assert.equal(body, `${TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI`);
});

test('nothing else is served from there', async () => {
    const galley = await start();
    await writeFile(`${galley.dir}/webroot/secret`, 'secret');
    await writeFile(`${galley.dir}/webroot${PATH}/a.b`, 'secret');
    await symlink('/etc/hostname', `${galley.dir}/webroot${PATH}/link`);
    await mkdir(`${galley.dir}/webroot${PATH}/folder`);
    for (const name of ['nosuch', 'a.b', 'link', 'folder', '..', '../secret', '%2e%2e%2fsecret', `${'a'.repeat(129)}`]) {
        const { status } = await galley.request('GET', `${PATH}/${name}`);
        assert.ok(status === 404 || status === 400, `${name}: ${status}`);
    }
});

test('without the setting there is no such path', async () => {
    const galley = await startGalley();
    assert.equal((await galley.request('GET', `${PATH}/${TOKEN}`)).status, 404);
});
