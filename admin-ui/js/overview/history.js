// What is older than ten minutes comes from the server in longer steps.
import { get } from '../shell/api.js';
import { useLoad } from '../shell/load.js';

export const windows = [
    { label: '1 min', seconds: 60 },
    { label: '10 min', seconds: 600 },
    { label: '1 h', seconds: 3600, step: '10s', stepMs: 10_000 },
    { label: '24 h', seconds: 86_400, step: '2min', stepMs: 120_000 },
];

/** Where the server was away lines are broken, by a sample that says nothing. */
function withGaps(columns, stepMs) {
    const names = Object.keys(columns);
    const out = Object.fromEntries(names.map((name) => [name, []]));
    columns.t.forEach((t, i) => {
        const before = columns.t[i - 1];
        if (before !== undefined && t - before > 2.5 * stepMs)
            for (const name of names) out[name].push(name === 't' ? before + stepMs : null);
        for (const name of names) out[name].push(columns[name][i]);
    });
    return out;
}

/** The columns to draw in a window. */
export function useColumns({ step, stepMs }, live) {
    const load = async (signal) => step && withGaps(await get(`history?step=${step}`, signal), stepMs);
    const { data, error } = useLoad(load, [step], step && 10_000);
    return { columns: step ? (data ?? { t: [] }) : live.columns, error: step && error };
}
