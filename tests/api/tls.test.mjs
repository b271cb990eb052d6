// Listeners with TLS, over real connections.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import test from 'node:test';

import { makeCertificates, replaceCertificates } from '../lib/certificates.mjs';
import { configText, eventually, runGalley, startGalley } from '../lib/galley.mjs';

const DAY_S = 86_400;

// A server with a listener "web" that has these certificates.
function listener({ cert, key }, keys = {}) {
    return { 'listener web': { address: '127.0.0.1:0', tls_cert: cert, tls_key: key, ...keys } };
}

const start = (certificates, keys) => startGalley({ config: listener(certificates, keys) });

// The log is written a moment later.
const logged = (galley, pattern) => eventually(`${pattern} is logged`, () => pattern.test(galley.log()));

// ---- Files

test('check and start name the certificate that cannot be used', async () => {
    const certificates = await makeCertificates();
    await writeFile(certificates.key, 'hello\n');
    const file = `${certificates.dir}/config.ini`;
    await writeFile(file, configText(listener(certificates)));
    for (const command of ['check', 'serve']) {
        const { status, stderr } = await runGalley([command, '-c', file], { cwd: certificates.dir });
        assert.equal(status, 2);
        assert.match(stderr, /config\.ini:\d+: \[listener web\] \S+\/dev\.key: holds no private key/);
    }
});

test('a renewed certificate is loaded without a restart', async () => {
    const certificates = await makeCertificates(['shop.test'], { days: 20 });
    const galley = await start(certificates);
    const end = () => galley.metric('galley_tls_certificate_not_after_seconds{listener="web",name="localhost"}');
    const before = await end();
    assert.ok(Math.abs(before - Date.now() / 1000 - 20 * DAY_S) < DAY_S);
    await replaceCertificates(certificates, await makeCertificates(['shop.test'], { days: 90 }));
    await eventually('the new one is in use', async () => (await end()) > before + 60 * DAY_S);
    assert.equal(await galley.metric('galley_tls_reloads_total{listener="web"}'), 1);
    assert.equal(await galley.metric('galley_tls_reload_failures_total{listener="web"}'), 0);
});

test('a certificate that ends soon is warned of in the log', async () => {
    const galley = await start(await makeCertificates([], { days: 5 }));
    await logged(galley, /The certificate of localhost expires in [45] days/);
});

test('a broken renewal keeps the old certificate, and is told', async () => {
    const certificates = await makeCertificates();
    const galley = await start(certificates);
    await writeFile(certificates.cert, 'hello\n');
    await eventually('the failure is counted', async () =>
        (await galley.metric('galley_tls_reload_failures_total{listener="web"}')) === 1);
    await logged(galley, /the old certificate stays in use: \S+dev\.crt: holds no certificate/);
    assert.ok(await galley.metric('galley_tls_certificate_not_after_seconds{listener="web",name="localhost"}'));
});

test('a reload takes over other certificates, and refuses those that cannot be used', async () => {
    const [first, second] = [await makeCertificates(), await makeCertificates(['shop.test'], { days: 20 })];
    const galley = await start(first);
    const end = async () =>
        (await galley.metric('galley_tls_certificate_not_after_seconds{listener="web",name="localhost"}')) * 1000;
    await galley.configure(listener({ ...second, key: first.key }));
    await galley.reload();
    await logged(galley, /\[listener web\] \S+dev\.key: is not the key of \S+dev\.crt/);
    assert.ok((await end()) > Date.now() + 80 * DAY_S * 1000);
    await galley.configure(listener(second));
    await galley.reload();
    assert.ok((await end()) < Date.now() + 21 * DAY_S * 1000);
});
