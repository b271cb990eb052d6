// Is what is stored whole, and is there room for more? The file, and what the last check has found.
import { html, useState } from '../../lib/preact.js';
import { get, post } from '../shell/api.js';
import { bytes, text, uptime } from '../shell/format.js';
import { turn } from '../shell/icon.js';
import { Loaded, useLoad } from '../shell/load.js';
import { may } from '../shell/roles.js';
import { Facts } from '../shell/table.js';
import { Ago } from '../shell/time.js';
import { told } from '../shell/toast.js';

const LOOK_MS = 1000;
const LONG_READ_MS = 1000; // from here on a read keeps freed pages from being used again

const size = (value) => text(bytes(value));
const whole = new Intl.NumberFormat('en');
const entries = (count) => `${whole.format(count)} ${count === 1 ? 'entry' : 'entries'}`;

/** Of the file: what holds data and what new data can take. */
function Room({ fileBytes, freeBytes }) {
    const used = Math.max(fileBytes - freeBytes, 0);
    const label = `${size(used)} in use, ${size(freeBytes)} free for new data`;
    return html`
        <div class="panel room">
            <div class="load-bar" role="img" aria-label=${label}>
                <i data-level="1" style=${{ flexGrow: used }} data-none=${used === 0}></i>
                <i data-level="idle" style=${{ flexGrow: freeBytes }} data-none=${freeBytes === 0}></i>
            </div>
            <p class="faint">${label}</p>
        </div>
    `;
}

function oldestRead(ms) {
    if (ms === 0) return 'none';
    return ms < LONG_READ_MS ? 'less than a second' : uptime(ms);
}

const factsOfFile = (state) => [
    ['Directory', html`<span class="mono">${state.directory}</span>`],
    ['File', size(state.fileBytes)],
    ['May grow to', size(state.mapBytes)],
    ['Oldest read', oldestRead(state.oldestReadMs)],
    ['Damage met since the start', state.damagedMet ? whole.format(state.damagedMet) : 'none'],
];

/** What is wrong, in whole sentences, beside what every page says. */
function Warnings({ nearlyFull, oldestReadMs }) {
    return html`
        ${nearlyFull && html`
            <p class="trouble" data-tone="warn" role="status">Nearly full: writes that grow are refused soon.
                Raise map_size, or delete.</p>`}
        ${oldestReadMs >= LONG_READ_MS && html`
            <p class="trouble" data-tone="warn" role="status">A read has lasted for ${uptime(oldestReadMs)}: what is
                freed meanwhile cannot be used again, and the file grows.</p>`}
    `;
}

function verdict({ passes, running, found, mended, lookedAt }) {
    if (!running && passes === 0) return ['warn', 'Not checked since the start'];
    if (found > mended) return ['bad', `${whole.format(found - mended)} damaged`];
    if (found > 0) return ['ok', `${whole.format(found)} damaged, all mended`];
    return running ? ['ok', 'Nothing found so far'] : ['ok', `${entries(lookedAt)}, all whole`];
}

const factsOfCheck = ({ running, part, lookedAt, lastEnded, passes }) => [
    ['Now', running ? `reads ${part}` : 'rests'],
    [running ? 'Read so far' : 'Read', passes || running ? entries(lookedAt) : 'nothing'],
    ['Last whole check', lastEnded ? html`<${Ago} ms=${Date.parse(lastEnded)} />` : 'none since the start'],
];

function Findings({ findings, found }) {
    if (findings.length === 0) return null;
    return html`
        <div class="section-head"><h2>What is damaged, and what depends on it</h2></div>
        <ul class="panel findings">${findings.map((what) => html`<li key=${what}>${what}</li>`)}</ul>
        ${found > findings.length && html`<p class="faint">and ${whole.format(found - findings.length)} more</p>`}
        <p class="faint">On a stopped server <code>galley verify --repair</code> makes anew what can be derived and moves
            the rest to a file.</p>
    `;
}

function Check({ check }) {
    const [tone, label] = verdict(check);
    return html`
        <div class="section-head">
            <h2>Check</h2>
            <span class="pill" data-tone=${tone} role="status"><i></i>${label}</span>
        </div>
        <${Facts} facts=${factsOfCheck(check)} />
        <${Findings} ...${check} />
    `;
}

function CheckButton({ onBegun }) {
    const [busy, setBusy] = useState(false);
    const begin = async () => {
        setBusy(true);
        await told(() => post('verify'), 'Everything is being read.');
        setBusy(false);
        onBegun();
    };
    return html`
        <button type="button" class="button" disabled=${busy} onClick=${begin}>${turn} Check now</button>
    `;
}

export function Storage() {
    const load = useLoad((signal) => get('storage', signal), [], LOOK_MS);
    return html`
        <header class="page-head">
            <h1>Storage</h1>
            ${may('operator') && html`<${CheckButton} onBegun=${load.reload} />`}
            <p class="lead">Everything that is stored is read over and over, slowly, to find damage before somebody
                needs what it sits in.</p>
        </header>
        <${Loaded} load=${load}>${(state) => html`
            <${Warnings} ...${state} />
            <${Room} ...${state} />
            <${Facts} facts=${factsOfFile(state)} />
            <${Check} check=${state.check} />
        `}<//>
    `;
}
