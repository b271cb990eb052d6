// The one page: navigation beside the view that the address names. What is wrong with the server shows
// in the title and the icon too, whichever view is open.
import { html, render, useEffect, useRef } from '../../lib/preact.js';
import { pages } from '../pages/list.js';
import { leaveForLogin, openSession } from './api.js';
import { Boundary } from './boundary.js';
import { logo, logoAlarmed } from './icon.js';
import { alarmsOf, openLive, useLive } from './live.js';
import { setRole } from './roles.js';
import { findPage, takeLink, useAddress } from './router.js';
import { Sidebar } from './sidebar.js';
import { Toasts } from './toast.js';

function useTitle(title) {
    const alarm = useLive((live) => alarmsOf(live).find(({ tone }) => tone === 'bad')?.title ?? '');
    useEffect(() => {
        document.title = `${alarm && `⚠ ${alarm.replace(/\.$/, '')} · `}${title} · Galley`;
        document.querySelector('link[rel=icon]').href = alarm ? logoAlarmed : logo;
        document.documentElement.dataset.alarm = Boolean(alarm);
    }, [alarm, title]);
}

function Alarms() {
    const alarms = useLive(alarmsOf).filter(({ quiet, title }) => !quiet && title !== 'No connection');
    return alarms.map(({ tone, title, text }) => html`
        <p key=${title} class="trouble" data-tone=${tone} role=${tone === 'bad' ? 'alert' : 'status'}>
            <b>${title}</b> ${text}
        </p>
    `);
}

function Nowhere() {
    return html`
        <header class="page-head"><h1>There is no such page</h1></header>
        <p><a href="/_/">To the overview</a></p>
    `;
}

function Shell({ session }) {
    const { path, query } = useAddress();
    const found = findPage(pages, path);
    const main = useRef();
    const first = useRef(true);
    useTitle(found?.page.title?.(...found.params) ?? found?.page.name ?? 'Nowhere');
    useEffect(() => {
        if (!first.current) main.current.focus();
        first.current = false;
        scrollTo(0, 0);
    }, [path]);
    const View = found?.page.view ?? Nowhere;
    return html`
        <div class="shell" onClick=${takeLink}>
            <a class="skip" href="#view" data-native>To the content</a>
            <${Sidebar} session=${session} pages=${pages} present=${found?.page.within ?? found?.page.name} />
            <main id="view" ref=${main} tabindex="-1">
                <${Alarms} />
                <${Boundary} address=${path}>
                    <${View} key=${path} session=${session} query=${query} params=${found?.params} />
                <//>
            </main>
            <${Toasts} />
        </div>
    `;
}

async function start() {
    const session = await openSession();
    if (!session.signedIn) return leaveForLogin();
    setRole(session.role);
    openLive();
    render(html`<${Shell} session=${session} />`, document.getElementById('app'));
}

start();
