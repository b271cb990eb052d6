// Every promise of the front, also under TLS.
import { makeCertificates } from '../lib/certificates.mjs';

process.env.FRONT_TLS_DIR = (await makeCertificates()).dir;
await import('./front.test.mjs');
