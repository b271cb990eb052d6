// Servers that Galley passes requests on to. Each ends with the test (or file) that started it.
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { after } from 'node:test';

// An HTTP server; what it does with each request is `handle(request, response)`. `requests` holds
// what came: { method, url, headers, body }.
export function startUpstream(handle = echo, { listen = { port: 0, host: '127.0.0.1' } } = {}) {
    return startWith(http.createServer(), handle, listen);
}

// Likewise one that speaks TLS, with the options of https.createServer.
export function startTlsUpstream(secure, handle = echo) {
    return startWith(https.createServer(secure), handle, { port: 0, host: '127.0.0.1' });
}

function startWith(server, handle, listen) {
    const upstream = { requests: [], connections: 0 };
    server.on('request', (request, response) => {
        upstream.requests.push(request);
        handle(request, response);
    });
    server.on('connection', () => upstream.connections++);
    server.on('tlsClientError', () => {});
    return listening(upstream, server, listen);
}

// A server that says what a test has it say: `talk(socket, number)` for each connection.
export async function startRawUpstream(talk) {
    const upstream = { connections: 0, received: '' };
    const sockets = new Set();
    const server = net.createServer({ noDelay: true }, (socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => sockets.delete(socket));
        socket.on('data', (bytes) => (upstream.received += bytes.toString('latin1')));
        talk(socket, upstream.connections++);
    });
    server.closeAllConnections = () => sockets.forEach((socket) => socket.destroy());
    return listening(upstream, server, { port: 0, host: '127.0.0.1' });
}

async function listening(upstream, server, listen) {
    await new Promise((resolve) => server.listen(listen, resolve));
    upstream.server = server;
    upstream.port = server.address().port;
    upstream.address = listen.path ? `unix:${listen.path}` : `127.0.0.1:${upstream.port}`;
    upstream.stop = () => new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
    });
    after(() => (server.listening ? upstream.stop() : undefined));
    return upstream;
}

// Answers with what came.
export async function echo(request, response) {
    const body = await readAll(request);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({
        method: request.method, url: request.url, headers: request.headers, body: body.toString(),
    }));
}

export async function readAll(stream) {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks);
}

// The configuration of a Galley that passes /up/ on to these servers.
export function passingOn(servers, upstream = {}, route = {}, more = {}) {
    return {
        config: {
            'route shop': null,
            shop: null,
            'upstream up': { check: 'no', server: [servers].flat().map((one) => one.address ?? one), ...upstream },
            'route up': { path: '/up/*', target: 'upstream:up', ...route },
            ...more,
        },
    };
}
