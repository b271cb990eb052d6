// What the list of jobs and the page of one have in common.
import { html } from '../../lib/preact.js';
import { post } from '../shell/api.js';
import { AskingButton } from '../shell/dialog.js';
import { may } from '../shell/roles.js';
import { told } from '../shell/toast.js';

const tones = { running: 'ok', retrying: 'warn', dead: 'bad' };

export const statePill = (state) => html`
    <span class="pill" data-tone=${tones[state] ?? 'calm'}>${state}</span>
`;

const retryable = new Set(['dead', 'cancelled', 'scheduled', 'retrying']);

export function JobActions({ job: { id, type, state }, onChanged }) {
    if (!may('operator')) return null;
    const act = (verb, done) => async () => {
        await told(() => post(`jobs/${verb}`, { id }), done);
        onChanged(verb);
    };
    const retry = act('retry', `The job ${type} runs again.`);
    return html`
        <span class="buttons">
            ${retryable.has(state) && html`
                <button type="button" class="button" onClick=${retry}
                    aria-label=${`Run the job ${type} ${id.slice(-8)} now`}>
                    ${state === 'dead' ? 'Retry' : 'Run now'}</button>
            `}
            ${state !== 'running' && html`
                <${AskingButton} label="Delete" title="Delete this job?" action="Delete" danger
                    aria-label=${`Delete the job ${type} ${id.slice(-8)}`}
                    act=${act('delete', `The job ${type} is deleted.`)}>
                    <p>${state === 'completed' ? 'What it did stays.' : 'It will not run.'} Nothing brings
                        it back.</p>
                <//>
            `}
        </span>
    `;
}
