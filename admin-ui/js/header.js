import { html, useEffect, useState } from '../lib/preact.js';
import { post } from './api.js';
import { uptime } from './format.js';
import { icon } from './icon.js';
import { ReloadButton } from './reload.js';

export const logo = new URL('../favicon.svg', import.meta.url).href;

const sun = icon(html`
    <circle cx="12" cy="12" r="4" />
    <path d="M12 2v2M12 20v2M2 12h2M20 12h2" />
    <path d="M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4" />
`);
const moon = icon(html`<path d="M20.5 13.5A8.5 8.5 0 1 1 10.5 3.5a6.8 6.8 0 0 0 10 10z" />`);
const door = icon(html`<path d="M9 21H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2h4M16 17l5-5-5-5M21 12H9" />`);

/** "light" or "dark", also after it changes. */
export function useTheme() {
    const [theme, setTheme] = useState(galleyTheme.current());
    useEffect(() => {
        const update = () => setTheme(galleyTheme.current());
        addEventListener('themechange', update);
        return () => removeEventListener('themechange', update);
    }, []);
    return theme;
}

export function ThemeButton() {
    const other = useTheme() === 'dark' ? 'light' : 'dark';
    const label = `Switch to the ${other} theme`;
    return html`
        <button class="icon-button" type="button" title=${label} aria-label=${label}
            onClick=${galleyTheme.toggle}>${other === 'light' ? sun : moon}</button>
    `;
}

const states = {
    ready: { tone: 'ok', label: 'Ready' },
    draining: { tone: 'warn', label: 'Stopping' },
    'read-only': { tone: 'bad', label: 'Read-only' },
};

const broken = ({ connected }) => ({
    tone: 'warn',
    label: connected === undefined ? 'Connecting…' : 'Reconnecting…',
});

function StatePill({ live }) {
    const { tone, label } = live.connected ? states[live.state] : broken(live);
    return html`<span class="pill" data-tone=${tone} role="status"><i></i>${label}</span>`;
}

const durabilities = { commit: 'fsync on every commit', relaxed: 'relaxed durability' };

/** The uptime grows from what it was when the page asked. */
function useUptime({ uptimeMs }) {
    const [askedAt] = useState(() => performance.now());
    return uptime(uptimeMs + performance.now() - askedAt);
}

export function Header({ session, live }) {
    const leave = () =>
        post('logout', {}, session.csrf).finally(() => location.replace('/_/login'));
    return html`
        <header class="bar">
            <a class="brand" href="/_/">
                <img src=${logo} width="28" height="28" alt="" />Galley
            </a>
            <${StatePill} live=${live} />
            <ul class="facts">
                <li class="address" title="Listens on">${session.address}</li>
                <li title="Durability">${durabilities[session.durability]}</li>
                <li title=${`Version ${session.version}`}>up ${useUptime(session)}</li>
            </ul>
            <div class="who">
                <span class="user" title="Signed in as">${session.user}</span>
                <${ReloadButton} csrf=${session.csrf} />
                <${ThemeButton} />
                <button class="icon-button" type="button" title="Sign out" aria-label="Sign out"
                    onClick=${leave}>${door}</button>
            </div>
        </header>
    `;
}
