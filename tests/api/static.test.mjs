// target = static:DIR: the files of a folder, and nothing else.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import zlib from 'node:zlib';

import { assertError } from '../lib/assertions.mjs';
import { runGalley, startGalley } from '../lib/galley.mjs';

const PAGE = `<!doctype html><title>page</title>${'<p>text</p>'.repeat(200)}`;
const BYTES = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251));

// A server whose folder ./site has these files (names to contents) below /s/.
async function startSite(files, keys = {}, more = {}) {
    const galley = await startGalley({ config: {} });
    const site = path.join(galley.dir, 'site');
    await mkdir(site);
    for (const [name, content] of Object.entries(files)) {
        await mkdir(path.join(site, path.dirname(name)), { recursive: true });
        await writeFile(path.join(site, name), content);
    }
    galley.site = site;
    await galley.configure({ 'route site': { path: '/s/*', target: 'static:./site', ...keys }, ...more });
    await galley.reload();
    return galley;
}

const get = (galley, target, headers = {}, method = 'GET') => galley.request(method, target, { headers });

// The status of a path exactly as it is written.
async function rawStatus(galley, target) {
    const raw = await galley.connect();
    raw.send(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
    const { status } = await raw.response();
    raw.destroy();
    return status;
}

test('files go out with type, length, tag and date; folders as their index', async () => {
    const galley = await startSite({
        'index.html': PAGE, 'a/b.css': 'p{}', 'a/app.JS': '1', 'a/data.bin': BYTES, 'a/empty.txt': '', 'sub/index.html': 'sub',
    });
    const page = await get(galley, '/s/');
    assert.equal(page.status, 200);
    assert.equal(page.body, PAGE);
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(page.headers['content-length'], String(PAGE.length));
    assert.equal(page.headers['accept-ranges'], 'bytes');
    assert.equal(page.headers['cache-control'], 'no-cache');
    assert.match(page.headers.etag, /^"[0-9a-f]{16}"$/);
    assert.ok(Math.abs(Date.parse(page.headers['last-modified']) - Date.now()) < 100_000);
    assert.equal((await get(galley, '/s/a/b.css')).headers['content-type'], 'text/css; charset=utf-8');
    assert.equal((await get(galley, '/s/a/app.JS')).headers['content-type'], 'text/javascript; charset=utf-8');
    const data = await get(galley, '/s/a/data.bin');
    assert.deepEqual(data.raw, BYTES);
    assert.equal(data.headers['content-type'], 'application/octet-stream');
    assert.equal((await get(galley, '/s/a/empty.txt')).headers['content-length'], '0');
    const head = await get(galley, '/s/a/data.bin', {}, 'HEAD');
    assert.equal(head.status, 200);
    assert.equal(head.headers['content-length'], '1000');
    assert.equal(head.raw.length, 0);
    assert.equal((await get(galley, '/s/sub/')).body, 'sub');
});

test('a folder without its slash is sent there, one without an index is nothing', async () => {
    const galley = await startSite({ 'index.html': 'i', 'sub dir/index.html': 'sub', 'bare/x.txt': 'x' });
    const moved = await get(galley, '/s/sub%20dir?a=1');
    assert.equal(moved.status, 308);
    assert.equal(moved.headers.location, '/s/sub%20dir/?a=1');
    assert.equal((await get(galley, '/s')).headers.location, '/s/');
    assertError(await get(galley, '/s/bare/'), 404);
    assertError(await get(galley, '/s/bare'), 404);
    assertError(await get(galley, '/s/bare/x.txt/'), 404);
    assertError(await get(galley, '/s/none'), 404);
});

test('other methods are 405, or another route\'s', async () => {
    const galley = await startSite({ 'index.html': 'i' }, {}, {
        'route upload': { path: '/s/*', method: 'PUT', target: 'respond:201', respond_body: 'put' },
    });
    const refused = await get(galley, '/s/', {}, 'POST');
    assertError(refused, 405);
    assert.equal(refused.headers.allow, 'GET, HEAD, PUT, OPTIONS');
    assert.equal((await get(galley, '/s/', {}, 'PUT')).body, 'put');
});

test('who has a file is told so, and conditions that do not hold are refused', async () => {
    const galley = await startSite({ 'a.txt': 'one' });
    const file = path.join(galley.site, 'a.txt');
    await utimes(file, 1_700_000_000, 1_700_000_000);
    const { headers } = await get(galley, '/s/a.txt');
    assert.equal(headers['last-modified'], 'Tue, 14 Nov 2023 22:13:20 GMT');
    const later = 'Wed, 15 Nov 2023 00:00:00 GMT', before = 'Mon, 13 Nov 2023 00:00:00 GMT';
    const status = async (conditions, method) => (await get(galley, '/s/a.txt', conditions, method)).status;
    assert.equal(await status({ 'if-none-match': headers.etag }), 304);
    assert.equal(await status({ 'if-none-match': '"x", *' }, 'HEAD'), 200);
    assert.equal(await status({ 'if-none-match': `"x", W/${headers.etag}` }, 'HEAD'), 304);
    assert.equal(await status({ 'if-none-match': '"x"', 'if-modified-since': later }), 200);
    assert.equal(await status({ 'if-modified-since': headers['last-modified'] }), 304);
    assert.equal(await status({ 'if-modified-since': later }), 304);
    assert.equal(await status({ 'if-modified-since': before }), 200);
    assert.equal(await status({ 'if-modified-since': 'yesterday' }), 200);
    assert.equal(await status({ 'if-match': headers.etag }), 200);
    assert.equal(await status({ 'if-match': '*' }), 200);
    assert.equal(await status({ 'if-match': '"x"' }), 412);
    assert.equal(await status({ 'if-unmodified-since': before }), 412);
    assert.equal(await status({ 'if-unmodified-since': later }), 200);
    const known = await get(galley, '/s/a.txt', { 'if-none-match': headers.etag });
    assert.equal(known.raw.length, 0);
    assert.equal(known.headers.etag, headers.etag);
    await writeFile(file, 'two');
    await utimes(file, 1_700_000_000, 1_700_000_000); // the same length and time
    assert.equal(await status({ 'if-none-match': headers.etag }), 200);
});

test('ranges: one, several, and none', async () => {
    const galley = await startSite({ 'r.bin': BYTES });
    const range = (value, headers = {}) => get(galley, '/s/r.bin', { range: value, ...headers });
    const part = async (value, begin, end) => {
        const answer = await range(value);
        assert.equal(answer.status, 206, value);
        assert.equal(answer.headers['content-range'], `bytes ${begin}-${end - 1}/1000`);
        assert.deepEqual(answer.raw, BYTES.subarray(begin, end));
    };
    await part('bytes=0-0', 0, 1);
    await part('bytes=10-19', 10, 20);
    await part('bytes=990-', 990, 1000);
    await part('bytes=-10', 990, 1000);
    await part('bytes=-2000', 0, 1000);
    await part('bytes=500-5000', 500, 1000);
    await part('bytes=2000-, 5-6', 5, 7);
    for (const value of ['bytes=1000-', 'bytes=-0', 'bytes=5000-6000, 7000-']) {
        const wrong = await range(value);
        assertError(wrong, 416);
        assert.equal(wrong.headers['content-range'], 'bytes */1000');
    }
    for (const value of ['bytes=9-1', 'lines=1-2', 'bytes=a-b', 'bytes=0-999,0-999', `bytes=${'0-0,'.repeat(20)}1-1`]) {
        assert.equal((await range(value)).status, 200, value);
    }
    const several = await range('bytes=0-1, 500-503');
    assert.equal(several.status, 206);
    const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(several.headers['content-type'])[1];
    const head = (bytes) => `--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ${bytes}/1000\r\n\r\n`;
    assert.deepEqual(several.raw, Buffer.concat([Buffer.from(head('0-1')), BYTES.subarray(0, 2), Buffer.from('\r\n'),
        Buffer.from(head('500-503')), BYTES.subarray(500, 504), Buffer.from(`\r\n--${boundary}--\r\n`)]));
    const { etag } = several.headers;
    assert.equal((await range('bytes=0-1', { 'if-range': etag })).status, 206);
    assert.equal((await range('bytes=0-1', { 'if-range': '"other"' })).status, 200);
    assert.equal((await range('bytes=0-1', { 'if-range': `W/${etag}` })).status, 200);
});

test('a compressed form beside a text goes out to who takes it, unless it is older', async () => {
    const br = zlib.brotliCompressSync(PAGE), gz = zlib.gzipSync(PAGE);
    const galley = await startSite({ 'p.html': PAGE, 'p.html.br': br, 'p.html.gz': gz, 'old.html': PAGE, 'old.html.gz': gz, 'x.png': 'x', 'x.png.gz': gz });
    const old = path.join(galley.site, 'old.html.gz');
    await utimes(old, 1, 1);
    const coded = await get(galley, '/s/p.html', { 'accept-encoding': 'gzip, br' });
    assert.equal(coded.headers['content-encoding'], 'br');
    assert.deepEqual(coded.raw, br);
    assert.equal(coded.headers.vary, 'Accept-Encoding');
    assert.equal(coded.headers['content-type'], 'text/html; charset=utf-8');
    const gzipped = await get(galley, '/s/p.html', { 'accept-encoding': 'gzip' });
    assert.deepEqual(gzipped.raw, gz);
    assert.notEqual(gzipped.headers.etag, coded.headers.etag);
    assert.equal((await get(galley, '/s/p.html', { 'accept-encoding': 'br', 'if-none-match': coded.headers.etag })).status, 304);
    const plain = await get(galley, '/s/p.html', { 'accept-encoding': 'identity' });
    assert.equal(plain.body, PAGE);
    assert.equal(plain.headers.vary, 'Accept-Encoding');
    const fresh = await get(galley, '/s/old.html', { 'accept-encoding': 'gzip' });
    assert.deepEqual(zlib.gunzipSync(fresh.raw).toString(), PAGE); // made by us, of what is there now
    assert.notDeepEqual(fresh.headers.etag, gzipped.headers.etag);
    assert.equal((await get(galley, '/s/x.png', { 'accept-encoding': 'gzip' })).headers['content-encoding'], undefined);
});

test('pages that are not there are the fallback, scripts that are not there are not', async () => {
    const galley = await startSite({ 'index.html': 'app', 'a.js': '1' }, { static_fallback: 'index.html', static_max_age: '1h' });
    const page = await get(galley, '/s/orders/17');
    assert.equal(page.status, 200);
    assert.equal(page.body, 'app');
    assert.equal(page.headers['cache-control'], 'no-cache');
    assert.equal((await get(galley, '/s/v1.2/x.y', { accept: 'text/html,*/*' })).body, 'app');
    assertError(await get(galley, '/s/lost.js', { accept: '*/*' }), 404);
    assert.equal((await get(galley, '/s/a.js')).headers['cache-control'], 'max-age=3600');
    assertError(await get(galley, '/s/.git/config', { accept: 'text/html' }), 404);
});

test('nothing outside the folder, and nothing hidden, however it is written', async () => {
    const galley = await startSite({
        'index.html': 'i', 'a/in.txt': 'in', '.env': 'secret', 'a/.hidden/x.txt': 'secret', '.well-known/security.txt': 'contact',
    });
    await writeFile(path.join(galley.dir, 'secret.txt'), 'secret');
    await mkdir(path.join(galley.dir, 'outside'));
    await writeFile(path.join(galley.dir, 'outside/index.html'), 'secret');
    await symlink('../secret.txt', path.join(galley.site, 'up.txt'));
    await symlink(path.join(galley.dir, 'secret.txt'), path.join(galley.site, 'absolute.txt'));
    await symlink('../outside', path.join(galley.site, 'out'));
    await symlink('/proc/self/root', path.join(galley.site, 'root'));
    await symlink('a/in.txt', path.join(galley.site, 'inside.txt'));
    execFileSync('mkfifo', [path.join(galley.site, 'pipe')]);
    const nothing = ['/s/.env', '/s/%2eenv', '/s/a/.hidden/x.txt', '/s/up.txt', '/s/absolute.txt', '/s/out/', '/s/out/index.html',
        '/s/root/etc/passwd', '/s/pipe', '/s/a//in.txt', '/s//a/in.txt', '/s/a/in.txt/x', '/secret.txt', '/s/../secret.txt',
        '/s/%2e%2e/secret.txt', '/s/a/../../secret.txt', '/s/...', `/s/${'x'.repeat(300)}`, `/s/${'y/'.repeat(2000)}z`];
    for (const target of nothing) assert.equal(await rawStatus(galley, target), 404, target);
    for (const target of ['/s/..%2fsecret.txt', '/s/..\\secret.txt', '/s/%5c..%5csecret.txt', '/s/a%00.txt']) {
        assert.equal(await rawStatus(galley, target), 400, target);
    }
    assert.equal((await get(galley, '/s/inside.txt')).body, 'in');
    assert.equal((await get(galley, '/s/a/../a/./in.txt')).body, 'in');
    assert.equal((await get(galley, '/s/.well-known/security.txt')).body, 'contact');
});

test('a large file streams in constant memory, whole and in parts', async () => {
    const galley = await startSite({ 'large.bin': '' });
    const size = 300 * 1024 * 1024;
    await truncate(path.join(galley.site, 'large.bin'), size);
    const before = await galley.metric('process_resident_memory_bytes');
    const { status, headers, raw } = await get(galley, '/s/large.bin');
    assert.equal(status, 200);
    assert.equal(headers['content-length'], String(size));
    assert.equal(raw.length, size);
    const several = await get(galley, '/s/large.bin', { range: `bytes=0-199999, ${size - 200000}-` });
    assert.equal(several.status, 206);
    assert.equal(Number(several.headers['content-length']), several.raw.length);
    assert.ok((await galley.metric('process_resident_memory_bytes')) - before < 30 * 1024 * 1024);
});

test('a file that becomes shorter while it is sent ends the connection, and nobody else\'s answer', async () => {
    const galley = await startSite({ 'shrinks.bin': '' });
    const file = path.join(galley.site, 'shrinks.bin');
    await truncate(file, 100 * 1024 * 1024);
    const raw = await galley.connect();
    raw.send('GET /s/shrinks.bin HTTP/1.1\r\nHost: h\r\n\r\n');
    raw.socket.pause(); // what is on its way is less than the file
    const closed = new Promise((resolve) => raw.socket.on('close', resolve));
    await truncate(file, 1024);
    raw.socket.resume();
    await closed;
    assert.equal((await get(galley, '/healthz')).status, 200);
});

test('a path without a star names its file by the whole path', async () => {
    const galley = await startSite({ 'favicon.ico': 'icon' }, {}, { 'route icon': { path: '/favicon.ico', target: 'static:site' } });
    assert.equal((await get(galley, '/favicon.ico')).body, 'icon');
    assert.equal((await get(galley, '/favicon.ico')).headers['content-type'], 'image/x-icon');
});

test('roles hold, and what is for some is not for caches of all', async () => {
    const galley = await startSite({ 'a.txt': 'a' }, { signed_in: 'yes', static_max_age: '1h' });
    assertError(await get(galley, '/s/a.txt'), 401);
    const own = await galley.request('GET', '/s/a.txt', { token: await galley.login() });
    assert.equal(own.headers['cache-control'], 'private, max-age=3600');
});

test('a folder that is not there is an error with its line, and a reload that names one changes nothing', async () => {
    const galley = await startSite({ 'a.txt': 'a' });
    await galley.configure({ 'route site': { path: '/s/*', target: 'static:./gone' } });
    const { status, stderr } = await runGalley(['check'], { cwd: galley.dir });
    assert.equal(status, 2);
    assert.match(stderr, /^config\.ini:\d+: \[route site\] target: static:\.\/gone: No such file or directory$/m);
    await galley.reload();
    assert.equal((await get(galley, '/s/a.txt')).body, 'a');
});
