import { html } from '../lib/preact.js';

/** A picture of lines in the colour of the text around it. */
export const icon = (paths) => html`
    <svg width="18" height="18" viewBox="0 0 24 24" fill="none" stroke="currentColor"
        stroke-width="2" stroke-linecap="round" stroke-linejoin="round"
        aria-hidden="true">${paths}</svg>
`;
