// Starts while clients already knock at the port: whatever they ask in the first moment is answered.
import assert from 'node:assert/strict';
import test from 'node:test';

import { beginCrowd } from '../lib/crowd.mjs';
import { freePort, startGalley } from '../lib/galley.mjs';

const STARTS = Number(process.env.STARTS ?? 100);
const ASKED = ['/metrics', '/healthz', '/readyz', '/products/1', '/_/', '/openapi.json'];

test(`${STARTS} starts under fire`, async () => {
    const port = await freePort();
    const crowds = await Promise.all(ASKED.map((path, i) => beginCrowd('open', port,
        { path, clients: 8, every_ms: 5, sources: 8, first_source: 1 + 8 * i, patience_s: 1 })));
    const galley = await startGalley({ config: { server: { listen: `127.0.0.1:${port}` } } });
    for (let i = 1; i < STARTS; i++) await galley.restart(); // fails if it died, or did not end with 0
    for (const crowd of crowds) {
        const { answers } = await crowd.end();
        assert.ok(answers > 0, 'nobody was answered');
    }
});
