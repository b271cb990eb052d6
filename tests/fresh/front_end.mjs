// front_end.mjs GALLEY USER PASSWORD   Serves examples/front-end on http://localhost:9000, signs in there with
// Chromium, orders, and prints the order's path.
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.resolve('build/tests/browser/package.json'));
const { chromium } = require('playwright-core');
const [, , galley, user, password] = process.argv;

const page = await readFile('examples/front-end/index.html');
const server = http.createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end(page);
});
await new Promise((resolve) => server.listen(9000, 'localhost', resolve));

// The certificate is checked by curl in run.sh; a browser would have to be given the authority first.
const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync', `--host-resolver-rules=MAP ${new URL(galley).hostname} 127.0.0.1`],
});
try {
    const tab = await browser.newPage({ ignoreHTTPSErrors: true });
    await tab.goto(`http://localhost:9000/?galley=${galley}`);
    await tab.fill('input[name=username]', user);
    await tab.fill('input[name=password]', password);
    await tab.click('button');
    const said = await tab.locator('[role=status]:not(:empty)').innerText();
    const [, order] = /: placed, see (\/orders\/[0-9a-f-]{36})$/.exec(said) ?? [];
    if (!order) throw new Error(said);
    console.log(order);
} finally {
    await browser.close();
    server.close();
}
