// What the set-up and the login have in common: the frame, and where they lead.
import { html, useEffect } from '../lib/preact.js';
import { Form } from './shell/form.js';
import { logo } from './shell/icon.js';
import { ThemeButton } from './shell/theme.js';

/** The view that was asked for, if it is one of ours. */
function destination() {
    const to = new URLSearchParams(location.search).get('to') ?? '';
    return /^\/_\/[a-z]/.test(to) ? to : '/_/';
}

export function Entry({ title, lead, children }) {
    return html`
        <div class="entry-bar"><${ThemeButton} /></div>
        <main class="entry">
            <div class="brand">
                <img src=${logo} width="32" height="32" alt="" />Galley
            </div>
            <h1>${title}</h1>
            <p class="lead">${lead}</p>
            ${children}
        </main>
        <footer class="entry-foot">One process. The whole backend.</footer>
    `;
}

/** A form that opens the dashboard when it has been sent. */
export function EntryForm({ children, ...form }) {
    useEffect(() => document.querySelector('form input')?.focus(), []);
    return html`<${Form} ...${form} done=${() => location.replace(destination())}>${children}<//>`;
}
