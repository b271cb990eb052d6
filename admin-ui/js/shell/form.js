// A form that is sent once, and its fields.
import { html, useState } from '../../lib/preact.js';

export function Field({ name, label, hint, optional, ...input }) {
    return html`
        <div class="field">
            <label for=${name}>${label}</label>
            <input id=${name} name=${name} required=${!optional} spellcheck=${false} autocapitalize="none"
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

const detailText = ({ field, reason, message }) => message ?? [field, reason].filter(Boolean).join(': ');

/** `send(values)` may throw an Error, whose sentence and details are shown; after it comes `done()`.
 *  Without an `action` the button is elsewhere; `again`: it may be sent more than once. */
export function Form({ id, action, busyAction, send, done, again, children }) {
    const [busy, setBusy] = useState(false);
    const [failure, setFailure] = useState(null);
    const submit = async (event) => {
        event.preventDefault();
        setBusy(true);
        setFailure(null);
        try {
            await send(Object.fromEntries(new FormData(event.target)));
            done?.();
            if (again) setBusy(false);
        } catch (error) {
            setFailure(error);
            setBusy(false);
        }
    };
    return html`
        <form id=${id} method="post" onSubmit=${submit}>
            ${children}
            <div class="message" role="alert">
                ${failure?.message}
                ${failure?.details?.length > 0 && html`
                    <ul>${failure.details.map((detail) => html`<li>${detailText(detail)}</li>`)}</ul>`}
            </div>
            ${action && html`<button class="submit" disabled=${busy}>${busy ? busyAction : action}</button>`}
        </form>
    `;
}
