// The worker threads: a bar of all of them, with those in front that worked in the last second, and how
// many there were over time.
import { html } from '../../lib/preact.js';
import { Chart } from './chart.js';
import { workerChart } from './charts.js';

// By the digit of a thread: how much of the second it was busy.
const levels = [
    { label: 'most of the second', from: 7, to: 9 },
    { label: 'some of it', from: 3, to: 6 },
    { label: 'a little', from: 1, to: 2 },
];

function Bar({ load }) {
    const digits = Array.from(load, Number);
    const parts = levels.map(({ label, from, to }) =>
        ({ label, size: digits.filter((digit) => digit >= from && digit <= to).length }));
    const used = parts.reduce((sum, { size }) => sum + size, 0);
    const detail = parts.filter(({ size }) => size > 0).map(({ label, size }) => `${size} ${label}`).join(', ');
    return html`
        <div class="load">
            <div class="load-bar" role="img"
                aria-label=${`${used} of ${digits.length} threads worked in the last second`}>
                ${parts.map(({ label, size }, i) => html`
                    <i key=${label} data-level=${i} style=${{ flexGrow: size }} data-none=${size === 0}></i>
                `)}
                <i data-level="idle" style=${{ flexGrow: digits.length - used }}></i>
            </div>
            <p><b>${used} of ${digits.length}</b> worked in this second${detail && `: ${detail}`}</p>
        </div>
    `;
}

export function Workers({ load, ...chart }) {
    return html`<${Chart} spec=${workerChart} ...${chart}><${Bar} load=${load} /><//>`;
}
