// A table; on a phone each row is a card. Columns: { key, label, cell(row), by(row) to sort, number:
// aligned to the right, wide: takes what is left }.
import { html, useState } from '../../lib/preact.js';

const compare = (a, b) => (a === b ? 0 : a == null ? -1 : b == null ? 1 : a < b ? -1 : 1);

function Head({ column, order, onOrder }) {
    const sorted = order.key === column.key;
    const direction = order.down ? 'descending' : 'ascending';
    return html`
        <th scope="col" data-number=${column.number} data-wide=${column.wide}
            aria-sort=${column.by && (sorted ? direction : 'none')}>
            ${column.by
                ? html`<button type="button" class="sort" data-sorted=${sorted ? direction : ''}
                      onClick=${() => onOrder(column)}>${column.label}</button>`
                : column.label}
        </th>
    `;
}

/** `order` at first: { key, down }. */
export function Table({ caption, columns, rows, rowKey, empty, order: initial = {} }) {
    const [order, setOrder] = useState(initial);
    const by = columns.find(({ key }) => key === order.key)?.by;
    const sign = order.down ? -1 : 1;
    const sorted = by ? rows.toSorted((a, b) => sign * compare(by(a), by(b))) : rows;
    const onOrder = ({ key, number }) =>
        setOrder({ key, down: order.key === key ? !order.down : Boolean(number) });
    if (rows.length === 0) return html`<div class="panel empty">${empty}</div>`;
    return html`
        <div class="panel table-frame">
            <table>
                <caption class="hidden">${caption}</caption>
                <thead>
                    <tr>${columns.map((column) => html`
                        <${Head} key=${column.key} column=${column} order=${order} onOrder=${onOrder} />
                    `)}</tr>
                </thead>
                <tbody>
                    ${sorted.map((row) => html`
                        <tr key=${rowKey(row)}>${columns.map((column) => html`
                            <td key=${column.key} data-label=${column.label}
                                data-number=${column.number} data-wide=${column.wide}>${column.cell(row)}</td>
                        `)}</tr>
                    `)}
                </tbody>
            </table>
        </div>
    `;
}

/** Names and values, one under the other. */
export function Facts({ facts }) {
    return html`
        <dl class="panel facts-list">
            ${facts.filter(([, value]) => value != null && value !== '').map(([name, value]) => html`
                <div key=${name}><dt>${name}</dt><dd>${value}</dd></div>
            `)}
        </dl>
    `;
}
