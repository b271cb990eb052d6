// Which requests go where, and are the servers behind us well?
import { html } from '../../lib/preact.js';
import { get, post } from '../shell/api.js';
import { AskingButton, FormButton } from '../shell/dialog.js';
import { Field } from '../shell/form.js';
import { bytes, count, duration, percent, text } from '../shell/format.js';
import { Loaded, useLoad } from '../shell/load.js';
import { may } from '../shell/roles.js';
import { Table } from '../shell/table.js';
import { told } from '../shell/toast.js';
import { RouteTable, TryRequest } from './gateway_routes.js';

const LOOK_MS = 2000;
const ROUTES_MS = 10_000; // a reload may change them

const stateTones = { up: 'ok', starting: 'ok', drained: 'calm', failing: 'warn', ejected: 'warn', down: 'bad' };
const stateMeanings = {
    up: 'It gets its share.',
    starting: 'It has come back and gets more and more until it has its whole share.',
    drained: 'It gets no new requests, because somebody said so here.',
    failing: 'It could not be reached or did not answer; it is asked when nobody else can be.',
    ejected: 'Its answers were errors; it is asked when nobody else can be.',
    down: 'Its checks fail; it is asked when nobody else can be.',
};
const breakerTones = { closed: 'ok', 'half-open': 'warn', open: 'bad' };

const left = (ms) => (ms == null ? '' : ` · ${text(duration(ms))}`);
const bad = ({ requests, errors, failures }) => (requests > 0 ? (errors + failures) / requests : null);

function State({ server: { state, stateEndsInMs, lastCheck } }) {
    return html`
        <span class="values">
            <span class="pill" data-tone=${stateTones[state]} title=${stateMeanings[state]}>
                ${state}${left(stateEndsInMs)}</span>
            ${lastCheck && html`<span class="faint" title="What came of the last check">${lastCheck}</span>`}
        </span>
    `;
}

function Weight({ server: { weight, configuredWeight } }) {
    return weight === configuredWeight ? weight : html`${weight} <span class="faint">(configured: ${configuredWeight})</span>`;
}

function Actions({ upstream, server: { server, state, weight }, changed }) {
    const drain = (on, done) => async () => {
        await told(() => post('upstreams/drain', { upstream, server, drain: on }), done);
        changed();
    };
    const weigh = ({ weight: to }) => post('upstreams/weight', { upstream, server, weight: Number(to) });
    return html`
        <span class="buttons">
            ${state === 'drained'
                ? html`<button type="button" class="button" aria-label=${`Use ${server} again`}
                      onClick=${drain(false, `${server} gets requests again.`)}>Use again</button>`
                : html`<${AskingButton} label="Drain" title=${`Drain ${server}?`} action="Drain"
                      aria-label=${`Drain ${server}`} act=${drain(true, `${server} gets no new requests.`)}>
                      <p>It gets no new requests; those that it has go on to their end. It stays so until somebody
                          uses it again, or a restart.</p>
                  <//>`}
            <${FormButton} label="Weight" title=${`Weight of ${server}`} action="Set" send=${weigh} done=${changed}
                aria-label=${`Weight of ${server}`}>
                <${Field} name="weight" label="Weight" type="number" min="0" max="1000" value=${String(weight)}
                    hint="Its share beside the others, from 1 to 1000; 0 for the configured one." />
            <//>
        </span>
    `;
}

const columnsOf = (upstream, changed) => [
    {
        key: 'server',
        label: 'Server',
        wide: true,
        by: ({ server }) => server,
        cell: ({ server, zone, backup }) => html`
            <span class="values"><span class="mono server">${server}</span>
                ${(zone || backup) && html`<span class="faint">${zone && `zone ${zone} `}${backup && 'backup'}</span>`}</span>
        `,
    },
    { key: 'state', label: 'State', by: ({ state }) => state, cell: (server) => html`<${State} server=${server} />` },
    { key: 'weight', label: 'Weight', number: true, by: ({ weight }) => weight, cell: (server) => html`<${Weight} server=${server} />` },
    { key: 'flight', label: 'In flight', number: true, by: ({ inFlight }) => inFlight, cell: ({ inFlight }) => text(count(inFlight)) },
    { key: 'latency', label: 'p50', number: true, by: ({ p50 }) => p50, cell: ({ p50 }) => text(duration(p50)) },
    { key: 'slow', label: 'p99', number: true, by: ({ p99 }) => p99, cell: ({ p99 }) => text(duration(p99)) },
    {
        key: 'requests',
        label: 'Requests',
        number: true,
        by: ({ requests }) => requests,
        cell: ({ requests, bytes: answered }) => html`
            <span>${text(count(requests))}<br /><span class="faint" title="Answered">${text(bytes(answered))}</span></span>
        `,
    },
    { key: 'bad', label: 'Failed', number: true, by: bad, cell: (server) => text(percent(bad(server))) },
    ...(may('operator')
        ? [{ key: 'act', label: 'Actions', cell: (server) => html`<${Actions} upstream=${upstream} server=${server} changed=${changed} />` }]
        : []),
];

function Upstream({ upstream, changed }) {
    const { upstream: name, breaker, breakerEndsInMs, inFlight, retries, retriesDenied, refusedByBreaker, refusedAsFull, refusedOfClients, queued, servers } = upstream;
    const refused = refusedByBreaker + refusedAsFull + refusedOfClients;
    return html`
        <div class="section-head"><h2>${name}</h2>
            <span class="pill" data-tone=${breakerTones[breaker]}
                title="Open: too much of it failed, and requests are refused at once.">
                breaker ${breaker}${left(breakerEndsInMs)}</span></div>
        <${Table} caption=${`Servers of ${name}`} columns=${columnsOf(name, changed)} rows=${servers}
            rowKey=${({ server }) => server} empty="It has no server." />
        <p class="faint">${text(count(inFlight))} in flight, ${text(count(retries))} sent again
            (${text(count(retriesDenied))} not, as the budget was used up), ${text(count(refused))} refused:
            ${' '}${text(count(refusedByBreaker))} by the breaker, ${text(count(refusedAsFull))} as there were too many,
            ${' '}${text(count(refusedOfClients))} of one client; ${text(count(queued))} wait.</p>
    `;
}

export function Gateway() {
    const load = useLoad((signal) => get('upstreams', signal), [], LOOK_MS);
    const routes = useLoad((signal) => get('gateway/routes', signal), [], ROUTES_MS);
    return html`
        <header class="page-head"><h1>Gateway</h1></header>
        <${Loaded} load=${load}>${({ data }) =>
            data.length === 0
                ? html`<p class="panel empty">No upstream is configured: [upstream NAME] names servers, and a [route NAME]
                      with target = upstream:NAME passes requests on to them.</p>`
                : data.map((upstream) => html`<${Upstream} key=${upstream.upstream} upstream=${upstream}
                      changed=${load.reload} />`)
        }<//>
        <${TryRequest} />
        <${Loaded} load=${routes}>${({ data }) => html`<${RouteTable} routes=${data} />`}<//>
    `;
}
