// What happens right now, and what happened to this request? The log's last lines and those to come.
import { html, useEffect, useRef, useState } from '../../lib/preact.js';
import { clock, duration, moment, text } from '../shell/format.js';
import { navigate, withQuery } from '../shell/router.js';

const LINES_MAX = 1000;
const SHOW_MS = 150; // lines are shown together
const QUERY_MS = 300; // after the last key

const levels = [
    ['debug', 'everything'],
    ['info', 'info and above'],
    ['warn', 'warnings and errors'],
    ['error', 'errors alone'],
];
const tones = { warn: 'warn', error: 'bad' };

/** { lines, state, skipped }: the newest first. Nothing is added while `paused`. */
function useTail(level, query, paused) {
    const [tail, setTail] = useState({ lines: [], state: 'connecting' });
    const held = useRef(false);
    held.current = paused;
    useEffect(() => {
        let waiting = [];
        let number = 0;
        let skipped = 0;
        setTail({ lines: [], state: 'connecting' });
        const source = new EventSource(`/_/api/logs?${new URLSearchParams({ level, q: query })}`);
        source.addEventListener('open', () => setTail((now) => ({ ...now, state: 'live' })));
        source.addEventListener('error', () => setTail((now) => ({ ...now, state: 'broken' })));
        source.addEventListener('line', ({ data }) => {
            waiting.push({ ...JSON.parse(data), number: number++ });
            if (waiting.length > LINES_MAX) waiting = waiting.slice(-LINES_MAX);
        });
        source.addEventListener('skipped', ({ data }) => (skipped += Number(data)));
        const show = setInterval(() => {
            if (held.current || waiting.length === 0) return;
            const fresh = waiting.reverse();
            waiting = [];
            setTail((now) => ({ ...now, skipped, lines: [...fresh, ...now.lines].slice(0, LINES_MAX) }));
        }, SHOW_MS);
        return () => {
            source.close();
            clearInterval(show);
        };
    }, [level, query]);
    return tail;
}

function Request({ line }) {
    return html`
        <span class="mono">${line.method} ${line.path}</span>
        <span class="log-detail">
            ${text(duration(line.durationMs))}
            ${line.user && html`<span>user ${line.user}</span>`}
            <span>from ${line.address}</span>
            ${line.outcome && html`<b>${line.outcome}</b>`}
            <a class="mono" href=${withQuery({ q: line.requestId })}>${line.requestId}</a>
        </span>
    `;
}

const statusTone = (status) => (status >= 500 ? 'bad' : status >= 400 ? 'warn' : 'calm');

function Line({ line }) {
    const at = Date.parse(line.time);
    const access = line.status !== undefined;
    return html`
        <li data-tone=${tones[line.level] ?? 'calm'}>
            <time dateTime=${line.time} title=${moment(at)}>${clock(at / 1000)}</time>
            ${access
                ? html`<span class="pill" data-tone=${statusTone(line.status)}>${line.status}</span>`
                : html`<span class="pill" data-tone=${tones[line.level] ?? 'calm'}>${line.component}</span>`}
            <span class="log-text">${access ? html`<${Request} line=${line} />` : line.message}</span>
        </li>
    `;
}

function Search({ query }) {
    const [value, setValue] = useState(query);
    useEffect(() => setValue(query), [query]);
    useEffect(() => {
        if (value === query) return undefined;
        const timer = setTimeout(() => navigate(withQuery({ q: value }), { replace: true }), QUERY_MS);
        return () => clearTimeout(timer);
    }, [value]);
    return html`
        <input type="search" aria-label="Only lines with these words" maxlength="100"
            placeholder="Only lines with…" value=${value} onInput=${(event) => setValue(event.target.value)} />
    `;
}

const emptyText = (state, query) =>
    state === 'connecting' ? 'Waiting for the first lines…'
        : query ? `No line holds “${query}”. New ones will show here.`
            : 'No line yet. New ones will show here.';

export function Logs({ query }) {
    const level = query.get('level') ?? 'info';
    const words = query.get('q') ?? '';
    const [paused, setPaused] = useState(false);
    const { lines, state, skipped } = useTail(level, words, paused);
    const choose = (event) => navigate(withQuery({ level: event.target.value }), { replace: true });
    return html`
        <header class="page-head">
            <h1>Logs</h1>
            <button type="button" class="button" aria-pressed=${paused} onClick=${() => setPaused(!paused)}>
                ${paused ? 'Go on' : 'Pause'}</button>
        </header>
        <div class="filters">
            <${Search} query=${words} />
            <label>Show <select value=${level} onChange=${choose}>
                ${levels.map(([name, label]) => html`<option key=${name} value=${name}>${label}</option>`)}
            </select></label>
            <span class="faint" role="status">${paused ? 'Paused' : state === 'live' ? `Live · ${lines.length} lines` : ''}</span>
        </div>
        ${state === 'broken' && html`
            <p class="trouble" data-tone="warn" role="status">The connection is lost; it is tried again.</p>`}
        ${skipped > 0 && html`
            <p class="trouble" data-tone="warn" role="status">More was logged than can be shown: lines were skipped.</p>`}
        ${lines.length === 0
            ? html`<p class="panel empty">${emptyText(state, words)}</p>`
            : html`<ol class="panel log" tabindex="0" aria-label="Lines of the log, the newest first">
                ${lines.map((line) => html`<${Line} key=${line.number} line=${line} />`)}</ol>`}
    `;
}
