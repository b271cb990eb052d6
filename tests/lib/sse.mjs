// A reader of server-sent events, as far as tests need one: fields of one line each.
import http from 'node:http';
import { after } from 'node:test';

import { eventually } from './galley.mjs';

// Resolves once the head is there. `events` has what was dispatched, as { id, data }, with data
// parsed; `last` is the last id, also of events without data.
export function openStream(galley, target, { token, headers = {} } = {}) {
    const all = { accept: 'text/event-stream', ...headers };
    if (token) all.authorization = `Bearer ${token}`;
    return new Promise((resolve, reject) => {
        const { hostname } = new URL(galley.url);
        const options = { hostname, port: galley.port, path: target, headers: all, agent: false };
        const request = http.get(options, (response) => resolve(follow(request, response)));
        request.on('error', reject);
    });
}

function follow(request, response) {
    const stream = { status: response.statusCode, headers: response.headers, events: [], last: undefined, text: '' };
    let rest = '';
    const take = (block) => {
        const fields = new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
        if (fields.has('id')) stream.last = Number(fields.get('id'));
        if (fields.has('data')) stream.events.push({ id: stream.last, data: JSON.parse(fields.get('data')) });
    };
    response.setEncoding('utf8').on('data', (text) => {
        stream.text += text;
        const blocks = (rest + text).split('\n\n');
        rest = blocks.pop();
        if (stream.status === 200) blocks.forEach(take);
    });
    response.on('error', () => {});
    request.on('error', () => {});
    stream.ended = new Promise((end) => response.on('close', end));
    stream.close = () => request.destroy();
    after(stream.close); // of the test that opened it
    stream.pause = () => response.pause();
    stream.until = (count) => eventually(`${count} events`, () => stream.events.length >= count);
    return stream;
}
