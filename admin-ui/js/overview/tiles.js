// The strip: what an operator looks at first. A tile is a number, its last minute, and one fact
// beside it.
import { html } from '../../lib/preact.js';
import * as format from '../shell/format.js';

const MINUTE = 60;

const add = (...columns) =>
    columns[0].map((_, i) => columns.reduce((total, column) => total + (column[i] ?? 0), 0));

const answers = ({ ok, redirect, clientError, serverError }) =>
    add(ok, redirect, clientError, serverError);

function errorRatio(columns) {
    return answers(columns).map((all, i) => (all > 0 ? columns.serverError[i] / all : null));
}

const last = (column) => column.at(-1);

/** What was known last in this minute: between rare requests there is no latency to show. */
const lastKnown = (column) => column.slice(-MINUTE).findLast((value) => value != null);
const side = (value, label) => `${format.text(value)} ${label}`;

/** Each: label, the column it draws, how its value reads, what stands beside, when it alarms; one whose
 *  last minute has nothing but zeros is dim, unless `steady`. */
const tiles = [
    {
        label: 'Requests',
        column: answers,
        format: format.rate,
        aside: (c) => `+ ${format.text(format.rate(last(c.own)))} own pages`,
    },
    {
        label: 'Latency p99',
        column: (c) => c.p99,
        format: format.duration,
        aside: (c) => side(format.duration(lastKnown(c.p50)), 'median'),
    },
    {
        label: 'Error rate',
        column: errorRatio,
        format: format.percent,
        aside: (c) => side(format.rate(last(c.clientError)), 'refused (4xx)'),
        alarm: (value) => value > 0 && 'bad',
    },
    {
        label: 'Cache hits',
        column: (c) => c.hitRatio,
        format: format.percent,
        aside: (c) => (last(c.lookups) ? side(format.rate(last(c.lookups)), 'look-ups') : 'nothing asked'),
    },
    {
        label: 'Jobs ready',
        column: (c) => c.ready,
        format: format.count,
        aside: (c) => side(format.rate(last(c.done)), 'done'),
    },
    {
        label: 'Jobs dead',
        column: (c) => c.dead,
        format: format.count,
        aside: (c) => side(format.count(last(c.retrying)), 'to be retried'),
        alarm: (value) => value > 0 && 'warn',
    },
    {
        label: 'Store used',
        column: (c) => c.storeBytes,
        format: format.bytes,
        steady: true,
        aside: (c) => side(format.rate(last(c.writes)), 'writes'),
    },
];

/** A line over the last minute in a box of 60 x 20; what is missing breaks it. */
function Spark({ column }) {
    const values = column.slice(-MINUTE);
    const top = Math.max(...values.map((value) => value ?? 0)) || 1;
    let pen = 'M';
    const path = values.map((value, i) => {
        if (value == null) {
            pen = 'M';
            return '';
        }
        const end = pen === 'M' ? 'h0' : ''; // with round caps a dot, should it stay alone
        const y = (19 - (18 * value) / top).toFixed(2);
        const point = `${pen}${MINUTE - values.length + i} ${y}${end}`;
        pen = 'L';
        return point;
    });
    return html`
        <svg class="spark" viewBox="0 0 59 20" preserveAspectRatio="none" aria-hidden="true">
            <path d=${path.join('')} vector-effect="non-scaling-stroke" />
        </svg>
    `;
}

function Tile({ tile, columns }) {
    const column = tile.column(columns);
    const known = lastKnown(column);
    const [value, unit] = tile.format(known);
    const tone = tile.alarm?.(known) || 'calm';
    const idle = !tile.steady && !column.slice(-MINUTE).some((one) => one > 0);
    return html`
        <div class="tile" data-tone=${tone} data-old=${last(column) == null} data-idle=${idle}>
            <dt>${tile.label}</dt>
            <dd class="value">${value}<small>${unit}</small></dd>
            <dd class="aside">${column.length ? tile.aside(columns) : ' '}</dd>
            <${Spark} column=${column} />
        </div>
    `;
}

const empty = new Proxy({}, { get: () => [] });

export function Tiles({ columns }) {
    const known = columns.t.length ? columns : empty;
    return html`
        <dl class="tiles" aria-label="This second">
            ${tiles.map((tile) => html`
                <${Tile} key=${tile.label} tile=${tile} columns=${known} />
            `)}
        </dl>
    `;
}
