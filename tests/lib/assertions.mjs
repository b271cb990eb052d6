// What several tests expect of answers.
import assert from 'node:assert/strict';

// The one shape of errors, with this status and code. Returns the error.
export function assertError(answer, status, code) {
    const seen = `${answer.status} ${answer.raw ?? JSON.stringify(answer.body)}`;
    assert.equal(answer.status, status, seen);
    const body = typeof answer.body === 'string' ? JSON.parse(answer.body) : answer.body;
    assert.deepEqual(Object.keys(body), ['error'], seen);
    assert.match(answer.headers['content-type'], /^application\/json/);
    const { error } = body;
    if (code) assert.equal(error.code, code, seen);
    assert.equal(typeof error.message, 'string');
    assert.equal(error.requestId, answer.headers['x-request-id']);
    assert.match(error.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    return error;
}

// How often each status occurs: { 201: 100, 409: 200 }.
export function statusCounts(answers) {
    const counts = {};
    for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
}
