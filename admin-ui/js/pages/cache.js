// Is what is asked for often in memory? The values, the routes whose answers are stored, and what is stored under a URL.
import { html } from '../../lib/preact.js';
import { get, post } from '../shell/api.js';
import { FormButton } from '../shell/dialog.js';
import { Choice, Field } from '../shell/form.js';
import { bytes, count, percent, text, uptime } from '../shell/format.js';
import { Loaded, useLoad } from '../shell/load.js';
import { may } from '../shell/roles.js';
import { navigate, withQuery } from '../shell/router.js';
import { Facts, Table } from '../shell/table.js';
import { toast } from '../shell/toast.js';

const LOOK_MS = 3000;

const size = (value) => text(bytes(value));
const number = (value) => text(count(value));
const share = (part, whole) => (whole > 0 ? part / whole : null);

/* ---- Values */

function Room({ bytes: used, budgetBytes }) {
    const label = `${size(used)} of ${size(budgetBytes)} in use`;
    return html`
        <div class="panel room">
            <div class="load-bar" role="img" aria-label=${label}>
                <i data-level="1" style=${{ flexGrow: used }} data-none=${used === 0}></i>
                <i data-level="idle" style=${{ flexGrow: budgetBytes - used }}></i>
            </div>
            <p class="faint">${label}</p>
        </div>
    `;
}

const factsOf = ({ entries, hits, misses, evictions, expirations, invalidations, purges }) => [
    ['Values', number(entries)],
    ['Look-ups that found one', `${text(percent(share(hits, hits + misses)))} of ${number(hits + misses)}`],
    ['Dropped for room', number(evictions)],
    ['Dropped for age', number(expirations)],
    ['Dropped or replaced, as they changed', number(invalidations)],
    ['Purges', number(purges)],
];

const shardColumns = [
    { key: 'shard', label: 'Shard', number: true, cell: ({ shard }) => shard },
    { key: 'entries', label: 'Values', number: true, by: (row) => row.entries, cell: (row) => number(row.entries) },
    { key: 'bytes', label: 'Size', number: true, by: (row) => row.bytes, cell: (row) => size(row.bytes) },
    {
        key: 'found',
        label: 'Found',
        number: true,
        by: ({ hits, misses }) => share(hits, hits + misses),
        cell: ({ hits, misses }) => text(percent(share(hits, hits + misses))),
    },
    { key: 'evictions', label: 'Dropped for room', number: true, by: (row) => row.evictions, cell: (row) => number(row.evictions) },
];

/* ---- Routes */

const fromHere = ({ hit, stale, stale_for_error: forError, revalidated, collapsed }) => hit + stale + forError + revalidated + collapsed;
const nameOf = ({ method, pattern }) => `${method} ${pattern}`;
const column = (key, label) => ({ key, label, number: true, by: ({ served }) => served[key], cell: ({ served }) => number(served[key]) });

const routeColumns = [
    { key: 'route', label: 'Route', by: nameOf, wide: true, cell: (row) => html`<span class="mono">${nameOf(row)}</span>` },
    { key: 'requests', label: 'Requests', number: true, by: (row) => row.requests, cell: (row) => number(row.requests) },
    {
        key: 'ratio',
        label: 'From here',
        number: true,
        by: ({ served, requests }) => share(fromHere(served), requests),
        cell: ({ served, requests }) => text(percent(share(fromHere(served), requests))),
    },
    column('stale', 'Stale'),
    column('stale_for_error', 'For an error'),
    column('revalidated', 'Confirmed'),
    column('collapsed', 'Waited'),
    column('stored', 'Stored'),
    column('not_stored', 'Not stored'),
];

/* ---- One URL */

const seconds = (value) => (value === 0 ? '0 s' : uptime(Math.abs(value) * 1000));

const factsOfEntry = ({ status, age, ttl, bytes: length, variesBy }) =>
    variesBy
        ? [['Has variants by', html`<span class="mono">${variesBy}</span>`]]
        : [['Status', status], ['Size', size(length)], ['Age', seconds(age)], [ttl > 0 ? 'Fresh for' : 'Stale since', seconds(ttl)]];

function Entry({ url }) {
    const load = useLoad((signal) => get(`cache/entry?url=${encodeURIComponent(url)}`, signal), [url], LOOK_MS);
    return html`
        <${Loaded} load=${load}>${(entry) => entry.passes
            ? html`<p class="panel empty">Its last answer was not to be stored.</p>`
            : html`
                <${Facts} facts=${factsOfEntry(entry)} />
                <${Facts} facts=${entry.headers.map(([name, value]) => [name, html`<span class="mono">${value}</span>`])} />
            `}<//>
    `;
}

function LookUp({ url }) {
    const look = (event) => {
        event.preventDefault();
        navigate(withQuery({ url: new FormData(event.target).get('url').trim() }));
    };
    return html`
        <div class="section-head"><h2>What is stored under a URL</h2></div>
        <form class="filters" role="search" onSubmit=${look}>
            <input type="search" name="url" aria-label="The URL" maxlength="8000" placeholder="https://www.example.org/catalogue/17"
                defaultValue=${url} />
            <button class="button">Look</button>
        </form>
        ${url && html`<${Entry} url=${url} />`}
    `;
}

/* ---- Purging */

const kinds = [
    ['url', 'One URL'],
    ['prefix', 'All below a path'],
    ['tag', 'A tag'],
];

function Purge({ url, changed }) {
    const send = async ({ kind, what }) => {
        await post('cache/purge', { [kind]: what.trim() });
        toast(`${what} is purged.`);
    };
    return html`
        <${FormButton} label="Purge" title="Purge stored answers" action="Purge" send=${send} done=${changed}>
            <${Choice} name="kind" label="What" choices=${kinds} />
            <${Field} name="what" label="URL, path or tag" value=${url} autocomplete="off"
                hint="https://host/path?query, or /path of all hosts; a path ends with a slash." />
        <//>
    `;
}

export function Cache({ query }) {
    const url = query.get('url') ?? '';
    const load = useLoad((signal) => get('cache', signal), [], LOOK_MS);
    return html`
        <header class="page-head">
            <h1>Cache</h1>
            ${may('operator') && html`<${Purge} url=${url} changed=${load.reload} />`}
            <p class="lead">Values of modules and answers of routes with cache = yes share this memory.</p>
        </header>
        <${Loaded} load=${load}>${(state) => html`
            <${Room} ...${state} />
            <${Facts} facts=${factsOf(state)} />
            <div class="section-head"><h2>Routes whose answers are stored</h2></div>
            <${Table} caption="Routes" columns=${routeColumns} rows=${state.routes} rowKey=${nameOf}
                order=${{ key: 'requests', down: true }}
                empty="None has been asked for. A [route NAME] with cache = yes stores answers." />
            <${LookUp} url=${url} />
            <div class="section-head"><h2>Shards</h2></div>
            <${Table} caption="Shards" columns=${shardColumns} rows=${state.shards.map((row, i) => ({ ...row, shard: i + 1 }))}
                rowKey=${({ shard }) => shard} empty="" />
        `}<//>
    `;
}
