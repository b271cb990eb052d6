// Faults of the machine, put in by strace.
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';

import { eventually, withDeadline } from './galley.mjs';

const run = promisify(execFile);

// Makes system calls of the running server fail or take long, until the returned function is called:
//   const mend = await inject(galley, 'fdatasync', 'error=EIO');
// With a file's path only those on that file: `write` also wakes threads up. strace follows every thread: give the server few.
export async function inject(galley, calls, fault, file) {
    const arguments_ = ['-f', '-q', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', `inject=${calls}:${fault}`];
    if (file) arguments_.push('-P', file);
    const strace = spawn('strace', [...arguments_, '-p', String(galley.pid)], { stdio: 'ignore' });
    const gone = new Promise((resolve) => strace.on('close', resolve));
    await eventually('every thread is traced', async () => {
        const { stdout } = await run('sh', ['-c', `grep -h TracerPid /proc/${galley.pid}/task/*/status`]);
        return stdout.trim().split('\n').every((line) => line === `TracerPid:\t${strace.pid}`);
    });
    return async (signal = 'SIGINT') => {
        strace.kill(signal);
        await withDeadline('the end of strace', gone);
    };
}
