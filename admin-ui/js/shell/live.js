// The live stream: keeps the last ten minutes as columns and tells whoever looks about every change.
// The browser reconnects by itself after a break; only when it gives up (the server refused) do we
// ask why.
import { useEffect, useState } from '../../lib/preact.js';
import { get, leaveForLogin } from './api.js';

const SAMPLES_MAX = 600;
const RETRY_MS = 2000;
const ERRORS_LOOKED_AT = 30; // seconds

let live = {
    connected: undefined, // not yet; then whether it is
    columns: { t: [] },
    load: '', // a digit for each worker
    state: 'ready',
    cause: '', // why the store is read-only
    damage: '', // what was last found damaged in it
    warnings: [], // sentences
};
const lookers = new Set();

/** What is known now, also after it changes. `pick(live)`: only if that part of it changes. */
export function useLive(pick = (all) => all) {
    const [, setSeen] = useState(() => pick(live));
    useEffect(() => {
        const look = () => setSeen(pick(live));
        look();
        lookers.add(look);
        return () => lookers.delete(look);
    }, []);
    return pick(live);
}

function change(parts) {
    live = { ...live, ...parts };
    for (const look of lookers) look();
}

function append({ sample, ...rest }) {
    for (const [name, column] of Object.entries(live.columns)) {
        column.push(sample[name]);
        if (column.length > SAMPLES_MAX) column.shift();
    }
    change({ connected: true, ...rest });
}

export function openLive() {
    let source;
    const refused = async () => {
        const session = await get('session').catch(() => null);
        if (session && !session.signedIn) leaveForLogin();
        else setTimeout(connect, RETRY_MS);
    };
    function connect() {
        source = new EventSource('/_/api/live');
        source.addEventListener('history', (event) =>
            change({ connected: true, columns: JSON.parse(event.data) }));
        source.addEventListener('sample', (event) => append(JSON.parse(event.data)));
        source.addEventListener('error', () => {
            change({ connected: false });
            if (source.readyState === EventSource.CLOSED) refused();
        });
    }
    connect();
}

/** What is wrong now, the worst first: [{ tone, title, text }]. */
export function alarmsOf({ connected, state, cause, damage, warnings, columns }) {
    const list = [];
    if (connected === false) list.push({ tone: 'bad', title: 'No connection', text: '' });
    if (state === 'read-only')
        list.push({ tone: 'bad', title: 'The store is read-only until a restart.', text: cause });
    if (damage) list.push({ tone: 'bad', title: 'The store is damaged.', text: damage });
    const errors = (columns.serverError ?? []).slice(-ERRORS_LOOKED_AT);
    if (errors.some((rate) => rate > 0))
        list.push({ tone: 'bad', title: 'Requests fail', text: '', quiet: true });
    for (const text of warnings) list.push({ tone: 'warn', title: text, text: '' });
    return list;
}
