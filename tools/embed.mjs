// Writes the C file that holds the admin UI: node tools/embed.mjs OUT. admin-ui/manifest.txt says which files; libraries
// come from build/admin-ui, where npm has put them.
//
// Files are served below a directory that is named after all their bytes, so that browsers may keep them for ever:
// pages, which are not kept, name that directory, and relative imports stay in it.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';

const [out] = process.argv.slice(2);
const types = {
    '.html': 'text/html; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.svg': 'image/svg+xml',
};
// In the order of enum coding.
const codings = [
    (bytes) => bytes,
    (bytes) => zlib.gzipSync(bytes, { level: 9 }),
    (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }),
];

function fail(text) {
    console.error(`embed.mjs: ${text}`);
    process.exit(1);
}

function read(name, file) {
    const type = types[path.extname(name)] ?? fail(`no content type for ${name}`);
    const bytes = readFileSync(file);
    if (bytes.length === 0) fail(`${file} is empty`);
    return { name, type, bytes };
}

function filesBelow(name) {
    return readdirSync(`admin-ui/${name}`, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => [path.join(path.relative('admin-ui', entry.parentPath ?? entry.path), entry.name)])
        .sort();
}

// The lines "path file" of the manifest, without comments and empty lines.
const assets = readFileSync('admin-ui/manifest.txt', 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim().split(/\s+/))
    .filter(([name]) => name)
    .flatMap(([name, file]) => (name.endsWith('/') ? filesBelow(name) : [[name, file]]))
    .map(([name, file]) => read(name, file ?? `admin-ui/${name}`));

const digest = (...parts) => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part).update('\0');
    return hash.digest('hex').slice(0, 16);
};
const directory = digest(...assets.flatMap(({ name, bytes }) => [name, bytes]));
for (const asset of assets.filter(({ name }) => name.endsWith('.html')))
    asset.bytes = Buffer.from(asset.bytes.toString().replaceAll('"/_/assets/', `"/_/assets/${directory}/`));

// ---- C

const lines = ['/* Made by tools/embed.mjs. */', '#include "server/admin/assets.h"'];
const rows = [];

function array(name, bytes) {
    lines.push(`static const unsigned char ${name}[] = {`);
    for (let at = 0; at < bytes.length; at += 32) lines.push(`${[...bytes.subarray(at, at + 32)].join(',')},`);
    lines.push('};');
    return `{(const char *)${name}, sizeof ${name}}`;
}

assets.forEach(({ name, type, bytes }, i) => {
    const forms = codings.map((code) => code(bytes)).map((form, coding) =>
        coding === 0 || form.length < bytes.length ? array(`asset_${i}_${coding}`, form) : '{0}');
    rows.push(`    {"${name}", "${type}", "\\"${digest(bytes)}\\"", {${forms.join(', ')}}},`);
});
lines.push(`const char assets_directory[] = "${directory}";`);
lines.push('const struct asset assets[] = {', ...rows, '};');
lines.push('const unsigned asset_count = sizeof assets / sizeof assets[0];', '');
writeFileSync(`${out}.part`, lines.join('\n'));
renameSync(`${out}.part`, out);
