import { html } from '../../lib/preact.js';
import { fromNow, moment } from './format.js';

/** "3 min ago", with the whole moment for who points at it. */
export const Ago = ({ ms }) =>
    ms == null ? '' : html`<time dateTime=${new Date(ms).toISOString()} title=${moment(ms)}>${fromNow(ms)}</time>`;
