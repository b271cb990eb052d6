import { html, render, useEffect, useState } from '../lib/preact.js';
import { get } from './api.js';
import { Chart } from './chart.js';
import { charts } from './charts.js';
import { Header, useTheme } from './header.js';
import { nothingYet, openLive } from './live.js';
import { Tiles } from './tiles.js';
import { Workers } from './workers.js';

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

function Trouble({ live }) {
    if (!live.connected) return null;
    return html`
        ${live.state === 'read-only' && html`
            <p class="trouble" role="alert">
                <b>The store is read-only until a restart.</b> ${live.cause}
            </p>
        `}
        ${live.warnings.map((text) => html`
            <p key=${text} class="trouble" data-tone="warn" role="status">${text}</p>
        `)}
    `;
}

function Dashboard({ session }) {
    const theme = useTheme();
    const [seconds, setSeconds] = useState(60);
    const [live, setLive] = useState(nothingYet);
    useEffect(() => openLive(setLive), []);

    return html`
        <${Header} session=${session} live=${live} />
        <main class="dashboard" data-stale=${!live.connected}>
            <${Trouble} live=${live} />
            <div class="heading">
                <h1>Overview</h1>
                <${WindowChoice} seconds=${seconds} onChoose=${setSeconds} />
            </div>
            <${Tiles} columns=${live.columns} />
            <div class="cards">
                ${charts.map((spec) => html`
                    <${Chart} key=${spec.title} spec=${spec} columns=${live.columns}
                        seconds=${seconds} theme=${theme} />
                `)}
                <${Workers} load=${live.load} columns=${live.columns} theme=${theme} />
            </div>
        </main>
    `;
}

async function start() {
    const session = await get('session');
    if (!session.signedIn) location.replace('/_/login');
    else render(html`<${Dashboard} session=${session} />`, document.getElementById('app'));
}

start();
