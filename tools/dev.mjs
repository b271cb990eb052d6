// make dev [ARGS="--listen :9000"]: builds without LTO, serves, and does both again whenever a source file changes. A change that
// does not build leaves the server that runs.
import { spawn } from 'node:child_process';
import { existsSync, watch } from 'node:fs';

const FOLDERS = ['base', 'storage', 'cache', 'queue', 'server', 'modules', 'admin-ui'];
const FILES = /\.(c|h|patch|mjs|js|css|html|svg|json|ini)$/;
const SETTLED_MS = 50; // editors write a file in several steps
const args = process.argv.slice(2);

let server, building, again, timer;

const run = (command, options) => new Promise((resolve) => {
    const child = spawn(command[0], command.slice(1), { stdio: 'inherit' });
    options?.started?.(child);
    child.on('close', resolve);
});

async function stop() {
    if (!server) return;
    const gone = new Promise((resolve) => server.on('close', resolve));
    server.kill('SIGTERM');
    await gone;
}

function start() {
    const child = spawn('build/dev/galley', ['serve', ...args], { stdio: 'inherit' });
    server = child;
    child.on('close', () => {
        if (server === child) server = undefined;
    });
}

async function build() {
    if (building) return void (again = true);
    building = true;
    const began = Date.now();
    const status = await run(['make', '--no-print-directory', 'VARIANT=dev']);
    console.log(status === 0 ? `built in ${((Date.now() - began) / 1000).toFixed(1)} s` : 'does not build; what ran before runs on');
    if (status === 0) {
        await stop();
        start();
    }
    building = false;
    if (again) {
        again = false;
        build();
    }
}

for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, async () => {
        await stop();
        process.exit(0);
    });
}

const changed = (_, name) => {
    if (name && !FILES.test(name)) return;
    clearTimeout(timer);
    timer = setTimeout(build, SETTLED_MS);
};
for (const folder of FOLDERS) if (existsSync(folder)) watch(folder, { recursive: true }, changed);
if (existsSync('config.ini')) watch('config.ini', changed);
build();
