import { html } from '../../lib/preact.js';

/** A picture of lines in the colour of the text around it. */
const icon = (paths) => html`
    <svg width="18" height="18" viewBox="0 0 24 24" fill="none" stroke="currentColor"
        stroke-width="2" stroke-linecap="round" stroke-linejoin="round"
        aria-hidden="true">${paths}</svg>
`;

export const logo = new URL('../../favicon.svg', import.meta.url).href;
export const logoAlarmed = new URL('../../favicon-alarm.svg', import.meta.url).href;

export const sun = icon(html`
    <circle cx="12" cy="12" r="4" />
    <path d="M12 2v2M12 20v2M2 12h2M20 12h2" />
    <path d="M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4" />
`);
export const moon = icon(html`<path d="M20.5 13.5A8.5 8.5 0 1 1 10.5 3.5a6.8 6.8 0 0 0 10 10z" />`);
export const door = icon(html`<path d="M9 21H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2h4M16 17l5-5-5-5M21 12H9" />`);
export const turn = icon(html`<path d="M20 11a8 8 0 1 0-2.3 5.7M20 4v7h-7" />`);
export const cross = icon(html`<path d="M6 6l12 12M18 6L6 18" />`);
export const menu = icon(html`<path d="M4 7h16M4 12h16M4 17h16" />`);

// Of the pages.
export const gauge = icon(html`<path d="M3.5 17a9 9 0 1 1 17 0M12 15l4.5-5" />`);
export const stack = icon(html`<path d="M12 3l9 5-9 5-9-5zM3 12.5l9 5 9-5M3 17l9 5 9-5" />`);
export const fork = icon(html`
    <circle cx="6" cy="5" r="2.2" /><circle cx="18" cy="5" r="2.2" /><circle cx="12" cy="19" r="2.2" />
    <path d="M6 7.2c0 5 6 3.6 6 9.6M18 7.2c0 5-6 3.6-6 9.6" />
`);
export const servers = icon(html`<path d="M4 4h16v6H4zM4 14h16v6H4zM7 7h.01M7 17h.01M12 10v4" />`);
export const lines = icon(html`<path d="M4 6h16M4 10h10M4 14h16M4 18h7" />`);
export const letter = icon(html`<path d="M3 6h18v12H3zM3.5 6.5L12 13l8.5-6.5" />`);
export const people = icon(html`
    <circle cx="9" cy="8" r="3.5" /><path d="M2.5 20c0-4 3-6 6.5-6s6.5 2 6.5 6" />
    <path d="M16 5a3.5 3.5 0 0 1 0 6.5M18 14.5c2.2.8 3.5 2.7 3.5 5.5" />
`);
export const braces = icon(html`<path d="M9 4c-3 0-3 2-3 4s0 4-3 4c3 0 3 2 3 4s0 4 3 4M15 4c3 0 3 2 3 4s0 4 3 4c-3 0-3 2-3 4s0 4-3 4" />`);
export const bolt = icon(html`<path d="M13 3L5 14h6l-1 7 8-11h-6z" />`);
export const disk = icon(html`
    <ellipse cx="12" cy="5.5" rx="8" ry="2.8" />
    <path d="M4 5.5v13c0 1.6 3.6 2.8 8 2.8s8-1.2 8-2.8v-13M4 12c0 1.6 3.6 2.8 8 2.8s8-1.2 8-2.8" />
`);
export const sliders = icon(html`
    <path d="M4 7h9M17 7h3M4 17h3M11 17h9" /><circle cx="15" cy="7" r="2" /><circle cx="9" cy="17" r="2" />
`);
