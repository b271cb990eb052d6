// Where do requests go, and which of them fail or take long?
import { html, useState } from '../../lib/preact.js';
import { get } from '../shell/api.js';
import { count, duration, percent, rate, text } from '../shell/format.js';
import { Loaded, useLoad } from '../shell/load.js';
import { Table } from '../shell/table.js';
import { Ago } from '../shell/time.js';

const LOOK_MS = 3000;

const codeTone = (code) => (code >= 500 ? 'bad' : code >= 400 ? 'warn' : 'calm');

function Codes({ codes }) {
    return html`
        <span class="codes">${Object.entries(codes).map(([code, times]) => html`
            <span key=${code} class="pill" data-tone=${codeTone(code)}>${code} × ${text(count(times))}</span>
        `)}</span>
    `;
}

const nameOf = ({ method, pattern }) => (pattern ? `${method} ${pattern}` : 'no route (404 and what cannot be read)');
const failures = ({ recent: { failed, requests } }) => (requests > 0 ? failed / requests : null);

const columnsOf = (seconds) => [
    { key: 'route', label: 'Route', by: nameOf, wide: true, cell: (row) => html`<span class="mono">${nameOf(row)}</span>` },
    {
        key: 'rate',
        label: 'Rate',
        number: true,
        by: ({ recent }) => recent.requests,
        cell: ({ recent }) => text(rate(recent.requests / seconds)),
    },
    { key: 'p50', label: 'p50', number: true, by: ({ recent }) => recent.p50, cell: ({ recent }) => text(duration(recent.p50)) },
    { key: 'p99', label: 'p99', number: true, by: ({ recent }) => recent.p99, cell: ({ recent }) => text(duration(recent.p99)) },
    { key: 'failed', label: '5xx', number: true, by: failures, cell: (row) => text(percent(failures(row))) },
    { key: 'codes', label: 'Codes since the start', cell: ({ codes }) => html`<${Codes} codes=${codes} />` },
];

const notableColumns = [
    { key: 'at', label: 'When', cell: ({ at }) => html`<${Ago} ms=${at} />` },
    {
        key: 'request',
        label: 'Request',
        wide: true,
        cell: ({ method, path }) => html`<span class="mono">${method} ${path}</span>`,
    },
    { key: 'status', label: 'Code', cell: ({ status }) => html`<span class="pill" data-tone=${codeTone(status)}>${status}</span>` },
    { key: 'ms', label: 'Took', number: true, cell: ({ ms }) => text(duration(ms)) },
    { key: 'user', label: 'User', cell: ({ user }) => user },
    {
        key: 'id',
        label: 'Request id',
        cell: ({ requestId }) => html`<a class="mono" href=${`/_/logs?q=${encodeURIComponent(requestId)}`}>${requestId}</a>`,
    },
];

function Notables({ title, rows, empty }) {
    return html`
        <div class="section-head"><h2>${title}</h2></div>
        <${Table} caption=${title} columns=${notableColumns} rows=${rows} rowKey=${({ requestId }) => requestId}
            empty=${empty} />
    `;
}

export function Routes() {
    const load = useLoad((signal) => get('routes', signal), [], LOOK_MS);
    const [withOwn, setWithOwn] = useState(false);
    return html`
        <header class="page-head">
            <h1>Routes</h1>
            <label class="check"><input type="checkbox" checked=${withOwn}
                onChange=${(event) => setWithOwn(event.target.checked)} /> the server's own pages too</label>
        </header>
        <${Loaded} load=${load}>${({ data, seconds, slowest, errors }) => {
            const rows = data.filter(({ own, pattern, codes }) =>
                (withOwn || !own) && (pattern || Object.keys(codes).length > 0));
            return html`
                <${Table} caption="Routes" columns=${columnsOf(seconds)} rows=${rows} rowKey=${nameOf}
                    order=${{ key: 'rate', down: true }}
                    empty="No route is served. A [route NAME] section mounts those of a module." />
                <p class="faint">Rate, percentiles and 5xx are of the last ${Math.round(seconds)} seconds.</p>
                <${Notables} title="Last errors" rows=${errors.slice(0, 12)}
                    empty="No request of a route has failed or was refused since the start." />
                <${Notables} title="Slowest in the last hour" rows=${slowest.slice(0, 12)}
                    empty="No request has come yet." />
            `;
        }}<//>
    `;
}
