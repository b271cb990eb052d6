// A front end on an origin of its own (examples/front-end), in a real browser.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { after, test } from 'node:test';

import { startGalley } from '../lib/galley.mjs';
import { browse } from './pages.mjs';

const it = browse();

// What `python3 -m http.server` would serve.
async function serveFrontEnd() {
    const page = await readFile('examples/front-end/index.html');
    const server = http.createServer((request, response) => {
        response.writeHead(request.url.startsWith('/?') ? 200 : 404, { 'content-type': 'text/html' });
        response.end(request.url.startsWith('/?') ? page : '');
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    after(() => server.close());
    return `http://localhost:${server.address().port}`;
}

async function order(galley, origin, password = 'secret') {
    await it.page.goto(`${origin}/?galley=${galley.url}`);
    await it.page.fill('input[name=username]', 'alice');
    await it.page.fill('input[name=password]', password);
    await it.page.click('button');
    return it.page.locator('[role=status]:not(:empty)').innerText();
}

test('a front end on another origin signs in and orders, once it is allowed', async () => {
    const origin = await serveFrontEnd();
    const closed = await startGalley();
    assert.match(await order(closed, origin), /That did not work: Failed to fetch/);

    const galley = await startGalley({ config: { cors: { origins: origin } } });
    assert.match(await order(galley, origin), /^Product 17: placed, see \/orders\/[0-9a-f-]{36}$/);
    assert.ok(await galley.metric('galley_http_requests_total{route="preflight",method="OPTIONS",code="204"}') >= 3);
    assert.equal(await order(galley, origin, 'wrong'), 'That did not work: The name or the password is wrong. (WRONG_CREDENTIALS)');
});
