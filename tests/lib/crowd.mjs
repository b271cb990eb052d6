// Crowds of clients, by bench/crowd: thousands of connections that one node process could not hold.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { after } from 'node:test';
import { createInterface } from 'node:readline';

import { withDeadline } from './galley.mjs';

const program = path.resolve(process.env.GALLEY_TOOLS ?? 'build/tests', 'crowd');

// Begins one; it goes on until end(), or for `seconds`. Ready when all its clients have come as far as
// their kind does: `settled` of them got there, `failed` did not.
//   const crowd = await beginCrowd('heads', galley.port, { clients: 1000 });
//   const { standing, lost } = await crowd.end();
export async function beginCrowd(kind, port, options = {}) {
    const all = { seconds: 600, ...options };
    const settings = Object.entries(all).map(([key, value]) => `${key}=${value}`);
    const child = spawn(program, [kind, String(port), ...settings], { stdio: ['ignore', 'pipe', 'inherit'] });
    after(() => child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async (what) => {
        const { value, done } = await withDeadline(`${kind}: ${what}`, lines.next(), (all.seconds + 60) * 1000);
        if (done) throw new Error(`the crowd of ${kind} ended without its ${what}`);
        return value.split(' ');
    };
    const [, settled, failed] = await next('readiness');
    const finish = async () => {
        const words = await next('report');
        return Object.fromEntries(words.flatMap((word, i) => (i % 2 ? [] : [[word, Number(words[i + 1])]])));
    };
    return {
        settled: Number(settled),
        failed: Number(failed),
        finish, // its report, when its seconds are over
        end() {
            child.kill('SIGTERM');
            return finish();
        },
    };
}

// One that runs for its seconds: its report.
export async function runCrowd(kind, port, options) {
    const crowd = await beginCrowd(kind, port, options);
    return { failed: crowd.failed, ...await crowd.finish() };
}
