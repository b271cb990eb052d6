// Counts the instructions that requests cost in user space, with callgrind: make cost.
//
//   node bench/cost.mjs GALLEY TABLE     UPDATE=1: write the table   PROFILES=DIR: keep each request's profile there
//
// The counts are of the whole process (the thread that answers, the store's writer, queue workers, the log's writer)
// but for what happens by the clock. Callgrind counts each instruction, so neither the machine's speed nor what else
// runs on it shows. A request of `MARKER` makes callgrind write what it has counted since the last one: what the start
// and warming up cost is in none of the requests' counts.
import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { RawConnection } from '../tests/lib/raw.mjs';

const TOLERATED = 0.05;
const MARKER = { path: '/readyz', handler: 'ops_readyz' };
const BY_THE_CLOCK = ['tick']; // functions that run on threads of their own
const QUIET_MS = 150; // by then the log and the queue have done what the requests left them to do

const [galley, table] = process.argv.slice(2);
const dir = mkdtempSync(path.join(os.tmpdir(), 'galley-cost-'));
const mailBox = path.join(dir, 'data/mail/outbox.mbox');

// ---- The server

const write = (name, text) => (writeFileSync(path.join(dir, name), text), path.join(dir, name));

// Requests below /up/ are passed on to a server of our own, which is not counted.
const upstream = http.createServer((request, response) => response.end('x'.repeat(100)));
upstream.keepAliveTimeout = 600_000;
await new Promise((resolve) => upstream.listen(0, '127.0.0.1', resolve));

// Valgrind has no room for the map as it is by default.
const config = write('config.ini', `${readFileSync('bench/bench.ini', 'utf8')}
[storage]
map_size = 1GiB

[upstream up]
server = 127.0.0.1:${upstream.address().port}

[route up]
path = /up/*
target = upstream:up

[route cached]
path = /cached
target = respond:410
respond_body = an answer that was stored
cache = yes
cache_ttl = 1h
`);
const log = openSync(path.join(dir, 'log'), 'a');

function start(...wrapper) {
    const [program, ...args] = [...wrapper, galley, 'serve', '-c', config, '--listen', '127.0.0.1:0', '--data',
        path.join(dir, 'data')];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', log] });
    let out = '';
    return new Promise((resolve, reject) => {
        child.on('exit', (code) => reject(new Error(`the server ended: ${code}`)));
        child.stdout.on('data', (text) => {
            out += text;
            const port = /listening on \S*:(\d+)\n/.exec(out)?.[1];
            if (port) resolve({ child, port: Number(port) });
        });
    });
}

async function stop({ child }) {
    const exited = new Promise((resolve) => child.on('exit', resolve));
    child.kill();
    await exited;
}

// ---- Requests

function text(method, target, headers = {}, body = '') {
    const lines = Object.entries({ Host: '127.0.0.1:8080', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

function post(target, value, headers = {}) {
    const body = JSON.stringify(value);
    return text('POST', target, { ...headers, 'Content-Type': 'application/json', 'Content-Length': body.length }, body);
}

async function ask(connection, request, status) {
    connection.send(request);
    const response = await connection.response();
    if (response?.status !== status) throw new Error(`${request.split('\r\n')[0]}: ${JSON.stringify(response)}`);
    return response;
}

async function signIn(port) {
    const connection = await RawConnection.open(port);
    const request = post('/auth/login', { username: 'alice', password: 'secret' });
    const { body } = await ask(connection, request, 200);
    connection.destroy();
    return { Authorization: `Bearer ${JSON.parse(body).token}` };
}

function requests(signedIn) {
    const badToken = { Authorization: 'Bearer a.b.c' };
    return [
        { name: 'healthz', text: text('GET', '/healthz'), status: 200, count: 2000 },
        { name: 'products', text: text('GET', '/products/17', signedIn), status: 200, count: 2000 },
        { name: 'me', text: text('GET', '/users/me', signedIn), status: 200, count: 2000 },
        { name: 'passed-on', text: text('GET', '/up/17'), status: 200, count: 2000 },
        { name: 'not-found', text: text('GET', '/nowhere/at/all', signedIn), status: 404, count: 2000 },
        { name: 'bad-token', text: text('GET', '/products/17', badToken), status: 401, count: 2000 },
        { name: 'cached', text: text('GET', '/cached'), status: 410, count: 2000 },
        { name: 'products-page', text: text('GET', '/products?limit=1000', signedIn), status: 200, count: 10 },
        { name: 'place-order', text: post('/place-order', { productId: 17, qty: 1 }, signedIn), status: 201, count: 600,
            connections: 6, run: placeOrders },
    ];
}

async function oneByOne([connection], request, count) {
    for (let i = 0; i < count; i++) await ask(connection, request.text, request.status);
}

// A few at once, whose e-mails are written before the next: how orders share commits is then about the same each time.
async function placeOrders(connections, request, count) {
    for (let i = 0; i < count; i += connections.length) {
        const mails = mailCount() + connections.length;
        await Promise.all(connections.map((connection) => ask(connection, request.text, request.status)));
        while (mailCount() < mails) await sleep(1);
    }
}

const mailCount = () => readFileSync(mailBox, 'latin1').split('\nMessage-ID: ').length;

// ---- Counting

const profile = (part) => path.join(dir, `profile.${part}`);

async function mark(connections) {
    await sleep(QUIET_MS);
    await ask(connections[0], text('GET', MARKER.path), 200);
}

// Instructions that are counted below the functions that threads begin with.
function instructions(part) {
    const names = {};
    let here, callee, call = false, sum = 0;
    for (const line of readFileSync(profile(part), 'utf8').split('\n')) {
        const [, kind, id, name] = /^(c?fn)=\((\d+)\)(?: (.*))?/.exec(line) ?? [];
        if (name) names[id] = name.split('.')[0];
        if (kind === 'fn') here = names[id];
        else if (kind === 'cfn') callee = names[id];
        else if (line.startsWith('calls=')) call = true;
        else if (call) {
            if (here === 'start_thread' && !BY_THE_CLOCK.includes(callee)) sum += Number(line.split(' ')[1]);
            call = false;
        }
    }
    return sum;
}

async function drive(port, request) {
    const open = Array.from({ length: request.connections ?? 1 }, () => RawConnection.open(port));
    const connections = await Promise.all(open), run = request.run ?? oneByOne;
    await Promise.all(connections.map((connection) => oneByOne([connection], request, 20))); // caches fill
    await sleep(QUIET_MS);
    await run(connections, request, connections.length);
    await mark(connections);
    await run(connections, request, request.count);
    await mark(connections);
    for (const connection of connections) connection.destroy();
}

async function measure(server, signedIn) {
    const counts = new Map();
    let part = 0;
    for (const request of requests(signedIn)) {
        await drive(server.port, request);
        part += 2;
        counts.set(request.name, Math.round(instructions(part) / request.count));
        if (process.env.PROFILES) copyFileSync(profile(part), path.join(process.env.PROFILES, request.name));
    }
    return counts;
}

async function count() {
    let server = await start();
    const signedIn = await signIn(server.port); // passwords are not checked below valgrind: minutes
    await stop(server);
    server = await start('valgrind', '--quiet', '--tool=callgrind', `--callgrind-out-file=${dir}/profile`,
        `--dump-before=${MARKER.handler}*`);
    const counts = await measure(server, signedIn);
    await stop(server);
    return counts;
}

// ---- The table

function readTable() {
    const rows = readFileSync(table, 'utf8').split('\n').filter((line) => line && !line.startsWith('#'));
    return new Map(rows.slice(1).map((row) => row.split('\t')).map(([name, n]) => [name, Number(n)]));
}

function writeTable(counts) {
    const compiler = execFileSync('gcc', ['-dumpfullversion']).toString().trim();
    writeFileSync(table, [
        '# Instructions in user space for one request: `make cost` compares, `make cost UPDATE=1` writes this file.',
        `# bench/cost.mjs says what is counted. Compiled by gcc ${compiler}.`,
        'request\tinstructions', ...[...counts].map((row) => row.join('\t')), ''].join('\n'));
}

// False if a request costs more than it may.
function compare(counts) {
    const expected = readTable();
    let good = true, fell = false;
    for (const [name, now] of counts) {
        const before = expected.get(name), growth = now / before - 1;
        const verdict = !before ? 'not in the table' : growth > TOLERATED ? 'COSTS MORE' : growth < -TOLERATED ? 'costs less' : '';
        good &&= Boolean(before) && growth <= TOLERATED;
        fell ||= growth < -TOLERATED;
        console.log(`${name.padEnd(14)} ${String(now).padStart(9)}  ${before ? `${(100 * growth).toFixed(1).padStart(6)} %` : ''}  ${verdict}`);
    }
    if (!good || fell) console.log(`If that is meant: make cost UPDATE=1, and commit ${table}.`);
    return good;
}

if (process.env.PROFILES) mkdirSync(process.env.PROFILES, { recursive: true });
try {
    const counts = await count();
    if (process.env.UPDATE) writeTable(counts);
    process.exitCode = compare(counts) ? 0 : 1;
} catch (error) {
    console.log(readFileSync(path.join(dir, 'log'), 'utf8').slice(-2000));
    throw error;
} finally {
    upstream.close();
    rmSync(dir, { recursive: true });
}
