// What the set-up and the login have in common: the frame, a field, a form that is sent once.
import { html, useEffect, useState } from '../lib/preact.js';
import { logo, ThemeButton } from './header.js';

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

export function Field({ name, label, hint, ...input }) {
    return html`
        <div class="field">
            <label for=${name}>${label}</label>
            <input id=${name} name=${name} required spellcheck="false" autocapitalize="none"
                aria-describedby=${hint ? `${name}-hint` : undefined} ...${input} />
            ${hint && html`<span class="hint" id=${`${name}-hint`}>${hint}</span>`}
        </div>
    `;
}

/** A form whose `send(values)` may throw an Error to show; after it the dashboard opens. */
export function EntryForm({ action, busyAction, send, children }) {
    const [busy, setBusy] = useState(false);
    const [message, setMessage] = useState('');
    useEffect(() => document.querySelector('form input')?.focus(), []);

    const submit = async (event) => {
        event.preventDefault();
        setBusy(true);
        setMessage('');
        try {
            await send(Object.fromEntries(new FormData(event.target)));
            location.replace('/_/');
        } catch (error) {
            setMessage(error.message);
            setBusy(false);
        }
    };
    return html`
        <form method="post" onSubmit=${submit}>
            ${children}
            <p class="message" role="alert">${message}</p>
            <button class="submit" disabled=${busy}>${busy ? busyAction : action}</button>
        </form>
    `;
}
