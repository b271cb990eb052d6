// Beside every view: where one is, how the server is, who is signed in. On a phone it is a bar that
// opens.
import { html, useEffect, useState } from '../../lib/preact.js';
import { post } from './api.js';
import { uptime } from './format.js';
import { door, logo, menu } from './icon.js';
import { useLive } from './live.js';
import { ThemeButton } from './theme.js';

const states = {
    ready: { tone: 'ok', label: 'Ready' },
    draining: { tone: 'warn', label: 'Stopping' },
    'read-only': { tone: 'bad', label: 'Read-only' },
    degraded: { tone: 'bad', label: 'Damaged' },
};

function stateOf({ connected, state, damage }) {
    if (connected === undefined) return { tone: 'warn', label: 'Connecting…' };
    if (!connected) return { tone: 'warn', label: 'Reconnecting…' };
    return states[state === 'ready' && damage ? 'degraded' : state];
}

function StatePill() {
    const { tone, label } = useLive(stateOf);
    return html`<span class="pill" data-tone=${tone} role="status"><i></i>${label}</span>`;
}

const durabilities = { commit: 'fsync on every commit', relaxed: 'relaxed durability' };

/** The uptime grows from what it was when the page asked. */
function useUptime({ uptimeMs }) {
    const [askedAt] = useState(() => performance.now());
    const [, setTick] = useState(0);
    useEffect(() => {
        const timer = setInterval(() => setTick((n) => n + 1), 1000);
        return () => clearInterval(timer);
    }, []);
    return uptime(uptimeMs + performance.now() - askedAt);
}

function ServerFacts({ session }) {
    return html`
        <ul class="facts">
            <li class="address" title="Listens on">${session.address}</li>
            <li>up ${useUptime(session)} · version ${session.version}</li>
            <li>${durabilities[session.durability]}</li>
        </ul>
    `;
}

function Who({ session }) {
    const leave = () => post('logout').finally(() => location.replace('/_/login'));
    return html`
        <div class="who">
            <span class="user" title="Signed in as">${session.user}
                ${session.role && html`<small>${session.role}</small>`}</span>
            <${ThemeButton} />
            <button class="icon-button" type="button" title="Sign out" aria-label="Sign out"
                onClick=${leave}>${door}</button>
        </div>
    `;
}

export function Sidebar({ session, pages, present }) {
    const [open, setOpen] = useState(false);
    useEffect(() => setOpen(false), [present]);
    return html`
        <header class="sidebar" data-open=${open}>
            <div class="sidebar-head">
                <a class="brand" href="/_/"><img src=${logo} width="28" height="28" alt="" />Galley</a>
                <${StatePill} />
                <button class="icon-button menu-button" type="button" aria-label="Menu"
                    aria-expanded=${open} aria-controls="menu" onClick=${() => setOpen(!open)}>${menu}</button>
            </div>
            <div class="sidebar-rest" id="menu">
                <nav aria-label="Pages">
                    ${pages.filter(({ name }) => name).map(({ name, path, icon }) => html`
                        <a key=${path} href=${path} aria-current=${present === name ? 'page' : undefined}>
                            ${icon}${name}</a>
                    `)}
                </nav>
                <div><${ServerFacts} session=${session} /><${Who} session=${session} /></div>
            </div>
        </header>
    `;
}
