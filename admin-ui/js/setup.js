import { html, render } from '../lib/preact.js';
import { post } from './shell/api.js';
import { Entry, EntryForm } from './entry.js';
import { Field } from './shell/form.js';

const PASSWORD_MIN = 10;
const token = new URLSearchParams(location.search).get('token');

async function create({ username, password, repeated }) {
    if (password !== repeated) throw new Error('The two passwords differ.');
    await post('setup', { token, username, password });
}

function Setup() {
    return html`
        <${Entry} title="Welcome aboard"
            lead="Create the first administrator. This link works once.">
            <${EntryForm} action="Create administrator" busyAction="Creating…" send=${create}>
                <${Field} name="username" label="Name" autocomplete="username" maxlength="64"
                    pattern="[A-Za-z0-9._@\\-]+" title="Letters, digits and . _ @ -" />
                <${Field} name="password" label="Password" type="password"
                    autocomplete="new-password" minlength=${PASSWORD_MIN} maxlength="64"
                    hint=${`At least ${PASSWORD_MIN} characters.`} />
                <${Field} name="repeated" label="Password, once more" type="password"
                    autocomplete="new-password" minlength=${PASSWORD_MIN} maxlength="64" />
            <//>
        <//>
    `;
}

render(html`<${Setup} />`, document.getElementById('app'));
