// Bad input: each case has its status and the one shape of errors; none is a 500, none goes
// unanswered, and the server serves on.
import assert from 'node:assert/strict';
import test from 'node:test';

import { assertError } from '../lib/assertions.mjs';
import { startGalley } from '../lib/galley.mjs';

const galley = await startGalley();
const token = await galley.login();

const JSON_TYPE = { 'content-type': 'application/json' };
const post = (body, headers = JSON_TYPE) => galley.request('POST', '/place-order', { token, body, headers });

async function assertUnharmed() {
    const { status, body } = await galley.request('GET', '/products/17', { token });
    assert.equal(status, 200);
    assert.equal(body.stock, 1000000);
}

const nested = (depth) => '['.repeat(depth) + ']'.repeat(depth);

const malformed = {
    'an empty body': '',
    'white space': '  ',
    'half an object': '{"productId":17,"qty":',
    'a trailing comma': '{"productId":17,"qty":2,}',
    'single quotes': "{'productId':17,'qty':2}",
    'something behind the end': '{"productId":17,"qty":2} x',
    'two values': '{"productId":17,"qty":2}{}',
    'the same key twice': '{"productId":17,"qty":2,"qty":3}',
    'a comment': '{"productId":17,/* two */"qty":2}',
    'not a number': '{"productId":17,"qty":NaN}',
    'a leading zero': '{"productId":17,"qty":02}',
    'a raw NUL byte': '{"productId":17,"qty":2}\0',
    'a NUL byte in a string': '{"productId":17,"qty":"\0"}',
    'an escaped NUL': '{"productId":17,"qty":"\\u0000"}',
    'an escaped NUL in a key': '{"productId":17,"qty":2,"\\u0000":1}',
    'a lone surrogate': '{"productId":17,"qty":"\\ud800"}',
    'a control character in a string': '{"productId":17,"qty":"\n"}',
    'nesting below any sense': nested(100000),
    'nesting over the bound': `{"productId":17,"qty":${nested(40)}}`,
    'an integer beyond 64 bits': '{"productId":17,"qty":99999999999999999999}',
    'a byte order mark': '\ufeff{"productId":17,"qty":2}',
    'invalid UTF-8': Buffer.from('{"productId":17,"qty":"\xff\xfe"}', 'latin1'),
    'an overlong slash': Buffer.from('{"productId":17,"qty":"\xc0\xaf"}', 'latin1'),
    'UTF-16': Buffer.from('{"productId":17,"qty":2}', 'utf16le'),
};

for (const [name, body] of Object.entries(malformed)) {
    test(`400: ${name}`, async () => {
        assertError(await post(body), 400, 'MALFORMED_REQUEST');
    });
}

const invalid = {
    'zero': { productId: 17, qty: 0 },
    'a negative quantity': { productId: 17, qty: -1 },
    'a fraction': { productId: 17, qty: 1.5 },
    'a whole number written as a fraction': '{"productId":17,"qty":2.0}',
    'an exponent': '{"productId":17,"qty":2e0}',
    'a huge quantity': { productId: 17, qty: 9007199254740991 },
    'the largest 64-bit integer': '{"productId":17,"qty":9223372036854775807}',
    'the smallest 64-bit integer': '{"productId":17,"qty":-9223372036854775808}',
    'a quantity in quotes': { productId: 17, qty: '2' },
    'null': { productId: 17, qty: null },
    'true': { productId: 17, qty: true },
    'a list': { productId: 17, qty: [2] },
    'an object': { productId: 17, qty: { $gt: 0 } },
    'a missing quantity': { productId: 17 },
    'a missing product': { qty: 2 },
    'nothing': {},
    'an unknown member': { productId: 17, qty: 2, price: 0 },
    'product zero': { productId: 0, qty: 2 },
    'a product in quotes': { productId: '17', qty: 2 },
    'a list at the top': [{ productId: 17, qty: 2 }],
    'a string at the top': '"order"',
    'a number at the top': '17',
    'null at the top': 'null',
};

for (const [name, body] of Object.entries(invalid)) {
    test(`422: ${name}`, async () => {
        const text = typeof body === 'string' ? body : JSON.stringify(body);
        const error = assertError(await post(text), 422, 'VALIDATION_ERROR');
        assert.ok(error.details.length >= 1);
        for (const detail of error.details) {
            assert.equal(typeof detail.field, 'string');
            assert.equal(typeof detail.reason, 'string');
        }
    });
}

test('404: a product that does not exist', async () => {
    assertError(await post('{"productId":1001,"qty":1}'), 404, 'NOT_FOUND');
});

test('404: a path that does not exist', async () => {
    for (const target of ['/nothing', '/products/17/x', '/PRODUCTS/17', '/products/17/', '/orders/', '//products/17']) {
        assertError(await galley.request('GET', target, { token }), 404, 'NOT_FOUND');
    }
});

test('405: a wrong method is told the right ones', async () => {
    const wrong = { 'GET /place-order': 'POST', 'DELETE /products/17': 'GET', 'POST /users/me': 'GET', 'PUT /healthz': 'GET' };
    for (const [line, allowed] of Object.entries(wrong)) {
        const answer = await galley.request(...line.split(' '), { token });
        assertError(answer, 405, 'METHOD_NOT_ALLOWED');
        assert.ok(answer.headers.allow.split(', ').includes(allowed), answer.headers.allow);
    }
});

test('501: a method that nobody knows', async () => {
    const connection = await galley.connect();
    connection.send('BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n');
    assertError(await connection.response(), 501, 'NOT_IMPLEMENTED');
    connection.destroy();
});

test('415: a body that is not JSON', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'json', '']) {
        assertError(await post('{"productId":17,"qty":2}', { 'content-type': type }), 415, 'UNSUPPORTED_MEDIA_TYPE');
    }
    assertError(await post('{"productId":17,"qty":2}', {}), 415, 'UNSUPPORTED_MEDIA_TYPE');
});

test('415: a body that is encoded, or of two types', async () => {
    const order = '{"productId":17,"qty":2}';
    assertError(await post(order, { ...JSON_TYPE, 'content-encoding': 'gzip' }), 415, 'UNSUPPORTED_MEDIA_TYPE');
    assertError(await post(order, { 'content-type': ['application/json', 'text/plain'] }), 415, 'UNSUPPORTED_MEDIA_TYPE');
});

test('422: a query parameter that is no text', async () => {
    for (const target of ['/products?limit=%ff', '/products?limit=%', '/orders?after=%00']) {
        assertError(await galley.request('GET', target, { token }), 422, 'VALIDATION_ERROR');
    }
});

test('parameters of the content type do not matter', async () => {
    const answer = await post('{"productId":18,"qty":2}', { 'content-type': 'Application/JSON; charset=utf-8' });
    assert.equal(answer.status, 201);
});

test('413: a body over the bound is refused before it is read', async () => {
    const connection = await galley.connect();
    connection.send(`POST /place-order HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n`
        + 'Content-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n');
    assertError(await connection.response(), 413, 'BODY_TOO_LARGE');
    connection.destroy();
});

test('413: a chunked body is refused where it passes the bound', async () => {
    const connection = await galley.connect();
    connection.send(`POST /place-order HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n`
        + 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    for (let i = 0; i < 17; i++) connection.send(chunk);
    assertError(await connection.response(), 413, 'BODY_TOO_LARGE');
    connection.destroy();
});

test('a body of exactly the bound is read', async () => {
    const order = '{"productId":18,"qty":2}';
    assert.equal((await post(order.padEnd(1 << 20))).status, 201);
    assertError(await post(order.padEnd((1 << 20) + 1)), 413, 'BODY_TOO_LARGE');
});

test('414 and 431: a head over the bound', async () => {
    assertError(await galley.request('GET', `/products/17?${'x'.repeat(10000)}`, { token }), 414, 'URI_TOO_LONG');
    assertError(await galley.request('GET', '/products/17', { token, headers: { 'x-long': 'x'.repeat(20000) } }),
        431, 'HEADER_TOO_LARGE');
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`x-${i}`, 'x']));
    assertError(await galley.request('GET', '/products/17', { token, headers: many }), 431, 'HEADER_TOO_LARGE');
});

test('400: paths that two readers would read differently', async () => {
    for (const target of ['/products/%00', '/products/1%2F7', '/products\\17', '/products/%zz', '/products/%', '/%ff']) {
        const connection = await galley.connect();
        connection.send(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
        assertError(await connection.response(), 400, 'MALFORMED_REQUEST');
        connection.destroy();
    }
});

test('dots in a path are resolved before it is routed', async () => {
    const connection = await galley.connect();
    connection.send(`GET /orders/./../x/%2e%2e/products/17 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    assert.equal((await connection.response()).status, 200);
    connection.destroy();
});

test('400: what is not HTTP is answered and closed', async () => {
    for (const bytes of ['\x16\x03\x01\x02\x00\x01\x00', 'hello\r\n\r\n', 'GET /\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n']) {
        const connection = await galley.connect();
        connection.send(Buffer.from(bytes, 'latin1'));
        assertError(await connection.response(), 400, 'MALFORMED_REQUEST');
        await connection.untilClosed();
    }
});

test('none of it harmed anything', assertUnharmed);
