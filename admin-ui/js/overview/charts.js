// What the charts show. Series are drawn in this order: the most important line is the last and lies
// on top; in a stack the first is the uppermost. Legends read the other way round.
import { count, duration, percent, rate, text } from '../shell/format.js';

const asRate = (value) => text(rate(value));
const asCount = (value) => text(count(value));
const asDuration = (value) => text(duration(value));
const asPercent = (value) => text(percent(value));

export const charts = [
    {
        title: 'Requests',
        stacked: true,
        axes: [{ format: asCount, unit: 'requests a second', least: 8 }],
        series: [
            { key: 'serverError', label: '5xx', colour: 'rose', format: asRate },
            { key: 'clientError', label: '4xx', colour: 'amber', format: asRate },
            { key: 'redirect', label: '3xx', colour: 'sky', format: asRate },
            { key: 'ok', label: '2xx', colour: 'teal', format: asRate },
        ],
    },
    {
        title: 'Latency',
        axes: [{ format: asDuration, unit: 'time to the answer', log: true, least: [0.1, 10] }],
        series: [
            { key: 'p99', label: 'p99', colour: 'violet', format: asDuration, width: 2 },
            { key: 'p95', label: 'p95', colour: 'amber', format: asDuration },
            { key: 'p50', label: 'p50', colour: 'teal', format: asDuration },
        ],
    },
    {
        title: 'Cache hit ratio',
        axes: [{ format: (value) => `${Math.round(value * 100)}%`, unit: 'of look-ups', least: 1, most: 1 }],
        series: [{ key: 'hitRatio', label: 'hits', colour: 'teal', format: asPercent, fill: true }],
    },
    {
        title: 'Jobs',
        axes: [{ format: asCount, unit: 'jobs', least: 8 }],
        series: [
            { key: 'dead', label: 'dead', colour: 'rose', format: asCount },
            { key: 'retrying', label: 'retrying', colour: 'amber', format: asCount },
            { key: 'scheduled', label: 'scheduled', colour: 'slate', format: asCount },
            { key: 'running', label: 'running', colour: 'teal', format: asCount },
            { key: 'ready', label: 'ready', colour: 'sky', format: asCount, fill: true },
        ],
    },
    {
        title: 'Commits',
        axes: [
            { format: asDuration, unit: 'time of a commit', log: true, least: [0.1, 10] },
            { scale: 'batch', side: 1, format: asCount, unit: 'writes each', least: 4 },
        ],
        series: [
            {
                key: 'batch',
                label: 'writes each',
                colour: 'amber',
                format: asCount,
                scale: 'batch',
                dash: [5, 4],
            },
            { key: 'commitP99', label: 'p99', colour: 'violet', format: asDuration, width: 2 },
            { key: 'commitP50', label: 'p50', colour: 'teal', format: asDuration },
        ],
    },
];

export const workerChart = {
    title: 'Worker threads',
    axes: [{ format: asCount, unit: 'threads', least: 8 }],
    series: [
        { key: 'connections', label: 'connections', colour: 'slate', format: asCount },
        { key: 'used', label: 'used', colour: 'teal', format: asCount, fill: true },
        { key: 'busy', label: 'busy now', colour: 'violet', format: asCount },
    ],
};
