// Who may come in? The users of the modules, and those who see these pages.
import { html } from '../../lib/preact.js';
import { get, post } from '../shell/api.js';
import { AskingButton, FormButton } from '../shell/dialog.js';
import { Choice, Field } from '../shell/form.js';
import { Loaded, useLoad } from '../shell/load.js';
import { may, roles } from '../shell/roles.js';
import { navigate, withQuery } from '../shell/router.js';
import { Table } from '../shell/table.js';
import { Ago } from '../shell/time.js';
import { toast, told } from '../shell/toast.js';

const moment = (text) => (text ? Date.parse(text) : null);
const wordsOf = (text) => text.split(/[\s,]+/).filter(Boolean);
const given = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));

function Tabs({ present }) {
    if (!may('administrator')) return null;
    const tab = (path, label) => html`
        <a href=${path} aria-current=${present === path ? 'true' : undefined}>${label}</a>`;
    return html`
        <nav class="tabs" aria-label="Who">
            ${tab('/_/users', 'Users of the application')}
            ${tab('/_/users/administrators', 'Who sees these pages')}
        </nav>
    `;
}

/** Sends a form and says what came of it. */
const sends = (path, make, done) => async (values) => {
    await post(path, make(values));
    toast(done(values));
};

const PasswordField = ({ least }) => html`
    <${Field} name="password" label="New password" type="password" autocomplete="new-password"
        minlength=${least} maxlength="64" hint=${`${least} to 64 characters.`} />
`;

const RolesField = ({ value }) => html`
    <${Field} name="roles" label="Roles" value=${value} optional hint="Words with commas or spaces between them." />
`;

/* ---- Users */

function AddUser({ changed }) {
    const send = sends('users/add', ({ roles: text, ...values }) => ({ ...given(values), ...(text && { roles: wordsOf(text) }) }),
        ({ username }) => `${username} is a user.`);
    return html`
        <${FormButton} label="Add a user" title="Add a user" action="Add" kind="primary" send=${send} done=${changed}>
            <${Field} name="username" label="Name to sign in with" maxlength="64" autocomplete="off" />
            <${PasswordField} least=${8} />
            <${Field} name="name" label="Full name" optional maxlength="100" autocomplete="off" />
            <${Field} name="email" label="E-mail" type="email" optional autocomplete="off" />
            <${RolesField} value="customer" />
        <//>
    `;
}

function UserActions({ user: { username, roles: present, disabled }, changed }) {
    const act = (verb, done) => async () => {
        await told(() => post(`users/${verb}`, { username }), done);
        changed();
    };
    return html`
        <span class="buttons">
            ${may('operator') && (disabled
                ? html`<button type="button" class="button" onClick=${act('enable', `${username} may come in again.`)}
                      aria-label=${`Enable ${username}`}>Enable</button>`
                : html`<${AskingButton} label="Disable" title=${`Disable ${username}?`} action="Disable" danger
                      aria-label=${`Disable ${username}`} act=${act('disable', `${username} is disabled.`)}>
                      <p>Their tokens stop at once and for good.</p><//>`)}
            ${may('administrator') && html`
                <${FormButton} label="Roles" title=${`Roles of ${username}`} action="Set" aria-label=${`Roles of ${username}`}
                    send=${sends('users/roles', (values) => ({ username, roles: wordsOf(values.roles) }), () => `${username} has other roles.`)}
                    done=${changed}><${RolesField} value=${present.join(' ')} /><//>
                <${FormButton} label="Password" title=${`Password of ${username}`} action="Set" aria-label=${`Password of ${username}`}
                    send=${sends('users/passwd', ({ password }) => ({ username, password }), () => `${username} has a new password.`)}
                    done=${changed}><${PasswordField} least=${8} /><//>
                <${AskingButton} label="Remove" title=${`Remove ${username}?`} action="Remove" danger
                    aria-label=${`Remove ${username}`} act=${act('remove', `${username} is removed.`)}>
                    <p>What they have done, orders say, stays. Nothing brings the user back.</p><//>
            `}
        </span>
    `;
}

const userColumns = (changed) => [
    { key: 'username', label: 'Name', wide: true, cell: ({ username }) => html`<b>${username}</b>` },
    {
        key: 'state',
        label: 'State',
        cell: ({ disabled }) => html`<span class="pill" data-tone=${disabled ? 'bad' : 'ok'}>${disabled ? 'disabled' : 'active'}</span>`,
    },
    { key: 'roles', label: 'Roles', cell: (user) => user.roles.join(', ') },
    { key: 'name', label: 'Full name', wide: true, cell: ({ name, email }) => [name, email].filter(Boolean).join(', ') },
    { key: 'created', label: 'Since', cell: ({ createdAt }) => html`<${Ago} ms=${moment(createdAt)} />` },
    { key: 'act', label: 'Actions', cell: (user) => html`<${UserActions} user=${user} changed=${changed} />` },
];

export function Users({ query }) {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('after') ?? '';
    const path = `users?${new URLSearchParams(given({ limit: '50', prefix, after }))}`;
    const load = useLoad((signal) => get(path, signal), [path]);
    const search = (event) => navigate(withQuery({ prefix: event.target.value, after: null }), { replace: true });
    return html`
        <header class="page-head"><h1>Users</h1>
            ${may('administrator') && html`<${AddUser} changed=${load.reload} />`}</header>
        <${Tabs} present="/_/users" />
        <div class="filters">
            <input type="search" aria-label="Names that begin with" placeholder="Names that begin with…" value=${prefix}
                maxlength="64" onInput=${search} />
        </div>
        <${Loaded} load=${load}>${({ data, pagination }) => html`
            <${Table} caption="Users" columns=${userColumns(load.reload)} rows=${data} rowKey=${({ id }) => id}
                empty=${prefix ? `Nobody's name begins with “${prefix}”.` : 'There is no user yet.'} />
            <p class="buttons pager">
                ${after && html`<a class="button" href=${withQuery({ after: null })}>To the first</a>`}
                ${pagination.hasNext && html`<a class="button" href=${withQuery({ after: pagination.nextCursor })}>Next page</a>`}
            </p>
        `}<//>
    `;
}

/* ---- Administrators */

const roleChoices = roles.map((role) => [role, role]);

const RoleField = ({ value }) => html`
    <${Choice} name="role" label="Role" value=${value} choices=${roleChoices} />
    <p class="faint">A viewer looks, an operator also acts on the running server, an administrator also decides who is who.</p>
`;

function AdministratorActions({ one: { username, role }, changed }) {
    const remove = async () => {
        await told(() => post('administrators/remove', { username }), `${username} is removed.`);
        changed();
    };
    return html`
        <span class="buttons">
            <${FormButton} label="Role" title=${`Role of ${username}`} action="Set" aria-label=${`Role of ${username}`}
                send=${sends('administrators/role', (values) => ({ username, role: values.role }), (values) => `${username} is ${values.role} now.`)}
                done=${changed}><${RoleField} value=${role} /><//>
            <${FormButton} label="Password" title=${`Password of ${username}`} action="Set" aria-label=${`Password of ${username}`}
                send=${sends('administrators/passwd', ({ password }) => ({ username, password }), () => `${username} has a new password.`)}
                done=${changed}><${PasswordField} least=${10} /><//>
            <${AskingButton} label="Remove" title=${`Remove ${username}?`} action="Remove" danger
                aria-label=${`Remove ${username}`} act=${remove}><p>Their sessions end at once.</p><//>
        </span>
    `;
}

const administratorColumns = (changed) => [
    { key: 'username', label: 'Name', wide: true, cell: ({ username }) => html`<b>${username}</b>` },
    { key: 'role', label: 'Role', cell: ({ role }) => html`<span class="pill" data-tone="calm">${role}</span>` },
    { key: 'created', label: 'Since', cell: ({ createdAt }) => html`<${Ago} ms=${moment(createdAt)} />` },
    { key: 'act', label: 'Actions', cell: (one) => html`<${AdministratorActions} one=${one} changed=${changed} />` },
];

export function Administrators() {
    const load = useLoad((signal) => get('administrators', signal), []);
    return html`
        <header class="page-head"><h1>Administrators</h1>
            <${FormButton} label="Add one" title="Add one who sees these pages" action="Add" kind="primary"
                send=${sends('administrators/add', (values) => values, ({ username, role }) => `${username} is ${role}.`)}
                done=${load.reload}>
                <${Field} name="username" label="Name" maxlength="64" autocomplete="off" />
                <${PasswordField} least=${10} />
                <${RoleField} value="viewer" />
            <//>
        </header>
        <${Tabs} present="/_/users/administrators" />
        <${Loaded} load=${load}>${({ data }) => html`
            <${Table} caption="Administrators" columns=${administratorColumns(load.reload)} rows=${data}
                rowKey=${({ username }) => username} empty="There is nobody." />
        `}<//>
    `;
}
