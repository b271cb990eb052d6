// A dialog over the page. The browser keeps the focus in it, closes it on Escape and gives the focus
// back.
import { html, useEffect, useRef, useState } from '../../lib/preact.js';

export function Dialog({ title, open, onClose, actions, children }) {
    const dialog = useRef(null);
    useEffect(() => {
        if (open && !dialog.current.open) dialog.current.showModal();
        if (!open && dialog.current.open) dialog.current.close();
    }, [open]);
    return html`
        <dialog ref=${dialog} class="sheet" aria-label=${title} onClose=${onClose}>
            <h2>${title}</h2>
            ${children}
            <div class="actions">${actions}</div>
        </dialog>
    `;
}

/** A button that asks before it acts: `act` returns a promise, after which the dialog closes. */
export function AskingButton({ label, title, action, danger, act, children, ...rest }) {
    const [open, setOpen] = useState(false);
    const [busy, setBusy] = useState(false);
    const close = () => setOpen(false);
    const run = async () => {
        setBusy(true);
        await act();
        setBusy(false);
        close();
    };
    return html`
        <button type="button" class="button" onClick=${() => setOpen(true)} ...${rest}>${label}</button>
        <${Dialog} title=${title} open=${open} onClose=${close} actions=${html`
            <button type="button" class="button" onClick=${close}>Cancel</button>
            <button type="button" class="button" data-kind=${danger ? 'danger' : 'primary'}
                disabled=${busy} onClick=${run}>${action}</button>
        `}>${children}<//>
    `;
}
