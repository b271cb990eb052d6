// E-mail leaves the house: through a mail server over real sockets.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';

import { makeCertificates } from '../lib/certificates.mjs';
import { eventually, runGalley, startGalley, withDeadline } from '../lib/galley.mjs';
import { startSmtp } from '../lib/smtp_server.mjs';

const LETTER = 'Subject: hello\r\n\r\nhello\r\n';

// ---- One message, by tests/send_mail.c.

// Resolves with the lines it printed: one for each recipient, then the trouble.
function send({ port, url = `smtp://127.0.0.1:${port}`, ca = '', timeout = 60_000, to = ['bob@example.org'], text = LETTER, started }) {
    const program = path.join(process.env.GALLEY_TOOLS, 'send_mail');
    const child = spawn(program, [url, ca, `${timeout}`, 'shop@example.org', ...to], { stdio: ['pipe', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (more) => (out += more));
    child.stdin.end(text, 'utf8');
    started?.(child);
    return withDeadline('send_mail', new Promise((resolve) => child.on('close', () => resolve(out.trimEnd().split('\n')))));
}

test('a message arrives byte for byte, lines of dots included', async () => {
    const server = await startSmtp();
    const text = 'Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n\r\nb.\r\n.\r\n';
    assert.deepEqual(await send({ port: server.port, text }), ['OK ', 'no trouble']);
    const [message] = server.messages;
    assert.equal(message.text, text);
    assert.match(message.raw, /\r\n\.\.\r\n\.\.\.\r\n\.\.a\r\n/);
    assert.deepEqual([message.from, message.to], ['shop@example.org', 'bob@example.org']);
});

test('messages share a connection', async () => {
    const server = await startSmtp();
    await send({ port: server.port, to: ['a@x.org', 'b@x.org', 'c@x.org'] });
    assert.equal(server.messages.length, 3);
    assert.equal(server.connections, 1);
});

for (const implicit of [false, true]) {
    test(`a connection ends with QUIT, ${implicit ? 'under TLS' : 'in the clear'} too, and not in its middle`, async () => {
        const certificates = implicit ? await makeCertificates() : undefined;
        const server = await startSmtp({ certificates, implicit });
        const it = implicit ? { url: `smtps://localhost:${server.port}`, ca: path.join(certificates.dir, 'dev-ca.crt') } : { port: server.port };
        await send({ ...it, to: ['a@x.org', 'b@x.org'] });
        assert.equal(server.messages.length, 2);
        await eventually('it has said so', () => server.commands.includes('QUIT'));
        assert.equal(server.commands.indexOf('QUIT'), server.commands.length - 1);
    });
}

for (const [verb, answer, outcome, said] of [
    ['RCPT', '550 5.1.1 no such user', 'MALFORMED_REQUEST', 'answered RCPT with 550 5.1.1 no such user'],
    ['MAIL', '552 too large', 'MALFORMED_REQUEST', 'answered MAIL with 552 too large'],
    ['END', '554 this is spam', 'MALFORMED_REQUEST', 'answered DATA with 554 this is spam'],
    ['RCPT', '450 4.2.0 greylisted', 'INTERNAL_ERROR', '450 4.2.0 greylisted'],
    ['END', '451 disk full', 'INTERNAL_ERROR', '451 disk full'],
]) {
    test(`${answer} to ${verb} is ${outcome === 'INTERNAL_ERROR' ? 'temporary' : 'permanent'}, and no trouble`, async () => {
        const server = await startSmtp();
        server.answers[verb] = () => answer;
        const [first, ...rest] = await send({ port: server.port });
        assert.ok(first.startsWith(`${outcome} `) && first.includes(said), first);
        assert.deepEqual(rest, ['no trouble']);
        assert.equal(server.messages.length, 0);
    });
}

for (const [verb, answer] of [['GREETING', '554 go away'], ['EHLO', '550 not you'], ['MAIL', '530 sign in'],
    ['MAIL', '550 5.7.1 not your address'], ['MAIL', '553 sender unknown'], ['RCPT', '421 closing']]) {
    test(`${answer} to ${verb} is temporary and a trouble: it is not about the message`, async () => {
        const server = await startSmtp();
        server.answers[verb] = () => answer;
        server.answers.HELO = server.answers[verb];
        const [first, trouble] = await send({ port: server.port });
        assert.match(first, /^INTERNAL_ERROR /);
        assert.match(trouble, /cannot be reached or refuses us/);
    });
}

test('a recipient is refused after another was taken, and the next is served', async () => {
    const server = await startSmtp();
    server.answers.RCPT = (line, session) => {
        if (/bad/.test(line)) return '550 no';
        session.to = /<(.*)>/.exec(line)[1];
        return '250 ok';
    };
    const lines = await send({ port: server.port, to: ['a@x.org', 'bad@x.org', 'c@x.org'] });
    assert.deepEqual(lines.map((line) => line.split(' ')[0]), ['OK', 'MALFORMED_REQUEST', 'OK', 'no']);
    assert.deepEqual(server.messages.map(({ to }) => to), ['a@x.org', 'c@x.org']);
});

test('a server that nobody runs is a trouble', async () => {
    const server = await startSmtp();
    await server.stop();
    const [first, trouble] = await send({ port: server.port });
    assert.match(first, /^INTERNAL_ERROR the mail server: .*connect/i);
    assert.match(trouble, /cannot be reached/);
});

for (const verb of ['GREETING', 'EHLO', 'MAIL', 'DATA', 'END']) {
    test(`a server that does not answer ${verb} costs the timeout, and no longer`, async () => {
        const server = await startSmtp();
        server.answers[verb] = () => null;
        const [first, trouble] = await send({ port: server.port, timeout: 200 });
        assert.match(first, /^INTERNAL_ERROR /);
        assert.match(trouble, /does not answer in time/);
    });

    test(`a stop ends the wait for an answer to ${verb}`, async () => {
        const server = await startSmtp();
        let child;
        server.answers[verb] = () => {
            child.kill('SIGTERM');
            return null;
        };
        const [first] = await send({ port: server.port, timeout: 600_000, started: (it) => (child = it) });
        assert.match(first, /^DRAINING /);
    });
}

test('a server that says no and then hangs does not hold us', async () => {
    const server = await startSmtp();
    server.answers.RCPT = () => '550 no';
    server.answers.QUIT = () => null;
    const [first] = await send({ port: server.port, timeout: 200 });
    assert.match(first, /^MALFORMED_REQUEST .* 550 no/);
});

// ---- TLS and signing in

test('a password never travels without TLS, unless the server is on this machine', async () => {
    const far = await send({ url: 'smtp://u:p@192.0.2.1:25' });
    assert.match(far[0], /a password is not sent to another machine with tls = no/);
});

test('a server that offers no STARTTLS gets no message', async () => {
    const { dir } = await makeCertificates();
    const server = await startSmtp();
    const [first, trouble] = await send({ port: server.port, ca: path.join(dir, 'dev-ca.crt') });
    assert.match(first, /^INTERNAL_ERROR /);
    assert.match(trouble, /cannot be made safe/);
    assert.ok(!server.commands.includes('MAIL'));
});

for (const implicit of [false, true]) {
    const scheme = implicit ? 'smtps' : 'smtp';

    test(`${scheme}:// is TLS with a certificate that is checked`, async () => {
        const certificates = await makeCertificates();
        const others = await makeCertificates();
        const server = await startSmtp({ certificates, implicit, user: 'galley', password: 'p@ss:word' });
        const url = `${scheme}://galley:p%40ss%3Aword@localhost:${server.port}`;

        const [ours] = await send({ url, ca: path.join(certificates.dir, 'dev-ca.crt') });
        assert.equal(ours, 'OK ');
        assert.equal(server.messages[0].safe, true);

        const [foreign, trouble] = await send({ url, ca: path.join(others.dir, 'dev-ca.crt') });
        assert.match(foreign, /^INTERNAL_ERROR .*certificate/i);
        assert.match(trouble, /cannot be made safe/);

        const [wrong, refusal] = await send({ url: url.replace('word', 'wort'), ca: path.join(certificates.dir, 'dev-ca.crt') });
        assert.match(wrong, /^INTERNAL_ERROR .*535 5\.7\.8 wrong user or password/);
        assert.ok(!wrong.includes('wort'));
        assert.match(refusal, /refuses our user or password/);
        assert.equal(server.messages.length, 1);
    });

    test(`a certificate of another name is refused with ${scheme}://`, async () => {
        const certificates = await makeCertificates();
        const server = await startSmtp({ certificates, implicit, host: '127.0.0.2' });
        const [first] = await send({ url: `${scheme}://127.0.0.2:${server.port}`, ca: path.join(certificates.dir, 'dev-ca.crt') });
        assert.match(first, /^INTERNAL_ERROR .*127\.0\.0\.2/);
        assert.equal(server.messages.length, 0);
    });
}

// ---- Jobs

const order = (galley, token) => galley.request('POST', '/place-order', { token, json: { productId: 17, qty: 2 } });

const configured = (server, more = {}) => ({
    config: { mail: { smtp: `smtp://127.0.0.1:${server.port}`, tls: 'no', from: 'Jörgs Laden <shop@example.org>', ...more } },
});

const jobs = async (galley, state) => {
    const count = await galley.metric(`galley_queue_jobs{queue="mail",state="${state}"}`);
    return count > 0;
};

test('an order is confirmed by a message with TLS, a password from a file and a name like Jörg', async () => {
    const certificates = await makeCertificates();
    const server = await startSmtp({ certificates, user: 'galley', password: 'from a file' });
    const secret = path.join(certificates.dir, 'password');
    await writeFile(secret, 'from a file\n');
    const galley = await startGalley(configured(server, { smtp: `smtp://localhost:${server.port}`, tls: 'yes', user: 'galley',
        password: `@${secret}`, ca: path.join(certificates.dir, 'dev-ca.crt') }));
    const token = await galley.login();
    await galley.request('PATCH', '/users/me', { token, json: { name: 'Jörg' } });
    const { body } = await order(galley, token);
    const [message] = await eventually('it arrives', () => server.messages.length > 0 && server.messages);
    assert.deepEqual([message.from, message.to, message.safe], ['shop@example.org', 'alice@example.com', true]);
    const [head, text] = message.text.split('\r\n\r\n');
    assert.match(head, /^From: =\?utf-8\?B\?SsO2cmdzIExhZGVu\?= <shop@example\.org>$/m);
    assert.match(head, /^To: alice@example\.com$/m);
    assert.match(head, /^Subject: Your order$/m);
    assert.match(head, /^Message-ID: <[0-9a-f-]{36}@example\.org>$/m);
    assert.match(head, /^Content-Transfer-Encoding: base64$/m);
    const said = Buffer.from(text, 'base64').toString();
    assert.ok(said.startsWith(`Hello Jörg,\r\n\r\nthank you for your order ${body.orderId}:\r\n`), said);
    assert.ok(!galley.log().includes('from a file'));
});

test('a refused recipient makes a dead job with the reason', async () => {
    const server = await startSmtp();
    server.answers.RCPT = () => '550 5.1.1 no such user';
    const galley = await startGalley(configured(server));
    await order(galley, await galley.login());
    await eventually('it is dead', () => jobs(galley, 'dead'));
    assert.equal((await galley.request('GET', '/readyz')).body.status, 'ready');
});

test('a mail server that refuses our sender is an alarm, and the messages wait for its end', async () => {
    const server = await startSmtp();
    server.answers.MAIL = () => '550 5.7.1 not your address';
    const galley = await startGalley(configured(server));
    const administrator = await galley.administrator();
    await order(galley, await galley.login());
    await eventually('it waits', () => jobs(galley, 'retrying'));
    assert.equal((await galley.request('GET', '/readyz')).body.status, 'degraded');
    delete server.answers.MAIL;
    const [job] = await retrying(galley, administrator);
    assert.equal((await administrator('jobs/retry', { id: job.id })).status, 204);
    await eventually('it arrives', () => server.messages.length === 1);
    await eventually('no alarm', async () => (await galley.request('GET', '/readyz')).body.status === 'ready');
});

test('after a temporary error the message is sent, with the same Message-ID', async () => {
    const server = await startSmtp();
    const seen = [];
    server.answers.END = (text) => {
        seen.push(/^Message-ID: (.*)$/m.exec(text)[1]);
        return seen.length === 1 ? '451 4.3.0 later' : '250 ok';
    };
    const galley = await startGalley(configured(server));
    const administrator = await galley.administrator();
    await order(galley, await galley.login());
    await eventually('it waits', () => jobs(galley, 'retrying'));
    const [job] = await retrying(galley, administrator);
    assert.match(job.reason, /451 4\.3\.0 later/);
    assert.equal((await administrator('jobs/retry', { id: job.id })).status, 204);
    await eventually('it is done', () => jobs(galley, 'completed'));
    assert.equal(seen.length, 2);
    assert.equal(seen[0], seen[1]);
});

async function retrying(galley, administrator) {
    const { body } = await administrator.get('jobs?queue=mail&state=retrying');
    return body.data;
}

test('a mail server that is gone is an alarm, until it is back', async () => {
    const server = await startSmtp();
    server.answers.GREETING = () => '421 closed';
    const galley = await startGalley(configured(server));
    const administrator = await galley.administrator();
    await order(galley, await galley.login());
    await eventually('it is an alarm', async () => (await galley.request('GET', '/readyz')).body.alarms?.[0]?.includes('the mail server'));
    delete server.answers.GREETING;
    const [job] = await eventually('it waits', async () => {
        const waiting = await retrying(galley, administrator);
        return waiting.length > 0 && waiting;
    });
    await administrator('jobs/retry', { id: job.id });
    await eventually('it is over', async () => !(await galley.request('GET', '/readyz')).body.alarms);
    assert.equal(server.messages.length, 1);
});

test('a hanging mail server holds neither orders nor a stop, and the attempt does not count', async () => {
    const server = await startSmtp();
    server.answers.END = () => null;
    const galley = await startGalley(configured(server, { timeout: '10min' }));
    const token = await galley.login();
    for (let i = 0; i < 3; i++) assert.equal((await order(galley, token)).status, 201);
    await eventually('it hangs', () => server.commands.includes('DATA'));
    await galley.stop();
    delete server.answers.END;
    await galley.start();
    await eventually('all arrive', () => server.messages.length === 3);
});

test('a kill -9 in the middle of a message sends it again, as the same message', async () => {
    const server = await startSmtp();
    const seen = [];
    server.answers.END = (text) => {
        seen.push(/^Message-ID: (.*)$/m.exec(text)[1]);
        return seen.length === 1 ? null : '250 ok';
    };
    const galley = await startGalley(configured(server));
    await order(galley, await galley.login());
    await eventually('the server has it', () => seen.length === 1);
    await galley.kill9();
    await galley.start();
    await eventually('it came again', () => seen.length === 2);
    assert.equal(seen[0], seen[1]);
});

for (const [mail, said] of [
    [{ smtp: 'http://x.org', from: 'a@b.c' }, /\[mail\] smtp: it is no address of the form smtps:/],
    [{ smtp: 'smtps://mail.x.org:465' }, /\[mail\] from: NAME <ADDRESS> or an address \(ASCII\) is needed/],
    [{ smtp: 'smtps://mail.x.org:465', from: 'Jörg <jörg@x.org>' }, /\[mail\] from: /],
    [{ smtp: 'smtps://mail.x.org:465', from: 'a@x.org', ca: '/nowhere/ca.pem' }, /\[mail\] ca: \/nowhere\/ca\.pem/],
    [{ smtp: 'smtp://u:p@mail.x.org', from: 'a@x.org', tls: 'no' }, /a password is not sent to another machine/],
]) {
    test(`${JSON.stringify(mail)} is refused and says why`, async () => {
        const galley = await startGalley();
        await galley.stop();
        await galley.configure({ mail });
        const { status, stderr } = await runGalley(['serve'], { cwd: galley.dir });
        assert.equal(status, 2);
        assert.match(stderr, said);
        assert.ok(!/u:p@/.test(stderr));
    });
}
