// tools/check_includes.sh sees the includes that run the wrong way.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

const SCRIPT = path.resolve('tools/check_includes.sh');

// Checks a tree of files and returns { status, stdout }.
function check(t, files) {
    const root = mkdtempSync(path.join(os.tmpdir(), 'galley-includes-'));
    t.after(() => rmSync(root, { recursive: true }));
    for (const folder of ['base', 'storage', 'cache', 'queue', 'server', 'modules', 'examples']) mkdirSync(path.join(root, folder));
    for (const [name, text] of Object.entries(files)) {
        mkdirSync(path.join(root, path.dirname(name)), { recursive: true });
        writeFileSync(path.join(root, name), text);
    }
    return spawnSync(SCRIPT, [root], { encoding: 'utf8' });
}

test('the repository keeps its own rule', () => {
    assert.equal(execFileSync(SCRIPT, { encoding: 'utf8' }), '');
});

test('includes that run the right way pass', (t) => {
    const { status, stdout } = check(t, {
        'queue/a.c': '#include "queue/queue.h"\n#include "storage/store.h"\n#include <stdio.h>\n',
        'server/gateway/b.c': '#include "server/http/message.h"\n#include "server/identity/jwt.h"\n',
        'server/identity/i.c': '#include "server/http/message.h"\n#include <jwt.h>\n',
        'server/app/c.c': '#include "server/config/config.h"\n#include "queue/queue.h"\n',
        'server/admin/d.c': '#include "server/admin/admin_private.h"\n#include "server/front/front.h"\n',
        'server/f.c': '#include "server/galley_private.h"\n#include "server/admin/admin.h"\n',
        'storage/engine/e.c': '#include <lmdb.h>\n#include "storage/store.h"\n',
    });
    assert.equal(stdout, '');
    assert.equal(status, 0);
});

test('each one that runs the wrong way is named with file and line', (t) => {
    const { status, stdout } = check(t, {
        'base/a.c': '#include <stdio.h>\n#include "storage/store.h"\n',
        'cache/b.c': '#include "storage/store.h"\n',
        'queue/c.c': '#include "storage/storage_private.h"\n#include <lmdb.h>\n',
        'server/front/d.c': '#include "server/gateway/gateway.h"\n',
        'server/gateway/e.c': '#include "server/front/front.h"\n#include "civetweb.h"\n',
        'server/app/f.c': '#  include "app.h"\n',
        'server/admin/h.c': '#include "server/galley_private.h"\n#include "server/galley.h"\n',
        'server/i.c': '#include "server/front/front_private.h"\n',
        'storage/g.h': '#include "server/config/config.h"\n',
    });
    assert.equal(status, 1);
    assert.deepEqual(stdout.trim().split('\n'), [
        'base/a.c:2: storage/store.h: is not for base',
        'cache/b.c:1: storage/store.h: is not for cache',
        'queue/c.c:1: storage/storage_private.h: is private to storage',
        'queue/c.c:2: lmdb.h: belongs to storage/engine',
        'server/admin/h.c:1: server/galley_private.h: is not for server/admin',
        'server/admin/h.c:2: server/galley.h: is not for server/admin',
        'server/app/f.c:1: app.h: is not written from the root of the repository',
        'server/front/d.c:1: server/gateway/gateway.h: is not for server/front',
        'server/gateway/e.c:1: server/front/front.h: is not for server/gateway',
        'server/gateway/e.c:2: civetweb.h: belongs to server/front',
        'server/i.c:1: server/front/front_private.h: is private to server/front',
        'storage/g.h:1: server/config/config.h: is not for storage',
    ]);
});
