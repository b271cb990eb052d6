// The front alone, run as tests/front_server.c, and what it answers over raw sockets.
//   const server = await FrontServer.start(t, { workers: 4 });
//   const [answer] = await server.talk('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';

import { RawConnection } from './raw.mjs';

const binary = path.resolve(process.env.GALLEY_TOOLS ?? 'build/release/tests', 'front_server');

// With FRONT_TLS_DIR in the environment it speaks TLS with the certificate there.
const certificates = process.env.FRONT_TLS_DIR;
const secure = certificates && { servername: 'localhost', ca: readFileSync(`${certificates}/dev-ca.crt`) };

export class FrontServer {
    #lines = [];
    #waiting = [];

    // With an environment that has FRONT_TLS_DIR it is one for crowds over TLS: connect() speaks none.
    static async start(t, settings = {}, env = {}) {
        const server = new FrontServer();
        const args = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
        server.child = spawn(binary, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
        server.exited = new Promise((resolve) => server.child.on('exit', (code) => resolve(code)));
        server.stderr = '';
        server.child.stderr.on('data', (text) => (server.stderr += text));
        readline.createInterface({ input: server.child.stdout }).on('line', (line) => server.#take(line));
        server.secure = secure;
        server.port = Number((await server.line(/^port /)).split(' ')[1]);
        t.after(() => server.stop());
        return server;
    }

    #take(line) {
        const at = this.#waiting.findIndex(({ pattern }) => pattern.test(line));
        if (at < 0) this.#lines.push(line);
        else this.#waiting.splice(at, 1)[0].resolve(line);
    }

    // The next line that the server prints, or has printed, of this kind.
    line(pattern) {
        const at = this.#lines.findIndex((line) => pattern.test(line));
        if (at >= 0) return Promise.resolve(this.#lines.splice(at, 1)[0]);
        return new Promise((resolve) => this.#waiting.push({ pattern, resolve }));
    }

    connect(from) {
        return RawConnection.open(this.port, '127.0.0.1', from, secure);
    }

    async stats() {
        const [answer] = await this.talk('GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
        return JSON.parse(answer.body);
    }

    // Until so many connections wait for a worker.
    async waitsFor(count) {
        while ((await this.stats()).queued < count) await new Promise((resolve) => setTimeout(resolve, 5));
    }

    threads() {
        return readdirSync(`/proc/${this.child.pid}/task`).length;
    }

    // The priorities of its threads, each once.
    niceness() {
        const threads = readdirSync(`/proc/${this.child.pid}/task`);
        const stat = (id) => readFileSync(`/proc/${this.child.pid}/task/${id}/stat`, 'latin1');
        return [...new Set(threads.map((id) => Number(stat(id).replace(/^.*\) /, '').split(' ')[16])))];
    }

    // How often its threads have woken up so far.
    wakes() {
        const threads = readdirSync(`/proc/${this.child.pid}/task`);
        const status = (id) => readFileSync(`/proc/${this.child.pid}/task/${id}/status`, 'latin1');
        return threads.reduce((sum, id) => sum + Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status(id))[1]), 0);
    }

    // Sends these bytes and gives all answers, once the server has closed.
    async talk(...pieces) {
        const connection = await this.connect();
        for (const piece of pieces) connection.send(piece);
        return parseAll(await connection.untilClosed());
    }

    // A connection whose request is being served until release().
    async hold() {
        const connection = await this.connect();
        connection.send('GET /hold HTTP/1.1\r\nHost: shop.example\r\n\r\n');
        await this.line(/^held/);
        return connection;
    }

    terminate() {
        this.child.kill('SIGTERM');
    }

    release(count = 1) {
        this.child.stdin.write('x'.repeat(count));
    }

    async stop() {
        this.terminate();
        assert.equal(await this.exited, this.exitStatus ?? 0, this.stderr);
        assert.equal(this.stderr, '');
    }
}

// Every response in `text`; fails where something else is in between.
export function parseAll(text) {
    const responses = [];
    while (text.length > 0) {
        const end = text.indexOf('\r\n\r\n');
        assert.match(text, /^HTTP\/1\.1 \d{3} /);
        assert.ok(end > 0, text);
        const [first, ...lines] = text.slice(0, end).split('\r\n');
        const headers = Object.fromEntries(lines.map((line) => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        }));
        const status = Number(first.split(' ')[1]);
        const length = status < 200 ? 0 : Number(headers['content-length'] ?? 0);
        responses.push({ status, headers, body: text.slice(end + 4, end + 4 + length) });
        text = text.slice(end + 4 + length);
    }
    return responses;
}
