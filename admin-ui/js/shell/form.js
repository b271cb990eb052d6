// A form that is sent once, and its fields.
import { html, useState } from '../../lib/preact.js';

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

/** choices: [[value, label], ...]. */
export function Choice({ name, label, choices, ...select }) {
    return html`
        <div class="field">
            <label for=${name}>${label}</label>
            <select id=${name} name=${name} ...${select}>
                ${choices.map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}
            </select>
        </div>
    `;
}

/** `send(values)` may throw an Error, whose sentence is shown; after it comes `done()`. */
export function Form({ action, busyAction, send, done, children }) {
    const [busy, setBusy] = useState(false);
    const [message, setMessage] = useState('');
    const submit = async (event) => {
        event.preventDefault();
        setBusy(true);
        setMessage('');
        try {
            await send(Object.fromEntries(new FormData(event.target)));
            done();
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
