// What is to be done, what failed? The jobs of a queue by state.
import { html } from '../../lib/preact.js';
import { get } from '../shell/api.js';
import { count, text } from '../shell/format.js';
import { Loaded, useLoad } from '../shell/load.js';
import { navigate, withQuery } from '../shell/router.js';
import { Table } from '../shell/table.js';
import { Ago } from '../shell/time.js';
import { JobActions, statePill } from './job_parts.js';

const LOOK_MS = 2000;

// In the order of a job's life; those that nothing is in are left out, but for the first ones.
const states = [
    ['ready', 'No job waits to be run.'],
    ['running', 'No job runs.'],
    ['retrying', 'No job waits for another attempt.'],
    ['scheduled', 'No job waits for its time.'],
    ['waiting', 'No job waits for others.'],
    ['dead', 'No job is dead: none has failed all its attempts.'],
    ['completed', 'No job has been completed in the last day.'],
    ['cancelled', 'No job was cancelled.'],
];
const always = new Set(['ready', 'running', 'retrying', 'dead', 'completed']);

const columns = [
    {
        key: 'id',
        label: 'Job',
        cell: ({ id, type }) => html`
            <span><a href=${`/_/jobs/${id}`}>${type || 'unreadable'}</a>${' '}
                <span class="mono faint">${id.slice(-8)}</span></span>
        `,
    },
    { key: 'state', label: 'State', cell: ({ state }) => statePill(state) },
    {
        key: 'attempt',
        label: 'Attempts',
        number: true,
        cell: ({ attempt, attemptsMax }) => `${attempt} of ${attemptsMax}`,
    },
    { key: 'enqueued', label: 'Enqueued', cell: ({ enqueuedAt }) => html`<${Ago} ms=${enqueuedAt} />` },
    {
        key: 'next',
        label: 'Next, or end',
        cell: ({ dueAt, finishedAt }) => html`<${Ago} ms=${dueAt ?? finishedAt} />`,
    },
    { key: 'reason', label: 'Last error', wide: true, cell: ({ reason }) => reason },
];

function Tabs({ queue, present }) {
    const shown = states.filter(([state]) => always.has(state) || queue.jobs[state] > 0 || state === present);
    return html`
        <nav class="tabs" aria-label="States">
            ${shown.map(([state]) => html`
                <a key=${state} href=${withQuery({ state, after: null })}
                    aria-current=${state === present ? 'true' : undefined}>
                    ${state} <b>${text(count(queue.jobs[state]))}</b></a>
            `)}
        </nav>
    `;
}

function QueueChoice({ queues, present }) {
    if (queues.length < 2) return null;
    const choose = (event) => navigate(withQuery({ queue: event.target.value, after: null }));
    return html`
        <div class="filters"><label>Queue
            <select value=${present} onChange=${choose}>
                ${queues.map(({ name }) => html`<option key=${name} value=${name}>${name}</option>`)}
            </select>
        </label></div>
    `;
}

function List({ queue, state, after, reloadCounts }) {
    const path = `jobs?${new URLSearchParams({ queue, state, ...(after && { after }) })}`;
    const load = useLoad((signal) => get(path, signal), [path], LOOK_MS);
    const changed = () => {
        load.reload();
        reloadCounts();
    };
    const withActions = [...columns, {
        key: 'act',
        label: 'Actions',
        cell: (job) => html`<${JobActions} job=${job} onChanged=${changed} />`,
    }];
    return html`
        <${Loaded} load=${load}>${({ data, after: next }) => html`
            <${Table} caption=${`Jobs of ${queue} that are ${state}`} columns=${withActions} rows=${data}
                rowKey=${({ id }) => id} empty=${Object.fromEntries(states)[state]} />
            <p class="buttons pager">
                ${after && html`<a class="button" href=${withQuery({ after: null })}>To the first</a>`}
                ${next && html`<a class="button" href=${withQuery({ after: next })}>Next page</a>`}
            </p>
        `}<//>
    `;
}

export function Jobs({ query }) {
    const load = useLoad((signal) => get('queues', signal), [], LOOK_MS);
    return html`
        <header class="page-head"><h1>Jobs</h1></header>
        <${Loaded} load=${load}>${({ data: queues }) => {
            const queue = queues.find(({ name }) => name === query.get('queue')) ?? queues[0];
            if (!queue) return html`<p class="panel empty">No queue is configured: [queue NAME] makes one.</p>`;
            const state = query.get('state') ?? (queue.jobs.dead > 0 ? 'dead' : 'ready');
            return html`
                <${QueueChoice} queues=${queues} present=${queue.name} />
                <${Tabs} queue=${queue} present=${state} />
                <${List} queue=${queue.name} state=${state} after=${query.get('after')}
                    reloadCounts=${load.reload} />
            `;
        }}<//>
    `;
}
