// The program from the shell.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';

import { binary, configText, eventually, runGalley, startGalley } from '../lib/galley.mjs';

async function directory(t, config) {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'galley-cli-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    if (config !== undefined) await writeFile(path.join(dir, 'config.ini'), config);
    return dir;
}

test('version prints one line', async () => {
    assert.deepEqual(await runGalley(['version']), { status: 0, stdout: 'galley 0.1.0\n', stderr: '' });
});

test('help lists the commands, and says more about one', async () => {
    const all = await runGalley(['help']);
    assert.equal(all.status, 0);
    for (const command of ['serve', 'check', 'reload', 'cert', 'backup', 'restore', 'user', 'admin', 'new', 'version', 'help']) {
        assert.match(all.stdout, new RegExp(`^  galley ${command}`, 'm'));
        const one = await runGalley(['help', command]);
        assert.equal(one.status, 0);
        assert.match(one.stdout, new RegExp(`^galley ${command}`));
        for (const line of one.stdout.split('\n')) assert.ok(line.length <= 96, line);
    }
});

test('docs/config.md is help config own, word for word; help config has the modules\' sections too', async () => {
    const { status, stdout } = await runGalley(['help', 'config', 'own']);
    assert.equal(status, 0);
    assert.equal(await readFile(new URL('../../docs/config.md', import.meta.url), 'utf8'), stdout, 'make docs');
    const all = await runGalley(['help', 'config']);
    assert.match(all.stdout, /## \[shop\]/);
    assert.match(all.stdout, /one of: app:auth app:locks app:shop/);
});

test('--help and -h explain, wherever they stand', async () => {
    const all = await runGalley(['help']);
    for (const args of [['--help'], ['-h']]) assert.deepEqual(await runGalley(args), all);
    for (const command of ['serve', 'check', 'reload', 'cert', 'version', 'help']) {
        const one = await runGalley(['help', command]);
        for (const flag of ['--help', '-h']) assert.deepEqual(await runGalley([command, flag]), one);
    }
});

test('a slip in a command or option is answered with the nearest one', async () => {
    const command = await runGalley(['sevre']);
    assert.equal(command.status, 2);
    assert.match(command.stderr, /no command sevre; did you mean serve\?/);
    const option = await runGalley(['serve', '--lisen', '127.0.0.1:0']);
    assert.equal(option.status, 2);
    assert.match(option.stderr, /no option --lisen; did you mean --listen\?/);
    const value = await runGalley(['serve', '-c']);
    assert.equal(value.status, 2);
    assert.match(value.stderr, /-c wants a value/);
});

test('check reads config.ini of the working directory, or another', async (t) => {
    const dir = await directory(t, configText());
    assert.deepEqual(await runGalley(['check'], { cwd: dir }), { status: 0, stdout: 'config.ini: ok\n', stderr: '' });
    const elsewhere = await runGalley(['check', '-c', path.join(dir, 'config.ini')]);
    assert.equal(elsewhere.status, 0);
});

test('an option without a value takes none', async () => {
    const { status, stderr } = await runGalley(['reload', '--json=yes']);
    assert.equal(status, 2);
    assert.match(stderr, /there is no option --json=yes/);
});

test('reload says so when no server runs', async (t) => {
    const dir = await directory(t, configText());
    const absent = await runGalley(['reload'], { cwd: dir });
    assert.deepEqual([absent.status, absent.stderr], [1, 'galley reload: data directory ./data: No such file or directory\n']);
    await mkdir(path.join(dir, 'data'));
    const idle = await runGalley(['reload'], { cwd: dir });
    assert.deepEqual([idle.status, idle.stderr], [1, 'galley reload: data directory ./data: no server runs on it\n']);
});

test('an absent configuration says what to do', async (t) => {
    const dir = await directory(t);
    for (const command of ['check', 'serve']) {
        const { status, stdout, stderr } = await runGalley([command], { cwd: dir });
        assert.deepEqual([status, stdout], [2, '']);
        assert.equal(stderr, `galley: there is no configuration: neither config.ini in ${dir} nor /etc/galley/config.ini; `
            + 'name one with -c FILE, or see galley serve --defaults\n');
    }
});

test('without a configuration it serves on defaults, if asked', async (t) => {
    const galley = await startGalley({ config: 'this would be an error\n', args: ['--defaults', '--listen', '127.0.0.1:0'] });
    assert.equal((await galley.request('GET', '/healthz')).status, 200);
    assert.equal((await galley.request('GET', '/products')).status, 404);
    assert.ok(existsSync(path.join(galley.dir, 'data/data.mdb')));
    assert.equal((await runGalley(['reload', '--data', 'data'], { cwd: galley.dir })).status, 0);
    const both = await runGalley(['serve', '--defaults', '-c', 'config.ini'], { cwd: galley.dir });
    assert.deepEqual([both.status, both.stderr], [2, 'galley serve: --defaults reads no file, and -c names one\n']);
});

// What each usage line has that one types as it stands there.
const optionsOf = (help) => [...help.split('\n\n')[0].matchAll(/(?<![\w-])--?(?:[a-z]+|[A-Z])/g)].map(([option]) => option);

test('the manual page has every command with its text', async () => {
    const { stdout: page } = await runGalley(['help', 'man']);
    const plain = page.replaceAll('\\-', '-').replaceAll('\\&', '');
    const names = [...(await runGalley(['help'])).stdout.matchAll(/^  galley (\w+)/gm)].map(([, name]) => name);
    assert.ok(names.length >= 12);
    for (const name of new Set(names)) {
        const [usage, text] = (await runGalley(['help', name])).stdout.split('\n\n');
        assert.ok(plain.includes(`.SS ${name}\n.nf\n${usage}\n.fi\n.PP\n${text.trimEnd()}\n`), name);
    }
});

test('bash completes commands, actions, options and files', async (t) => {
    const dir = await directory(t, '');
    const script = (await runGalley(['help', 'completion'])).stdout;
    await writeFile(path.join(dir, 'galley.bash'), script);
    const complete = async (...words) => {
        const line = `source galley.bash; COMP_WORDS=(galley "$@"); COMP_CWORD=$#; _galley; echo "\${COMPREPLY[*]}"`;
        return (await promisify(execFile)('bash', ['-c', line, 'bash', ...words], { cwd: dir })).stdout.trim().split(' ');
    };
    assert.deepEqual(await complete('re'), ['reload', 'restore']);
    assert.deepEqual(await complete('user', 'r'), ['roles', 'remove']);
    assert.deepEqual(await complete('help', 'c'), ['check', 'collections', 'cert', 'config', 'completion']);
    assert.deepEqual(await complete('serve', '-c', ''), ['']); // bash completes files then
    for (const name of await complete('')) {
        const options = new Set(optionsOf((await runGalley(['help', name])).stdout));
        assert.deepEqual((await complete(name, '-')).filter(Boolean), [...options], name);
    }
});

test('a wrong configuration starts nothing and tells all its errors', async (t) => {
    const dir = await directory(t, '[server]\nlisten = 127.0.0.1:0\nworker = 8\nhead_timeout = 10\n[cash]\n');
    for (const command of ['check', 'serve']) {
        const { status, stdout, stderr } = await runGalley([command], { cwd: dir });
        assert.deepEqual([status, stdout], [2, '']);
        assert.deepEqual(stderr.trimEnd().split('\n'), [
            'config.ini:3: [server] worker: unknown key; did you mean workers?',
            'config.ini:4: [server] head_timeout: read "10"; allowed: a duration in ms, s, min, h or d from 100ms to 1h',
            'config.ini:5: [cash] unknown section; did you mean cache?',
        ]);
    }
    assert.equal(existsSync(path.join(dir, 'data')), false);
});

test('a route that leads to nothing is an error of the configuration', async (t) => {
    const dir = await directory(t, '[server]\nlisten = 127.0.0.1:0\n[route a]\npath = /*\ntarget = app:shop\n'
        + '[route b]\npath = /nowhere\ntarget = app:shop\n[route c]\npath = /products\nmethod = DELETE\ntarget = app:shop\n');
    for (const command of ['check', 'serve']) {
        const { status, stdout, stderr } = await runGalley([command], { cwd: dir });
        assert.deepEqual([status, stdout], [2, '']);
        assert.deepEqual(stderr.trimEnd().split('\n'), [
            'config.ini:6: [route b] mounts nothing: app:shop has no such route, or a closer section has it',
            'config.ini:9: [route c] mounts nothing: app:shop has no such route, or a closer section has it',
        ]);
    }
    assert.equal(existsSync(path.join(dir, 'data')), false);
});

test('the development data is refused beyond loopback, also from the command line', async (t) => {
    const dir = await directory(t, configText());
    const { status, stderr } = await runGalley(['serve', '--listen', '0.0.0.0:0'], { cwd: dir });
    assert.equal(status, 2);
    assert.match(stderr, /^config\.ini:\d+: \[shop\] seed: .*known password.*0\.0\.0\.0:0/);
});

test('--listen and --data win over the file', async () => {
    const galley = await startGalley({
        config: { server: { listen: '192.0.2.1:1', data: '/nonexistent/x' }, shop: { seed: 'yes' } },
        args: ['--listen', '127.0.0.1:0', '--data', 'elsewhere'],
    });
    assert.equal((await galley.request('GET', '/healthz')).status, 200);
    assert.ok(existsSync(path.join(galley.dir, 'elsewhere')));
});

test('a directory that another process serves from is left alone', async () => {
    const first = await startGalley();
    const second = await runGalley(['serve'], { cwd: first.dir });
    assert.equal(second.status, 1);
    assert.match(second.stderr, /galley: cannot start: data directory \S+: another process serves from it\n$/);
    assert.equal((await first.request('GET', '/healthz')).status, 200);
});

test('a port that is taken is said so', async (t) => {
    const first = await startGalley();
    const dir = await directory(t, configText({ server: { listen: `127.0.0.1:${first.port}` } }));
    const second = await runGalley(['serve'], { cwd: dir });
    assert.equal(second.status, 1);
    assert.match(second.stderr, new RegExp(`galley: cannot start: .*${first.port}`));
});

test('the banner says where, what and how durable', async () => {
    const galley = await startGalley();
    const lines = galley.stdout.split('\n');
    assert.equal(lines[0], 'galley 0.1.0');
    assert.equal(lines[1], `listening on http://127.0.0.1:${galley.port}`);
    assert.match(lines[2], new RegExp(`^data +${galley.dataDir}$`));
    assert.match(lines[3], /^durability +every answer after fsync$/);
    const last = galley.stdout.trimEnd().split('\n').at(-1); // where one looks
    assert.match(last, new RegExp(`^admin +${galley.url}/_/setup\\?token=\\S+`));
});

test('the one-time link is the last thing that a start says', async (t) => {
    const dir = await directory(t, '[server]\nlisten = 127.0.0.1:0\n[route shop]\npath = /*\ntarget = app:shop\n');
    const child = execFile('sh', ['-c', 'exec "$0" serve 2>&1', binary], { cwd: dir });
    let said = '';
    child.stdout.on('data', (text) => (said += text));
    await eventually('it has started', () => /started on.*\n/.test(said) && /setup\?token=.*\n/.test(said));
    const ended = new Promise((resolve) => child.on('close', resolve));
    child.kill();
    await ended;
    assert.match(said, /"started on[^\n]*\ngalley 0\.1\.0\n[^]*\nadmin [^\n]*setup\?token=[^\n]*\n\{[^\n]*Terminated received/);
});

test('an address of IPv6 stands in brackets, wherever it is said', async () => {
    const galley = await startGalley({ config: { server: { listen: '[::1]:0' } } });
    assert.match(galley.stdout, new RegExp(`^admin +http://\\[::1\\]:${galley.port}/_/setup`, 'm'));
    await eventually('it is logged', () => galley.log().includes(`started on [::1]:${galley.port} with `));
});

test('a signing key that is none, or that others may read, is refused', async () => {
    const galley = await startGalley({ config: { auth: null } });
    const key = path.join(galley.dataDir, 'signing.key');
    await galley.stop();
    const refused = async (why) => {
        const { status, stderr } = await runGalley(['serve'], { cwd: galley.dir });
        assert.equal(status, 1);
        assert.match(stderr, why);
    };
    await chmod(key, 0o640);
    await refused(/cannot start: .*signing\.key: others may read it; make its mode 0600/);
    await chmod(key, 0o600);
    await writeFile(key, 'short');
    await refused(/cannot start: .*signing\.key: it has 5 bytes; a key has 64/);
});

test('the three curl lines of the banner work when pasted into a shell', async () => {
    const galley = await startGalley();
    const lines = galley.stdout.split('\n').filter((line) => line.includes('curl -s '));
    assert.equal(lines.length, 3);
    const { stdout } = await promisify(execFile)('sh', ['-c', lines.join('\n')]);
    const [product, order] = stdout.trim().split('\n').map((line) => JSON.parse(line));
    assert.equal(product.id, 17);
    assert.equal(order.status, 'placed');
});

test('without the development data there are no lines to paste', async () => {
    const galley = await startGalley({ config: { shop: { seed: 'no' } } });
    assert.doesNotMatch(galley.stdout, /curl|secret/);
});

test('galley check warns of what no [route] mounts, and of an empty file', async (t) => {
    const dir = await directory(t, '[route p]\npath = /products/*\ntarget = app:shop\n[route o]\npath = /orders/*\ntarget = app:shop\n');
    const some = await runGalley(['check'], { cwd: dir });
    assert.deepEqual([some.status, some.stdout], [0, 'config.ini: ok\n']);
    assert.equal(some.stderr, 'config.ini: warning: no [route] mounts POST /place-order of module shop\n');
    await writeFile(path.join(dir, 'config.ini'), '');
    const none = await runGalley(['check'], { cwd: dir });
    assert.equal(none.status, 0);
    assert.match(none.stderr, /config\.ini: warning: it is empty: .*\n.*no \[route\] mounts module shop, so none of its 5 routes is served; allowed: \[route shop\], path = \/\*, /);
});

// Each by itself keeps the server from starting.
const REFUSED = [
    ['[mail]\nsmtp = mail.example.org:465\nfrom = a@b.c\n', '2: [mail] smtp: it is no address of the form smtps://host:465 or smtp://host:587'],
    ['[mail]\nsmtp = foo\nfrom = a@b.c\n', '2: [mail] smtp: it is no address of the form smtps://host:465 or smtp://host:587'],
    ['[server]\n= ./data\n', '2: the name of a key is missing before ='],
    ['[mail]\nsmtp = smtp://localhost:25\n', '1: [mail] from: NAME <ADDRESS> or an address (ASCII) is needed'],
    ['[mail]\n\nfrom = nobody\n', '3: [mail] from: NAME <ADDRESS> or an address (ASCII) is needed'],
    ['[mail]\nsmtp = smtp://localhost:25\nfrom = a@b.c\nca = ./none.pem\n', '4: [mail] ca: ./none.pem: No such file or directory'],
    ['[auth]\nregister_roles = ad min\n', '2: [auth] register_roles: read "ad min"; allowed: a role: 1 to 32 letters, digits and _ . : -'],
    ['[auth]\nregister_roles = a,b,c,d,e,f,g,h,i\n', '2: [auth] register_roles: A user has at most 8 roles, each of 1 to 32 letters, digits and _ . : -'],
    ['[route shop]\npath = /*\ntarget = app:shop\nroles = a b\n', '4: [route shop] roles: read "a b"; allowed: a role: 1 to 32 letters, digits and _ . : -'],
    ['[listener a]\naddress = 127.0.0.1:8080\n', '2: [listener a] address: read "127.0.0.1:8080", but [server] listens there'],
    ['[listener a]\naddress = 0.0.0.0:9001\n[listener b]\naddress = 127.0.0.1:9001\n', '4: [listener b] address: read "127.0.0.1:9001", but [listener a] listens there'],
    ['[admin]\nlisten = 127.0.0.1:8080\n', '2: [admin] listen: read "127.0.0.1:8080", but [server] listens there'],
];

test('galley check refuses what a start would refuse, with its line', async (t) => {
    for (const [text, said] of REFUSED) {
        const dir = await directory(t, text);
        const { status, stderr } = await runGalley(['check'], { cwd: dir });
        assert.deepEqual([status, stderr], [2, `config.ini:${said}\n`]);
    }
});

test('what only the server needs keeps nobody from a backup or a user, nor does another working directory', async () => {
    const galley = await startGalley();
    await galley.configure({ 'listener web': { address: '127.0.0.1:0', tls_cert: 'gone.crt', tls_key: 'gone.key' } });
    const config = path.join(galley.dir, 'config.ini');
    assert.match((await runGalley(['check'], { cwd: galley.dir })).stderr, /gone\.crt: No such file/);
    assert.deepEqual((await runGalley(['backup', 'now.tar'], { cwd: galley.dir })).stderr, '');
    assert.equal((await runGalley(['user', 'list'], { cwd: galley.dir })).status, 0);
    const reload = await runGalley(['reload', '-c', config], { cwd: galley.dir });
    assert.equal(reload.status, 1);
    assert.match(reload.stderr, /gone\.crt: No such file/);
});

test('galley check warns of a user and a folder that this machine has not', async (t) => {
    const dir = await directory(t, '[server]\nuser = nobody-of-that-name\n[log]\nfile = logs/galley.log\n[route shop]\npath = /*\ntarget = app:shop\n');
    assert.deepEqual(await runGalley(['check'], { cwd: dir }), { status: 0, stdout: 'config.ini: ok\n',
        stderr: 'config.ini:2: warning: [server] user = nobody-of-that-name: there is no such user\n'
            + 'config.ini:4: warning: [log] file = logs/galley.log: there is no folder logs\n' });
});

test('galley new module writes a module and its test, once', async (t) => {
    const dir = await directory(t, '');
    const make = (...args) => runGalley(['new', ...args], { cwd: dir });
    assert.match((await make('module', 'tasks')).stderr, /not Galley's source folder/);
    for (const folder of ['modules', 'tests/api']) await mkdir(path.join(dir, folder), { recursive: true });
    const made = await make('module', 'tasks');
    assert.equal(made.status, 0);
    assert.match(made.stdout, /\[route tasks\]\npath = \/tasks\/\*\ntarget = app:tasks\n/);
    const module = await readFile(path.join(dir, 'modules/tasks.c'), 'utf8');
    assert.match(module, /const struct app_module tasks_module = \{\n {4}\.name = "tasks",/);
    const test = await readFile(path.join(dir, 'tests/api/tasks.test.mjs'), 'utf8');
    assert.match(test, /import \{ eventually, startGalley \} from '\.\.\/lib\/galley\.mjs';/);
    for (const text of [module, test]) assert.doesNotMatch(text, /notes/i);
    const again = await make('module', 'tasks');
    assert.deepEqual([again.status, again.stderr], [1, 'galley new: modules/tasks.c: File exists\n']);
    for (const args of [[], ['module'], ['module', 'Tasks'], ['module', '../x'], ['thing', 'x']]) {
        assert.equal((await make(...args)).status, 2);
    }
    assert.match((await make('module', 'Tasks')).stderr, /"Tasks" is no name of a module: up to 24 small letters, digits and _, a letter first/);
});

test('galley new module takes no name that is a section already, and writes nothing beside a test that is there', async (t) => {
    const dir = await directory(t, '');
    for (const folder of ['modules', 'tests/api']) await mkdir(path.join(dir, folder), { recursive: true });
    const make = (name) => runGalley(['new', 'module', name], { cwd: dir });
    for (const name of ['storage', 'route', 'shop', 'log']) {
        const { status, stderr } = await make(name);
        assert.deepEqual([status, stderr], [2, `galley new: [${name}] is a section of the configuration already: another name\n`]);
    }
    await writeFile(path.join(dir, 'tests/api/tea.test.mjs'), '');
    assert.deepEqual(await make('tea'), { status: 1, stdout: '', stderr: 'galley new: tests/api/tea.test.mjs: File exists\n' });
    assert.deepEqual(await readdir(path.join(dir, 'modules')), []);
});

test('a taken port names who holds it, and how to have another', async () => {
    const galley = await startGalley();
    const { status, stderr } = await runGalley(['serve', '--listen', `127.0.0.1:${galley.port}`, '--data', './other'], { cwd: galley.dir });
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`cannot start: 127\\.0\\.0\\.1:${galley.port} is taken by galley \\(process ${galley.pid}\\); --listen ADDRESS:PORT, `));
});

test('what is nearly right in config.ini is told with a hint', async (t) => {
    const say = async (text) => {
        const dir = await directory(t, text);
        const { status, stderr } = await runGalley(['check'], { cwd: dir });
        assert.equal(status, 2);
        return stderr;
    };
    assert.match(await say('[server]\nlisten = 127.0.0.1:99999\n'), /:2: \[server\] listen: read "127.0.0.1:99999"; .*\(a port is at most 65535\)\n/);
    assert.equal(await say('[queue mail\nconcurrency = 2\n'.split('\n')[0] + '\n'), 'config.ini:1: the bracket ] that ends the name of the section is missing\n');
    assert.equal(await say('[server]\nlisten = "127.0.0.1:80"\ndata = \'./data\'\n'),
        'config.ini:2: [server] listen: a value stands without quotes around it\nconfig.ini:3: [server] data: a value stands without quotes around it\n');
});

test('--listen :PORT is on loopback', async () => {
    const galley = await startGalley({ args: ['--listen', ':0'] });
    assert.match(galley.stdout, /^listening on http:\/\/127\.0\.0\.1:\d+$/m);
});

test('galley alone helps, -V is the version, and an option that is none keeps its dashes', async () => {
    const all = await runGalley(['help']);
    assert.deepEqual(await runGalley([]), all);
    assert.equal(all.status, 0);
    for (const option of ['-V', '--version']) assert.equal((await runGalley([option])).stdout, 'galley 0.1.0\n');
    for (const name of ['-v', '--verbose', 'serv']) {
        const { status, stderr } = await runGalley([name]);
        assert.equal(status, 2);
        assert.ok(stderr.startsWith(`galley: there is no command ${name}`), stderr);
    }
});
