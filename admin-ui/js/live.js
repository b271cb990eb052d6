// The live stream: keeps the last ten minutes as columns and tells a listener about every change.
// The browser reconnects by itself after a break; only when it gives up (the server refused) do we
// ask why.
import { get } from './api.js';

const SAMPLES_MAX = 600;
const RETRY_MS = 2000;

export const nothingYet = {
    connected: undefined, // not yet; then whether it is
    columns: { t: [] },
    load: '', // a digit for each worker
    state: 'ready',
    cause: '',
    warnings: [], // sentences
};

export function openLive(onChange) {
    const live = { ...nothingYet };
    let source;
    let retry;

    const change = (connected) => {
        live.connected = connected;
        onChange({ ...live });
    };

    const append = ({ sample, ...rest }) => {
        for (const [name, column] of Object.entries(live.columns)) {
            column.push(sample[name]);
            if (column.length > SAMPLES_MAX) column.shift();
        }
        Object.assign(live, rest);
    };

    const refused = async () => {
        const session = await get('session').catch(() => null);
        if (session && !session.signedIn) location.replace('/_/login');
        else retry = setTimeout(connect, RETRY_MS);
    };

    function connect() {
        source = new EventSource('/_/api/live');
        source.addEventListener('history', (event) => {
            live.columns = JSON.parse(event.data);
            change(true);
        });
        source.addEventListener('sample', (event) => {
            append(JSON.parse(event.data));
            change(true);
        });
        source.addEventListener('error', () => {
            change(false);
            if (source.readyState === EventSource.CLOSED) refused();
        });
    }

    connect();
    return () => {
        clearTimeout(retry);
        source.close();
    };
}
