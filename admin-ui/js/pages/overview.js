// Is it well?
import { html, useState } from '../../lib/preact.js';
import { Chart } from '../overview/chart.js';
import { charts } from '../overview/charts.js';
import { Tiles } from '../overview/tiles.js';
import { Workers } from '../overview/workers.js';
import { useLive } from '../shell/live.js';
import { useTheme } from '../shell/theme.js';
import { ReloadButton } from './reload.js';

const windows = [
    { seconds: 60, label: '1 min' },
    { seconds: 300, label: '5 min' },
    { seconds: 600, label: '10 min' },
];

function WindowChoice({ seconds, onChoose }) {
    return html`
        <fieldset class="choice">
            <legend class="hidden">Time shown</legend>
            ${windows.map((window) => html`
                <label key=${window.label}>
                    <input class="hidden" type="radio" name="window"
                        checked=${window.seconds === seconds}
                        onChange=${() => onChoose(window.seconds)} />
                    <span>${window.label}</span>
                </label>
            `)}
        </fieldset>
    `;
}

export function Overview() {
    const theme = useTheme();
    const [seconds, setSeconds] = useState(60);
    const live = useLive();
    return html`
        <div class="overview" data-stale=${!live.connected}>
            <header class="page-head">
                <h1>Overview</h1>
                <${WindowChoice} seconds=${seconds} onChoose=${setSeconds} />
                <${ReloadButton} />
            </header>
            <${Tiles} columns=${live.columns} />
            <div class="cards">
                ${charts.map((spec) => html`
                    <${Chart} key=${spec.title} spec=${spec} columns=${live.columns}
                        seconds=${seconds} theme=${theme} />
                `)}
                <${Workers} load=${live.load} columns=${live.columns} theme=${theme} />
            </div>
        </div>
    `;
}
