// Why did it fail? One job: its state, its attempts, the last error, what it was given.
import { html } from '../../lib/preact.js';
import { get } from '../shell/api.js';
import { bytes, text } from '../shell/format.js';
import { Loaded, useLoad } from '../shell/load.js';
import { navigate } from '../shell/router.js';
import { Facts } from '../shell/table.js';
import { Ago } from '../shell/time.js';
import { JobActions, statePill } from './job_parts.js';

const LOOK_MS = 2000;

function pretty(payload) {
    try {
        return JSON.stringify(JSON.parse(payload), null, 2);
    } catch {
        return payload;
    }
}

function whyNone({ payloadBytes }) {
    return payloadBytes > 0
        ? `It is too large to show: ${text(bytes(payloadBytes))}.`
        : 'It is gone: a completed job keeps none unless its queue says so.';
}

const factsOf = (job) => [
    ['State', statePill(job.state)],
    ['Queue', job.queue],
    ['Attempts', `${job.attempt} of ${job.attemptsMax}`],
    ['Priority', `${job.priority} (0 is first, 9 last)`],
    ['Enqueued', html`<${Ago} ms=${job.enqueuedAt} />`],
    ['Runs next', job.dueAt && html`<${Ago} ms=${job.dueAt} />`],
    ['Ended', job.finishedAt && html`<${Ago} ms=${job.finishedAt} />`],
    ['Id', html`<span class="mono">${job.id}</span>`],
];

export function Job({ params: [id] }) {
    const load = useLoad((signal) => get(`jobs/${id}`, signal), [id], LOOK_MS);
    const changed = (verb) => (verb === 'delete' ? navigate('/_/jobs') : load.reload());
    return html`
        <header class="page-head">
            <h1><a href="/_/jobs">Jobs</a> / ${load.data?.type ?? id.slice(-8)}</h1>
            ${load.data && html`<${JobActions} job=${load.data} onChanged=${changed} />`}
        </header>
        <${Loaded} load=${load}>${(job) => html`
            <${Facts} facts=${factsOf(job)} />
            ${job.reason && html`
                <div class="section-head"><h2>Last error</h2></div>
                <pre class="panel text" tabindex="0">${job.reason}</pre>
            `}
            <div class="section-head"><h2>Payload</h2></div>
            ${job.payload == null
                ? html`<p class="panel empty">${whyNone(job)}</p>`
                : html`<pre class="panel text" tabindex="0">${pretty(job.payload)}</pre>`}
        `}<//>
    `;
}
