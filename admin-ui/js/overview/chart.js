// One chart: a card whose legend shows the values under the cursor, which all charts share, or the
// latest. The drawing is uPlot's; this file gives it our colours, a fixed window of time, axes that
// are named and do not jump, decades for what is measured by them, and stacking.
import { html, useEffect, useRef, useState } from '../../lib/preact.js';
import uPlot from '../../lib/uplot.js';
import { clock } from '../shell/format.js';

const YOUNG_S = 20;
const AXIS_FONT = '12px system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif';

/** The present value of a colour token of base.css, for the canvas. */
export function colour(name) {
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.color = `var(--${name})`;
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
}

const faded = (value, alpha) => value.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);

/** The next number whose quarters are round as well. */
function roundUp(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    return [1.2, 1.6, 2, 3.2, 4, 8, 12].find((step) => step * power >= value * 0.9999) * power;
}

/** An axis from 0 that grows at once and shrinks only when the data has become much smaller. */
function steadyRange(least, most = Infinity) {
    let top = least;
    return (_, __, max) => {
        const wanted = Math.min(Math.max(roundUp((max || 0) * 1.05 || least), least), most);
        if (wanted > top || wanted < top / 3) top = wanted;
        return [0, top];
    };
}

/** Whole decades, at least those of `least`. */
function decadeRange([low, high]) {
    return (_, min, max) => {
        if (min > 0) low = Math.min(low, 10 ** Math.floor(Math.log10(min)));
        if (max > 0) high = Math.max(high, 10 ** Math.ceil(Math.log10(max) - 1e-9));
        return [low, high];
    };
}

function decades(_, __, low, high) {
    const count = Math.round(Math.log10(high / low));
    const step = count > 5 ? 2 : 1;
    return Array.from({ length: Math.floor(count / step) + 1 }, (___, i) => low * 10 ** (i * step));
}

const quarters = (_, __, ___, top) => [0, 0.25, 0.5, 0.75, 1].map((part) => part * top);

/** "2.50 ms" as an axis says it: "2.5 ms". */
const withoutZeros = (label) => label.replace(/(\.\d*?)0+(?=\D|$)/, '$1').replace(/\.(?=\D|$)/, '');

/** Running totals from the last series up to the first, so that the first line is the sum. */
function stack(columns, shown) {
    const totals = new Array(columns[0]?.length ?? 0).fill(0);
    return columns
        .map((column, i) => [column, i])
        .reverse()
        .map(([column, i]) => column.map((value, n) => (totals[n] += shown[i] ? (value ?? 0) : 0)))
        .reverse();
}

/** The samples without a neighbour, through which no line goes. */
function lonely(u, i) {
    const column = u.data[i];
    const missing = (n) => column[n] == null;
    return Array.from(column.keys()).filter((n) => !missing(n) && missing(n - 1) && missing(n + 1));
}

/** An area under the line: in a stack only of the lowest, between the others lie bands. */
function fillOf(spec, i, stroke) {
    const lowest = i === spec.series.length - 1;
    if (spec.stacked) return lowest ? faded(stroke, 0.22) : undefined;
    return spec.series[i].fill && faded(stroke, 0.12);
}

function seriesOptions(spec, shown, seconds) {
    const roomy = seconds <= 60; // else samples lie closer than dashes
    return spec.series.map((series, i) => {
        const stroke = colour(series.colour);
        return {
            scale: series.scale ?? 'y',
            show: shown[i],
            stroke,
            width: series.width ?? (roomy ? 1.5 : 1),
            dash: roomy ? series.dash : undefined,
            fill: fillOf(spec, i, stroke),
            points: { show: true, size: 4, width: 0, fill: stroke, filter: lonely },
        };
    });
}

/** Between two neighbours of a stack lies the upper one's area. */
function bandOptions(spec) {
    if (!spec.stacked) return [];
    return spec.series.slice(0, -1).map((series, i) => ({
        series: [i + 1, i + 2],
        fill: faded(colour(series.colour), 0.3),
    }));
}

/** Whether a label under this time would not reach over an edge. */
const fits = ({ scales: { x } }, t) => Math.min(x.max - t, t - x.min) > (x.max - x.min) * 0.05;

function axisOptions(spec) {
    const common = { stroke: colour('faint'), font: AXIS_FONT, ticks: { show: false } };
    const grid = { stroke: colour('grid'), width: 1 };
    const named = { labelFont: AXIS_FONT, labelSize: 16, labelGap: 0 };
    const value = (axis) => ({
        ...common,
        ...named,
        label: axis.unit,
        scale: axis.scale ?? 'y',
        side: axis.side ?? 3,
        size: 52,
        gap: 6,
        splits: axis.log ? decades : quarters,
        grid: axis.side === 1 ? { show: false } : grid,
        values: (_, splits) => splits.map((split) => withoutZeros(axis.format(split))),
        filter: (_, splits) => splits,
    });
    const time = {
        ...common,
        ...named,
        label: 'time of day',
        size: 22,
        space: 70,
        gap: 4,
        grid: { show: false },
        incrs: [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600],
        values: (u, splits, _, __, step) => splits.map((t) => (fits(u, t) ? clock(t, step < 60) : '')),
    };
    return [time, ...spec.axes.map(value)];
}

/** The last `seconds`; less of them as long as less is known. */
function timeRange(times, seconds) {
    const end = times.at(-1) ?? Date.now() / 1000;
    const age = end - (times[0] ?? end);
    return [end - Math.min(seconds, Math.max(age, YOUNG_S)), end];
}

function scaleOptions(spec, seconds) {
    const scales = { x: { time: true, range: (u) => timeRange(u.data[0], seconds) } };
    for (const axis of spec.axes)
        scales[axis.scale ?? 'y'] = axis.log
            ? { distr: 3, log: 10, range: decadeRange(axis.least) }
            : { range: steadyRange(axis.least, axis.most) };
    return scales;
}

function chartOptions(spec, { seconds, shown, host, onCursor }) {
    return {
        width: host.clientWidth,
        height: host.clientHeight,
        padding: [8, spec.axes.length > 1 ? 0 : 10, 0, 0],
        legend: { show: false },
        cursor: {
            y: false,
            drag: { x: false, y: false, setScale: false },
            sync: { key: 'galley' },
            points: {
                size: 7,
                width: 2,
                fill: () => colour('surface'),
                stroke: (u, i) => u.series[i].stroke(),
            },
        },
        series: [{}, ...seriesOptions(spec, shown, seconds)],
        bands: bandOptions(spec),
        axes: axisOptions(spec),
        scales: scaleOptions(spec, seconds),
        hooks: { setCursor: [(u) => onCursor(u.cursor.left >= 0 ? u.cursor.idx : null)] },
    };
}

/** The rows uPlot draws: seconds, then a column for each series. */
function chartData(spec, columns, shown) {
    const logarithmic = new Set(spec.axes.filter(({ log }) => log).map(({ scale }) => scale));
    const drawn = ({ key, scale }) =>
        logarithmic.has(scale) ? columns[key]?.map((value) => value || null) : columns[key];
    const picked = spec.series.map((series) => drawn(series) ?? []);
    const times = columns.t.map((ms) => ms / 1000);
    return [times, ...(spec.stacked ? stack(picked, shown) : picked)];
}

function LegendItem({ series, value, shown, onToggle }) {
    return html`
        <button type="button" class="legend-item" aria-pressed=${shown} data-colour=${series.colour}
            title=${shown ? `Hide ${series.label}` : `Show ${series.label}`} onClick=${onToggle}>
            <i></i>${series.label}<b>${shown ? series.format(value) : 'hidden'}</b>
        </button>
    `;
}

export function Chart({ spec, columns, seconds, theme, children }) {
    const host = useRef();
    const plot = useRef();
    const [shown, setShown] = useState(() => spec.series.map(() => true));
    const [at, setAt] = useState(null);

    useEffect(() => {
        const options = chartOptions(spec, { seconds, shown, host: host.current, onCursor: setAt });
        plot.current = new uPlot(options, chartData(spec, columns, shown), host.current);
        const watch = new ResizeObserver(([{ contentRect }]) =>
            plot.current.setSize({ width: contentRect.width, height: contentRect.height }));
        watch.observe(host.current);
        return () => {
            watch.disconnect();
            plot.current.destroy();
        };
    }, [spec, seconds, shown, theme]);

    useEffect(() => {
        if (!document.hidden) plot.current.setData(chartData(spec, columns, shown));
    }, [columns.t.at(-1)]);

    const index = at ?? columns.t.length - 1;
    const toggle = (i) => setShown(shown.map((on, n) => (n === i ? !on : on)));
    return html`
        <section class="card">
            <div class="card-head">
                <h2>${spec.title}</h2>
                <time class="when">${at == null ? '' : clock(columns.t[index] / 1000)}</time>
                <div class="legend">
                    ${spec.series.map((series, i) => html`
                        <${LegendItem} key=${series.key} series=${series} shown=${shown[i]}
                            value=${columns[series.key]?.[index]} onToggle=${() => toggle(i)} />
                    `).reverse()}
                </div>
            </div>
            ${children}
            <div class="plot" ref=${host} role="img" aria-label=${`Chart: ${spec.title}`}></div>
        </section>
    `;
}
