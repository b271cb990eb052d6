// Real servers for tests. Each gets a directory, a configuration and a free port of its own, and is
// stopped at the end of the test (or file) that started it; a server that died by itself, that did
// not stop cleanly, or that a sanitizer complained about fails that test.
//
//   const galley = await startGalley({ config: { server: { workers: 400 } } });
//   const token = await galley.login();
//   const { status, body } = await galley.request('GET', '/products/17', { token });
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';

import { RawConnection } from './raw.mjs';

export const binary = path.resolve(process.env.GALLEY_BIN ?? 'build/galley');

const PATIENCE_MS = 60_000; // nothing here takes long; sanitizers and busy machines do
const LOG_SHOWN = 5_000; // characters, the last ones
const SANITIZER = /ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|WARNING: ThreadSanitizer/;

// The known signing key lets tests make tokens of their own (jwt.mjs).
export const SIGNING_KEY = 'a key for tests, of at least 32 bytes';

const DEFAULTS = {
    server: { listen: '127.0.0.1:0', data: './data', queue_timeout: '20s', workers: 64 },
    'queue mail': { concurrency: 2 },
    auth: { key: SIGNING_KEY },
    log: { format: 'json' },
    shop: { seed: 'yes' },
    'route shop': { path: '/*', target: 'app:shop' },
};

export async function startGalley(options = {}) {
    const galley = new Galley(options);
    after(() => galley.finish()); // of the running test, or of the file
    galley.dir = await mkdtemp(path.join(os.tmpdir(), 'galley-test-'));
    if (options.open) await chmod(galley.dir, 0o755); // for others than who runs the test
    if (options.uid) await chown(galley.dir, options.uid, options.uid);
    await galley.configure(options.config);
    await galley.write(options.files);
    await galley.start();
    return galley;
}

// A port that nobody listened on a moment ago.
export async function freePort() {
    const probe = net.createServer();
    await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address();
    await new Promise((resolve) => probe.close(resolve));
    return port;
}

// Runs one command to its end.
export function runGalley(args, options = {}) {
    return new Promise((resolve) => {
        execFile(binary, args, { timeout: PATIENCE_MS, ...options }, (error, stdout, stderr) => {
            resolve({ status: error ? error.code ?? error.signal : 0, stdout, stderr });
        });
    });
}

// The defaults of tests with overrides: { section: { key: value } }; null leaves a section out, an
// array gives a key several times.
export function configText(overrides = {}) {
    const sections = { ...DEFAULTS };
    for (const [name, keys] of Object.entries(overrides)) {
        sections[name] = keys && { ...sections[name], ...keys };
    }
    return Object.entries(sections)
        .filter(([, keys]) => keys)
        .map(([name, keys]) => [`[${name}]`, ...Object.entries(keys)
            .flatMap(([key, value]) => [value].flat().map((one) => `${key} = ${one}`))])
        .flat()
        .join('\n') + '\n';
}

// Asks again until the answer is truthy: for what another process does in its own time.
export async function eventually(what, ask) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
        const answer = await ask();
        if (answer) return answer;
        assert.ok(Date.now() < deadline, `still not so: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

export function withDeadline(what, promise, ms = PATIENCE_MS) {
    let timer;
    const deadline = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no end after ${ms} ms: ${what}`)), ms);
    });
    return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}

class Galley {
    constructor({ args = [], env = {}, uid, binary: program = binary, stderr = 'pipe' }) {
        this.args = args;
        this.user = uid && { uid, gid: uid }; // as whom it runs; the directory is theirs
        this.env = env;
        this.program = program;
        this.stderrTo = stderr; // or a descriptor, and then log() is empty
        this.stdout = ''; // of the last start
        this.stderr = ''; // of all starts
        this.running = false;
    }

    get dataDir() {
        return path.join(this.dir, 'data');
    }

    log() {
        return this.stderr;
    }

    // ---- Life

    async start() {
        assert.ok(!this.running, 'is running already');
        this.stdout = '';
        this.agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
        this.child = spawn(this.program, ['serve', ...this.args], {
            cwd: this.dir,
            ...this.user,
            env: { ...process.env, ...this.env },
            stdio: ['ignore', 'pipe', this.stderrTo],
        });
        this.pid = this.child.pid;
        this.running = true;
        this.exited = new Promise((resolve) => {
            this.child.on('error', (error) => resolve({ code: error.message }));
            this.child.on('close', (code, signal) => resolve({ code, signal }));
        }).then((exit) => {
            this.running = false;
            this.agent.destroy();
            return exit;
        });
        this.child.stderr?.setEncoding('utf8').on('data', (text) => (this.stderr += text));
        await this.#listening();
    }

    async #listening() {
        const banner = new Promise((resolve) => {
            this.child.stdout.setEncoding('utf8').on('data', (text) => {
                this.stdout += text;
                const match = /^listening on (http:\/\/\S+:(\d+))\n/m.exec(this.stdout);
                if (match) resolve(match);
            });
        });
        const first = await withDeadline('start', Promise.race([banner, this.exited]));
        if (!Array.isArray(first)) this.#fail(`did not start (${JSON.stringify(first)})`);
        this.url = first[1];
        this.port = Number(first[2]);
    }

    // Another config.ini, of the defaults of tests with overrides, or the text given.
    configure(config) {
        const text = typeof config === 'string' ? config : configText(config);
        return writeFile(path.join(this.dir, 'config.ini'), text);
    }

    // Files beside config.ini: { 'schemas/post.json': text, or what JSON is made of }.
    async write(files = {}) {
        for (const [name, content] of Object.entries(files)) {
            const file = path.join(this.dir, name);
            await mkdir(path.dirname(file), { recursive: true });
            await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
        }
    }

    // Has it read its file anew by SIGHUP, and waits for the log to say how that went.
    async reload() {
        const outcome = /"message":"(reloaded: |not reloaded)/g;
        const before = this.stderr.match(outcome)?.length ?? 0;
        this.child.kill('SIGHUP');
        await eventually('the reload', () => (this.stderr.match(outcome)?.length ?? 0) > before);
    }

    // Asks it to stop and expects that it does so in order.
    async stop() {
        const exit = await this.terminate();
        if (exit.code !== 0) this.#fail(`did not stop cleanly (${JSON.stringify(exit)})`);
    }

    // Asks it to stop and says how it ended.
    async terminate(signal = 'SIGTERM') {
        this.child.kill(signal);
        return withDeadline(`the end after ${signal}`, this.exited);
    }

    async kill9() {
        await this.terminate('SIGKILL');
    }

    async restart() {
        if (this.running) await this.stop();
        await this.start();
    }

    async finish() {
        try {
            if (this.running) await this.stop();
            else if (this.child && !this.child.killed) this.#fail('died by itself');
            if (SANITIZER.test(this.stderr)) this.#fail('a sanitizer complains');
        } finally {
            if (this.running) this.child.kill('SIGKILL');
            await rm(this.dir, { recursive: true, force: true });
        }
    }

    #fail(what) {
        const report = this.stderr.search(SANITIZER);
        const log = this.stderr.slice(report >= 0 ? report : -LOG_SHOWN);
        assert.fail(`the server ${what}\n--- stdout\n${this.stdout}\n--- stderr\n${log}`);
    }

    // ---- Talking to it

    // Options: token, json (a body and its type), body and headers (as given). Answers with status,
    // headers (lower case), body (parsed if it is JSON, else text) and raw (bytes).
    request(method, target, { token, json, body, headers = {}, agent = this.agent } = {}) {
        const all = { ...headers };
        if (token) all.authorization = `Bearer ${token}`;
        if (json !== undefined) {
            all['content-type'] ??= 'application/json';
            body = JSON.stringify(json);
        }
        if (body !== undefined) all['content-length'] ??= Buffer.byteLength(body);
        const answer = new Promise((resolve, reject) => {
            const { hostname } = new URL(this.url);
            const request = http.request({ hostname, port: this.port, method, path: target, headers: all, agent });
            request.on('error', reject);
            request.on('response', (response) => {
                const chunks = [];
                response.on('data', (chunk) => chunks.push(chunk));
                response.on('error', reject);
                response.on('end', () => resolve(readable(response, Buffer.concat(chunks))));
            });
            request.end(body);
        });
        return withDeadline(`${method} ${target}`, answer);
    }

    async login(username = 'alice', password = 'secret') {
        const { status, body } = await this.request('POST', '/auth/login', { json: { username, password } });
        assert.equal(status, 200, `logging in as ${username}: ${JSON.stringify(body)}`);
        return body.token;
    }

    // Makes the first administrator; resolves with a function that posts to /_/api/ as that
    // one, and has another, get.
    async administrator(username = 'captain', password = 'steady as she goes') {
        const [, token] = /setup\?token=([\w-]+)/.exec(this.stdout);
        const answer = await this.request('POST', '/_/api/setup', { json: { token, username, password } });
        assert.equal(answer.status, 200, JSON.stringify(answer.body));
        const cookie = answer.headers['set-cookie'][0].split(';')[0];
        const headers = { cookie, 'x-csrf-token': answer.body.csrf };
        const post = (target, json = {}) => this.request('POST', `/_/api/${target}`, { json, headers });
        post.headers = headers;
        post.get = (target) => this.request('GET', `/_/api/${target}`, { headers });
        return post;
    }

    // A bare connection, for what no HTTP client would send.
    connect() {
        return RawConnection.open(this.port);
    }

    // ---- Looking inside

    // The value of a metric, labels as written there: metric('galley_queue_jobs{queue="mail",state="dead"}').
    async metric(name) {
        const { raw } = await this.request('GET', '/metrics');
        const line = raw.toString().split('\n').find((text) => text.startsWith(`${name} `));
        return line === undefined ? undefined : Number(line.slice(name.length + 1));
    }

    // The messages of the development mail box, each as text, once no job waits or runs.
    async mails() {
        await eventually('no e-mail job is left', async () => {
            for (const state of ['ready', 'running', 'retrying', 'scheduled']) {
                if (await this.metric(`galley_queue_jobs{queue="mail",state="${state}"}`)) return false;
            }
            return true;
        });
        const box = await readFile(path.join(this.dataDir, 'mail/outbox.mbox'), 'utf8');
        return box.split(/^From .*\n/m).slice(1);
    }
}

function readable(response, raw) {
    const { 'content-type': type = '', 'content-encoding': coding } = response.headers;
    const json = /[/+]json\b/.test(type) && !coding;
    const body = json && raw.length > 0 ? JSON.parse(raw) : raw.toString();
    return { status: response.statusCode, headers: response.headers, body, raw };
}
