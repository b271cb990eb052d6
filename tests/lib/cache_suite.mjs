// The public tests of HTTP caches (tools/cache_tests.sh): their origin, their cases, and what they make of a cache.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { after } from 'node:test';

const dir = path.resolve(process.env.CACHE_TESTS ?? 'build/cache-tests');
const load = (file) => import(pathToFileURL(path.join(dir, file)));

// Their origin, on a port of its own; returns the port.
export async function startOrigin() {
    const child = spawn('node', ['server/server.mjs'], {
        cwd: dir,
        env: { ...process.env, npm_config_protocol: 'http', npm_config_port: '0', npm_config_pidfile: '/dev/null' },
        stdio: ['ignore', 'pipe', 'inherit'],
    });
    after(() => child.kill());
    let text = '';
    return new Promise((resolve, reject) => {
        child.on('exit', () => reject(new Error('the origin has not started')));
        child.stdout.setEncoding('utf8').on('data', (data) => {
            text += data;
            const match = /^Listening on \S+:(\d+)\/$/m.exec(text);
            if (match) resolve(Number(match[1]));
        });
    });
}

// fetch() as the cases use it, without what a browser or Node would add or look at.
export function plainFetch(agent) {
    return (url, { method = 'GET', headers = [], body } = {}) => new Promise((resolve, reject) => {
        const request = http.request(url, { agent, method });
        const values = new Map();
        for (const [name, value] of headers) {
            const key = name.toLowerCase();
            values.set(key, { name, list: [...(values.get(key)?.list ?? []), String(value)] });
        }
        for (const { name, list } of values.values()) request.setHeader(name, list.length > 1 ? list : list[0]);
        request.on('error', reject).on('response', (response) => {
            const chunks = [];
            response.on('error', reject).on('data', (chunk) => chunks.push(chunk)).on('end', () => {
                const text = Buffer.concat(chunks).toString();
                const lines = new Headers();
                for (let i = 0; i < response.rawHeaders.length; i += 2) lines.append(response.rawHeaders[i], response.rawHeaders[i + 1]);
                resolve({ status: response.statusCode, statusText: response.statusMessage, headers: lines, text: async () => text });
            });
        });
        if (body !== undefined) request.setHeader('Content-Length', Buffer.byteLength(body)); // Node gives DELETE none
        request.end(body);
    });
}

// Those about Surrogate-Control, said in CDN-Cache-Control, which has taken its place (RFC 9213), but for what only the
// former has: capabilities, targets, and names in any case.
function targeted(suite) {
    const others = /target|capabilities|remove-header|case-insensitive/;
    const said = (text) => text.replaceAll('Surrogate-Control', 'CDN-Cache-Control').replaceAll(';CAPABILITY_TARGET', '');
    return {
        ...suite,
        id: 'cdn-cache-control',
        tests: suite.tests.filter(({ id }) => !others.test(id)).map((test) => ({
            ...JSON.parse(said(JSON.stringify(test)).replaceAll('surrogate-', 'cdn-')),
        })),
    };
}

// Runs all cases against a cache before the origin: [{ id, kind, passed, why }]. One counts as passed if those passed too
// that it builds on.
export async function runSuite(base) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
    const { default: suites } = await load('tests/index.mjs');
    const { default: surrogate } = await load('tests/surrogate-control.mjs');
    const { runTests, getResults } = await load('client/runner.mjs');
    const all = [...suites, targeted(surrogate)];
    const log = console.log;
    await runTests(all, plainFetch(agent), false, base, 400);
    console.log = log;
    agent.destroy();
    const results = getResults();
    const tests = all.flatMap((suite) => suite.tests).filter((test) => !test.browser_only);
    const byId = new Map(tests.map((test) => [test.id, test]));
    const passes = (id) => results[id] === true && (byId.get(id)?.depends_on ?? []).every(passes);
    for (const { id } of tests) assert.ok(id in results, `${id} did not run`);
    return tests.map(({ id, kind = 'required' }) => ({
        id, kind, passed: passes(id), why: results[id] === true ? 'what it builds on' : String(results[id][1]),
    }));
}
