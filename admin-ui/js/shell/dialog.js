// A dialog over the page. The browser keeps the focus in it, closes it on Escape and gives the focus
// back.
import { html, useEffect, useRef, useState } from '../../lib/preact.js';
import { Form } from './form.js';

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

/** A button that opens a form: `send(values)` may throw, whose sentence the form shows. */
export function FormButton({ label, title, action, send, done, kind, children, ...rest }) {
    const id = `form-${title.replaceAll(' ', '-')}`;
    const [opened, setOpened] = useState(0); // how often; each time with an empty form
    const [open, setOpen] = useState(false);
    const close = () => setOpen(false);
    const begin = () => {
        setOpened(opened + 1);
        setOpen(true);
    };
    return html`
        <button type="button" class="button" data-kind=${kind} onClick=${begin} ...${rest}>${label}</button>
        <${Dialog} title=${title} open=${open} onClose=${close} actions=${html`
            <button type="button" class="button" onClick=${close}>Cancel</button>
            <button class="button" data-kind="primary" form=${id}>${action}</button>
        `}>
            ${open && html`
                <${Form} key=${opened} id=${id} send=${send} done=${() => {
                    close();
                    done();
                }}>${children}<//>
            `}
        <//>
    `;
}
