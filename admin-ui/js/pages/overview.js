// Is it well?
import { html, useState } from '../../lib/preact.js';
import { Chart } from '../overview/chart.js';
import { charts } from '../overview/charts.js';
import { useColumns, windows } from '../overview/history.js';
import { Tiles } from '../overview/tiles.js';
import { Workers } from '../overview/workers.js';
import { useLive } from '../shell/live.js';
import { useTheme } from '../shell/theme.js';

function WindowChoice({ present, onChoose }) {
    return html`
        <fieldset class="choice">
            <legend class="hidden">Time shown</legend>
            ${windows.map((window) => html`
                <label key=${window.label}>
                    <input class="hidden" type="radio" name="window" checked=${window === present}
                        onChange=${() => onChoose(window)} />
                    <span>${window.label}</span>
                </label>
            `)}
        </fieldset>
    `;
}

export function Overview() {
    const theme = useTheme();
    const [window, setWindow] = useState(windows[0]);
    const live = useLive();
    const { columns, error } = useColumns(window, live);
    const common = { columns, seconds: window.seconds, theme };
    return html`
        <div class="overview" data-stale=${!live.connected}>
            <header class="page-head">
                <h1>Overview</h1>
                <${WindowChoice} present=${window} onChoose=${setWindow} />
            </header>
            ${error && html`<p class="trouble" data-tone="warn" role="status">
                The last ${window.label} cannot be loaded. ${error.message}</p>`}
            <${Tiles} columns=${live.columns} />
            <div class="cards">
                ${charts.map((spec) => html`<${Chart} key=${spec.title} spec=${spec} ...${common} />`)}
                <${Workers} load=${live.load} ...${common} />
            </div>
        </div>
    `;
}
