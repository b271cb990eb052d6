// Reading the configuration anew: asks first, then shows what the server answers.
import { html, useState } from '../../lib/preact.js';
import { post } from '../shell/api.js';
import { Dialog } from '../shell/dialog.js';
import { turn } from '../shell/icon.js';

const shown = (value) => (value === null ? 'none' : value === '' ? 'empty' : value);

/** What a change reads like: of a key from what to what, of a section that it came or went. */
function Change({ change: { section, key, from, to } }) {
    if (key === null) return html`<li><b>[${section}]</b> is ${to === null ? 'gone' : 'new'}</li>`;
    return html`
        <li><b>[${section}] ${key}</b><span>${shown(from)} → ${shown(to)}</span></li>
    `;
}

function Changes({ title, changes }) {
    if (changes.length === 0) return null;
    return html`
        <section>
            <h3>${title}</h3>
            <ul>${changes.map((change) => html`<${Change} change=${change} />`)}</ul>
        </section>
    `;
}

function Done({ changed, restart }) {
    if (changed.length + restart.length === 0)
        return html`<p>The file says what it said before.</p>`;
    return html`
        <${Changes} title="Taken over" changes=${changed} />
        <${Changes} title="Takes a restart" changes=${restart} />
    `;
}

function Refused({ error }) {
    return html`
        <p class="message" role="alert">${error.message}</p>
        <ul class="lines">${error.details.map(({ message }) => html`<li>${message}</li>`)}</ul>
    `;
}

function Answer({ outcome }) {
    if (outcome.error) return html`<${Refused} error=${outcome.error} />`;
    if (outcome.report) return html`<${Done} ...${outcome.report} />`;
    return html`
        <p>Reads the file anew and takes over what needs no restart. Nothing changes if something
            in it is wrong. Requests go on.</p>
    `;
}

export function ReloadButton({ onReloaded }) {
    const [open, setOpen] = useState(false);
    const [outcome, setOutcome] = useState({});
    const begin = () => {
        setOutcome({});
        setOpen(true);
    };
    const reload = () => {
        setOutcome({ busy: true });
        post('reload').then((report) => setOutcome({ report }), (error) => setOutcome({ error }))
            .then(onReloaded);
    };
    const over = outcome.report || outcome.error;
    const title = 'Reload the configuration';
    return html`
        <button class="button" type="button" aria-label=${title} onClick=${begin}>${turn} Reload</button>
        <${Dialog} title=${title} open=${open} onClose=${() => setOpen(false)} actions=${html`
            <button type="button" class="button" onClick=${() => setOpen(false)}>Close</button>
            <button type="button" class="button" data-kind="primary" disabled=${outcome.busy}
                onClick=${reload}>${outcome.busy ? 'Reading…' : over ? 'Again' : 'Reload'}</button>
        `}>
            <div aria-live="polite"><${Answer} outcome=${outcome} /></div>
        <//>
    `;
}
