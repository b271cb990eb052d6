// A mail server for tests, over real sockets: SMTP with STARTTLS or TLS, AUTH PLAIN and LOGIN.
//
//   const server = await startSmtp({ certificates, user: 'galley', password: 'secret' });
//   server.answers.RCPT = () => '550 5.1.1 no such user';    // instead of its own; null: none, it hangs
//   const [{ from, to, text }] = server.messages;            // text: bytes as they came, latin1, unstuffed
import net from 'node:net';
import { readFile } from 'node:fs/promises';
import tls from 'node:tls';
import { after } from 'node:test';

export async function startSmtp({ certificates, implicit = false, user, password, extensions = [], host = '127.0.0.1' } = {}) {
    const server = new SmtpServer({ user, password, extensions, implicit });
    if (certificates) {
        const [key, cert] = await Promise.all([readFile(certificates.key), readFile(certificates.cert)]);
        server.context = tls.createSecureContext({ key, cert });
    }
    await new Promise((resolve) => server.listener.listen(0, host, resolve));
    server.port = server.listener.address().port;
    after(() => server.stop());
    return server;
}

class SmtpServer {
    constructor(options) {
        Object.assign(this, options);
        this.messages = [];
        this.answers = {}; // VERB or GREETING or END: (line) => text
        this.commands = []; // verbs as they came, over all connections
        this.connections = 0;
        this.sockets = new Set();
        this.listener = net.createServer((socket) => this.#serve(socket));
    }

    async stop() {
        for (const socket of this.sockets) socket.destroy();
        await new Promise((resolve) => this.listener.close(resolve));
    }

    #serve(socket) {
        this.connections++;
        this.sockets.add(socket);
        socket.on('close', () => this.sockets.delete(socket));
        socket.on('error', () => {});
        const session = { socket, safe: false };
        if (this.implicit) this.#secure(session);
        this.#listen(session);
        this.#say(session, 'GREETING', '', () => '220 mail.test ESMTP');
    }

    #secure(session) {
        session.socket = new tls.TLSSocket(session.socket, { isServer: true, secureContext: this.context });
        session.socket.on('error', () => {});
        session.safe = true;
    }

    #listen(session) {
        session.input = '';
        session.socket.setEncoding('latin1').on('data', (text) => {
            session.input += text;
            this.#read(session);
        });
    }

    #read(session) {
        for (;;) {
            const end = session.input.indexOf(session.data ? '\r\n.\r\n' : '\r\n');
            if (end < 0) return;
            const line = session.input.slice(0, end);
            session.input = session.input.slice(end + (session.data ? 5 : 2));
            if (session.data) this.#end(session, line);
            else this.#command(session, line);
        }
    }

    #say(session, verb, line, own) {
        const answer = this.answers[verb] ?? own;
        const text = answer(line, session);
        if (text !== null && text !== undefined) session.socket.write(`${text}\r\n`);
        return text;
    }

    #end(session, text) {
        session.data = false;
        const answer = this.#say(session, 'END', text, () => '250 2.0.0 taken');
        if (!/^250/.test(answer ?? '')) return;
        this.messages.push({ from: session.from, to: session.to, safe: session.safe, raw: text,
            text: `${text}\r\n`.replace(/^\./gm, '') });
    }

    #command(session, line) {
        if (session.login) return this.#login(session, line);
        const verb = line.split(' ')[0].toUpperCase();
        this.commands.push(verb);
        const own = { EHLO: () => this.#hello(session), STARTTLS: () => '220 go ahead', RSET: () => '250 ok', QUIT: () => '221 bye',
            AUTH: () => this.#auth(session, line), MAIL: () => this.#mail(session, line),
            RCPT: () => ((session.to = /<(.*)>/.exec(line)[1]), '250 2.1.5 ok'), DATA: () => '354 go on' }[verb];
        const answer = this.#say(session, verb, line, own ?? (() => '502 5.5.1 no such command'));
        if (verb === 'DATA' && /^354/.test(answer ?? '')) session.data = true;
        if (verb === 'QUIT') session.socket.end();
        if (verb === 'STARTTLS' && /^220/.test(answer ?? '')) {
            session.socket.removeAllListeners('data');
            this.#secure(session);
            this.#listen(session);
        }
    }

    #hello(session) {
        const auth = this.user && (session.safe || !this.context) ? ['AUTH PLAIN LOGIN'] : [];
        const starttls = this.context && !session.safe ? ['STARTTLS'] : [];
        const all = ['mail.test', ...this.extensions, ...starttls, ...auth];
        return all.map((text, i) => `250${i + 1 < all.length ? '-' : ' '}${text}`).join('\r\n');
    }

    #mail(session, line) {
        if (this.user && !session.signedIn) return '530 5.7.0 authentication required';
        session.from = /<(.*?)>/.exec(line)[1];
        return '250 2.1.0 ok';
    }

    #auth(session, line) {
        const [, mechanism, first] = line.split(' ');
        session.login = { mechanism, given: [] };
        if (!first) return mechanism === 'PLAIN' ? '334 ' : '334 VXNlcm5hbWU6';
        this.#login(session, first);
        return null;
    }

    #login(session, line) {
        const { mechanism, given } = session.login;
        given.push(...Buffer.from(line, 'base64').toString().split('\0').filter((part) => part));
        if (mechanism === 'LOGIN' && given.length < 2) return session.socket.write('334 UGFzc3dvcmQ6\r\n');
        session.login = null;
        session.signedIn = given[0] === this.user && given.at(-1) === this.password;
        session.socket.write(session.signedIn ? '235 2.7.0 welcome\r\n' : '535 5.7.8 wrong user or password\r\n');
    }
}
