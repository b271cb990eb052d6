// Why does it behave so? Every setting that holds now, where it is said, and what it would be else.
import { html, useState } from '../../lib/preact.js';
import { get } from '../shell/api.js';
import { Loaded, useLoad } from '../shell/load.js';
import { may } from '../shell/roles.js';
import { Table } from '../shell/table.js';
import { ReloadButton } from './reload.js';

const shown = (value) => (value === '' ? html`<span class="faint">not set</span>` : html`<span class="mono">${value}</span>`);

function Value({ value, waiting }) {
    return html`
        ${shown(value)}
        ${waiting !== null && html`<span class="pill" data-tone="warn">a restart makes it ${waiting || 'not set'}</span>`}
    `;
}

function Source({ file, line }) {
    return line === null
        ? html`<span class="faint">default</span>`
        : html`<span class="mono">${file.split('/').at(-1)}:${line}</span>`;
}

const columnsOf = (file) => [
    {
        key: 'key',
        label: 'Key',
        wide: true,
        cell: ({ key, help }) => html`<div><b class="mono">${key}</b><div class="help">${help}</div></div>`,
    },
    { key: 'value', label: 'Holds now', cell: (row) => html`<div class="values"><${Value} ...${row} /></div>` },
    { key: 'default', label: 'Default', cell: ({ default: value }) => (value === null ? 'must be given' : shown(value)) },
    { key: 'line', label: 'Said in', cell: ({ line }) => html`<${Source} file=${file} line=${line} />` },
    { key: 'takes', label: 'A change takes', cell: ({ reloads }) => (reloads ? 'a reload' : 'a restart') },
];

function bySection(settings) {
    const sections = new Map();
    for (const setting of settings) {
        if (!sections.has(setting.section)) sections.set(setting.section, []);
        sections.get(setting.section).push(setting);
    }
    return [...sections];
}

const matches = (words) => ({ section, key, value, help }) =>
    `[${section}] ${key} ${value} ${help}`.toLowerCase().includes(words.toLowerCase());

export function Configuration() {
    const load = useLoad((signal) => get('configuration', signal), []);
    const [words, setWords] = useState('');
    const [onlyFile, setOnlyFile] = useState(false);
    return html`
        <header class="page-head">
            <h1>Configuration</h1>
            ${may('operator') && html`<${ReloadButton} onReloaded=${load.reload} />`}
            ${load.data && html`<p class="lead">Read from <span class="mono">${load.data.file}</span></p>`}
        </header>
        <div class="filters">
            <input type="search" aria-label="Find a setting" placeholder="Find a setting…" value=${words}
                onInput=${(event) => setWords(event.target.value)} />
            <label class="check"><input type="checkbox" checked=${onlyFile}
                onChange=${(event) => setOnlyFile(event.target.checked)} /> only what the file says</label>
        </div>
        <${Loaded} load=${load}>${({ file, data }) => {
            const wanted = data.filter(matches(words)).filter(({ line }) => !onlyFile || line !== null);
            if (wanted.length === 0) return html`<p class="panel empty">No setting is like that.</p>`;
            return bySection(wanted).map(([section, rows]) => html`
                <section key=${section}>
                    <div class="section-head"><h2>[${section}]</h2></div>
                    <${Table} caption=${`[${section}]`} columns=${columnsOf(file)} rows=${rows}
                        rowKey=${({ key }) => key} />
                </section>
            `);
        }}<//>
    `;
}
