import { html, render, useEffect, useState } from '../lib/preact.js';
import { get, post } from './shell/api.js';
import { Entry, EntryForm } from './entry.js';
import { Field } from './shell/form.js';

const linkWasUsed = new URLSearchParams(location.search).get('link') === 'used';

function Note({ setupOpen }) {
    if (setupOpen)
        return html`<p class="note">Nobody has set up this server yet. Open the link that it printed
            when it started to become its administrator, or run <code>galley admin add NAME</code> there.</p>`;
    if (linkWasUsed)
        return html`<p class="note">That set-up link has been used already. Sign in instead.</p>`;
    return html`<p class="note">On the server, <code>galley admin add NAME</code> makes an administrator, and
        <code>galley admin passwd NAME</code> helps who has lost a password.</p>`;
}

const signIn = (values) => post('login', values);

function Login() {
    const [session, setSession] = useState({});
    useEffect(() => get('session').then(setSession, () => {}), []);
    return html`
        <${Entry} title="Sign in" lead="To the administration of this server.">
            <${Note} setupOpen=${session.setupOpen} />
            <${EntryForm} action="Sign in" busyAction="Signing in…" send=${signIn}>
                <${Field} name="username" label="Name" autocomplete="username" maxlength="64" />
                <${Field} name="password" label="Password" type="password" maxlength="64"
                    autocomplete="current-password" />
            <//>
        <//>
    `;
}

render(html`<${Login} />`, document.getElementById('app'));
