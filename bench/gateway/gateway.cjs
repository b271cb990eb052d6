// A gateway of npm (fast-gateway), as many processes as there are processors: node gateway.cjs NODE_MODULES PORT UPSTREAM_PORT
const cluster = require('node:cluster');
const { createRequire } = require('node:module');
const { availableParallelism } = require('node:os');
const path = require('node:path');

const [modules, port, upstream] = process.argv.slice(2);

if (cluster.isPrimary) {
    for (let i = 0; i < availableParallelism(); i++) cluster.fork();
    process.on('SIGTERM', () => {
        for (const worker of Object.values(cluster.workers)) worker.kill();
    });
} else {
    const gateway = createRequire(path.resolve(modules, 'index.js'))('fast-gateway');
    const target = `http://127.0.0.1:${upstream}`;
    gateway({ routes: [{ prefix: '', pathRegex: '/*', target, fastProxy: { keepAliveMsecs: 60_000, maxSockets: 512 } }] })
        .start(Number(port), '127.0.0.1');
}
