// What was sent, to whom? The development mail box.
import { html } from '../../lib/preact.js';
import { get } from '../shell/api.js';
import { bytes, text } from '../shell/format.js';
import { Loaded, useLoad } from '../shell/load.js';
import { Table } from '../shell/table.js';
import { Ago } from '../shell/time.js';
import { decodeWords, visible } from './mail_text.js';

const LOOK_MS = 3000;

const plain = (value) => visible(decodeWords(value));
const moment = (date) => Date.parse(date) || null;

const columns = [
    {
        key: 'subject',
        label: 'Subject',
        wide: true,
        cell: ({ id, subject }) => html`<a href=${`/_/mails/${id}`}>${plain(subject) || '(no subject)'}</a>`,
    },
    { key: 'to', label: 'To', cell: ({ to }) => plain(to) },
    { key: 'date', label: 'Sent', cell: ({ date }) => html`<${Ago} ms=${moment(date)} />` },
    { key: 'size', label: 'Size', number: true, cell: (row) => text(bytes(row.bytes)) },
];

export function Mails() {
    const load = useLoad((signal) => get('mails', signal), [], LOOK_MS);
    return html`
        <header class="page-head">
            <h1>Mail box</h1>
            <p class="lead">E-mails that were kept here instead of being sent: the latest hundred.
                ${load.data && ` The box has ${text(bytes(load.data.boxBytes))}.`}</p>
        </header>
        <${Loaded} load=${load}>${({ data }) => html`
            <${Table} caption="Messages, the latest first" columns=${columns} rows=${data}
                rowKey=${({ id }) => id} empty="No e-mail yet. Those of jobs of the type send-email come here." />
        `}<//>
    `;
}

const inHead = new Set(['From', 'To', 'Subject', 'Date']);

export function Mail({ params: [id] }) {
    const load = useLoad((signal) => get(`mails/${id}`, signal), [id]);
    const header = (name) => load.data?.headers.find((one) => one.name === name)?.value ?? '';
    return html`
        <header class="page-head">
            <h1><a href="/_/mails">Mail box</a> / ${plain(header('Subject')) || 'message'}</h1>
        </header>
        <${Loaded} load=${load}>${({ headers, text: body, cut }) => html`
            <dl class="panel mail-head">
                ${headers.filter(({ name }) => inHead.has(name)).map(({ name, value }) => html`
                    <div key=${name}><dt>${name}</dt><dd>${plain(value)}</dd></div>`)}
            </dl>
            <pre class="panel text mail-text" tabindex="0">${visible(body)}</pre>
            ${cut && html`<p class="trouble" data-tone="warn" role="status">The message goes on; this is its beginning.</p>`}
            <details class="panel more">
                <summary>All headers</summary>
                <pre class="text" tabindex="0">${headers.map(({ name, value }) => visible(`${name}: ${value}`)).join('\n')}</pre>
            </details>
        `}<//>
    `;
}
