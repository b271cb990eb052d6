// A bare TCP or TLS connection that speaks whatever bytes a test gives it.
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';

const PATIENCE_MS = 60_000;

export class RawConnection {
    #received = Buffer.alloc(0);
    #closed = false;
    #wake = () => {};

    // `secure`: the options of tls.connect; without them no TLS.
    static async open(port, host = '127.0.0.1', localAddress = undefined, secure = undefined) {
        const connection = new RawConnection();
        await connection.#connect({ port, host, localAddress, noDelay: true, ...secure }, secure);
        return connection;
    }

    #connect(options, secure) {
        return new Promise((resolve, reject) => {
            this.socket = secure ? tls.connect(options, resolve) : net.connect(options, resolve);
            this.socket.on('error', reject); // after the connection stands: the end, seen by 'close'
            this.socket.on('data', (bytes) => {
                this.#received = Buffer.concat([this.#received, bytes]);
                this.#wake();
            });
            this.socket.on('close', () => {
                this.#closed = true;
                this.#wake();
            });
        });
    }

    get closed() {
        return this.#closed;
    }

    send(bytes) {
        this.socket.write(bytes);
    }

    // Ends our side; the other may still answer.
    end() {
        this.socket.end();
    }

    destroy() {
        this.socket.destroy();
    }

    // Waits until `ready` gives something for what was received so far.
    async #until(what, ready) {
        const deadline = Date.now() + PATIENCE_MS;
        for (;;) {
            const result = ready();
            if (result !== undefined) return result;
            assert.ok(Date.now() < deadline, `no ${what}; received: ${this.#received}`);
            await new Promise((resolve) => {
                const timer = setTimeout(resolve, deadline - Date.now());
                this.#wake = () => {
                    clearTimeout(timer);
                    resolve();
                };
            });
        }
    }

    // The next whole response: { status, headers, body }; null if the connection closed without one.
    response() {
        return this.#until('response', () => {
            const parsed = this.#takeResponse();
            return parsed ?? (this.#closed ? null : undefined);
        });
    }

    // All that was received, once the other side has closed.
    untilClosed() {
        return this.#until('end of the connection', () =>
            this.#closed ? this.#received.toString('latin1') : undefined);
    }

    #takeResponse() {
        const end = this.#received.indexOf('\r\n\r\n');
        if (end < 0) return undefined;
        const [first, ...lines] = this.#received.subarray(0, end).toString('latin1').split('\r\n');
        const headers = Object.fromEntries(lines.map((line) => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        }));
        const length = Number(headers['content-length'] ?? 0);
        if (this.#received.length < end + 4 + length) return undefined;
        const body = this.#received.subarray(end + 4, end + 4 + length).toString();
        this.#received = this.#received.subarray(end + 4 + length);
        return { status: Number(first.split(' ')[1]), headers, body };
    }
}
