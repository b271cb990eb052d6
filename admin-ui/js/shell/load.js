// What a view shows comes from the server, and may be on its way, refused or old. `useLoad` keeps
// asking, `Loaded` shows which of these it is.
import { html, useCallback, useEffect, useRef, useState } from '../../lib/preact.js';
import { clock } from './format.js';

/** { data, error, at, reload }: what `load(signal)` resolved with last, or failed with since. Asks
 *  anew when `deps` change, and `everyMs` after each answer while somebody looks. */
export function useLoad(load, deps, everyMs) {
    const [state, setState] = useState({});
    const again = useRef(() => {});
    useEffect(() => {
        const control = new AbortController();
        let timer;
        const ask = async () => {
            clearTimeout(timer);
            const next = everyMs && (() => (document.hidden ? later() : ask()));
            const later = () => next && (timer = setTimeout(next, everyMs));
            try {
                const data = await load(control.signal);
                if (!control.signal.aborted) setState({ data, at: Date.now() });
            } catch (error) {
                if (!control.signal.aborted) setState((before) => ({ ...before, error }));
            }
            if (!control.signal.aborted) later();
        };
        again.current = ask;
        setState({});
        ask();
        return () => {
            control.abort();
            clearTimeout(timer);
        };
    }, deps);
    const reload = useCallback(() => again.current(), []);
    return { ...state, reload };
}

function Failed({ error, reload }) {
    return html`
        <div class="panel notice" data-tone="bad" role="alert">
            <h2>${error.status === 404 ? 'There is nothing here' : 'This could not be loaded'}</h2>
            <p>${error.message}</p>
            ${error.requestId && html`<p class="faint">Request ${error.requestId}</p>`}
            <p><button type="button" class="button" onClick=${reload}>Try again</button></p>
        </div>
    `;
}

function Loading() {
    return html`
        <div class="panel skeleton" role="status"><span class="hidden">Loading…</span>
            <i></i><i></i><i></i><i></i>
        </div>
    `;
}

/** Calls its child with the data. */
export function Loaded({ load, children }) {
    if (!load.data) return load.error ? html`<${Failed} ...${load} />` : html`<${Loading} />`;
    return html`
        ${load.error && html`
            <p class="trouble" data-tone="warn" role="status">
                As of ${clock(load.at / 1000)}. ${load.error.message}
            </p>
        `}
        <div data-stale=${Boolean(load.error)}>${children(load.data)}</div>
    `;
}
