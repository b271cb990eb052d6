// A name server: answers with what `names` holds at the moment, { 'api.test': { A: ['127.0.0.1'], ttl: 1 } }; SRV as
// [priority, weight, port, target]. Ends with the test that started it.
import dgram from 'node:dgram';
import { after } from 'node:test';

const TYPES = { 1: 'A', 28: 'AAAA', 33: 'SRV' };

export async function startDns(names) {
    const dns = { names, queries: 0, silent: false };
    const socket = dgram.createSocket('udp4');
    socket.on('message', (query, from) => {
        dns.queries++;
        if (!dns.silent) socket.send(answer(query, dns.names), from.port, from.address);
    });
    await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve));
    dns.address = `127.0.0.1:${socket.address().port}`;
    after(() => socket.close());
    return dns;
}

function answer(query, names) {
    const [name, end] = readName(query, 12);
    const question = query.subarray(12, end + 4);
    const known = names[name.toLowerCase()] ?? {};
    const data = (known[TYPES[query.readUInt16BE(end)]] ?? []).map((one) => dataOf(TYPES[query.readUInt16BE(end)], one));
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    head.writeUInt16BE(names[name] ? 0x8400 : 0x8403, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(data.length, 6);
    return Buffer.concat([head, question, ...data.map((bytes) => record(query.readUInt16BE(end), known.ttl ?? 1, bytes))]);
}

function record(type, ttl, data) {
    const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, 0]); // the name of the question
    head.writeUInt32BE(ttl, 6);
    head.writeUInt16BE(data.length, 10);
    return Buffer.concat([head, data]);
}

function dataOf(type, one) {
    if (type === 'A') return Buffer.from(one.split('.').map(Number));
    if (type === 'SRV') {
        const [priority, weight, port, target] = one;
        const head = Buffer.alloc(6);
        [priority, weight, port].forEach((value, i) => head.writeUInt16BE(value, i * 2));
        return Buffer.concat([head, writeName(target)]);
    }
    throw new Error(`no data for ${type}`);
}

function readName(bytes, at) {
    const labels = [];
    for (; bytes[at] > 0; at += bytes[at] + 1) labels.push(bytes.toString('latin1', at + 1, at + 1 + bytes[at]));
    return [labels.join('.'), at + 1];
}

const writeName = (name) =>
    Buffer.concat([...name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.from([0])]);
