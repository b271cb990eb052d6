// What does this server serve, and what does it answer? Made of /openapi.json; each operation can be tried.
import { html, useState } from '../../lib/preact.js';
import { ApiError } from '../shell/api.js';
import { Field } from '../shell/form.js';
import { duration, text } from '../shell/format.js';
import { Loaded, useLoad } from '../shell/load.js';
import { Table } from '../shell/table.js';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const SHOWN = 65536; // characters of an answer

async function load(signal) {
    const response = await fetch('/openapi.json', { signal, cache: 'no-store' });
    if (response.status === 404) return { off: true };
    if (!response.ok) throw new ApiError(response.status);
    return response.json();
}

// ---- The document

const resolve = (document, { $ref, ...own }) =>
    $ref ? $ref.slice(2).split('/').reduce((at, step) => at?.[step.replaceAll('~1', '/').replaceAll('~0', '~')], document) ?? {} : own;

const operationsOf = (document) => Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method, ...item[method] })));

/** A value that a schema describes, to begin with. */
function example(document, schema, depth = 0) {
    const own = resolve(document, schema ?? {});
    if (own.default !== undefined) return own.default;
    if (own.const !== undefined) return own.const;
    if (own.enum) return own.enum[0];
    const type = [own.type].flat()[0];
    if (type === 'object' || own.properties) {
        const members = Object.entries(own.properties ?? {}).filter(([name, one]) =>
            !one.readOnly && depth < 4 && (own.required ?? []).includes(name));
        return Object.fromEntries(members.map(([name, one]) => [name, example(document, one, depth + 1)]));
    }
    if (type === 'array') return depth < 4 && own.items && own.minItems > 0 ? [example(document, own.items, depth + 1)] : [];
    return { string: '', integer: own.minimum ?? 0, number: own.minimum ?? 0, boolean: false }[type] ?? null;
}

const isPlain = (type) => /[/+]json$/.test(type);

function bodyOf(document, { requestBody }) {
    const [type, media] = Object.entries(requestBody?.content ?? {})[0] ?? [];
    if (!type) return null;
    return { type: type === '*/*' ? 'application/json' : type, schema: media.schema,
        text: isPlain(type) ? JSON.stringify(example(document, media.schema), null, 2) : '' };
}

// ---- A request

/** What the form says, as fetch and curl take it. */
function requestOf({ path, method, operationId, parameters = [] }, body, fields) {
    const values = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.slice(operationId.length + 1), value]));
    const query = new URLSearchParams();
    const headers = {};
    let place = path;
    for (const { name, in: where } of parameters) {
        const value = values[`${where}-${name}`] ?? '';
        if (where === 'path') place = place.replace(`{${name}}`, name === 'rest' ? value : encodeURIComponent(value));
        else if (where === 'query' && value) query.set(name, value);
        else if (where === 'header' && value) headers[name] = value;
    }
    if (values.token) headers.Authorization = `Bearer ${values.token}`;
    if (body) headers['Content-Type'] = body.type;
    return { method: method.toUpperCase(), target: place + (query.size ? `?${query}` : ''), headers, body: body ? values.body : undefined };
}

async function send({ method, target, headers, body }) {
    const from = performance.now();
    // The administrator's own session is not the one that is tried.
    const response = await fetch(target, { method, headers, body, credentials: 'omit', cache: 'no-store', redirect: 'manual' });
    const answer = await response.text();
    return { status: response.status, ms: performance.now() - from, headers: [...response.headers], text: answer };
}

function pretty(answer) {
    try {
        return JSON.stringify(JSON.parse(answer), null, 2).slice(0, SHOWN);
    } catch {
        return answer.slice(0, SHOWN);
    }
}

const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;
const curl = ({ method, target, headers, body }) => [
    `curl -X ${method} ${quoted(location.origin + target)}`,
    ...Object.entries(headers).map(([name, value]) =>
        `-H ${name === 'Authorization' ? `"${name}: Bearer $TOKEN"` : quoted(`${name}: ${value}`)}`),
    ...(body === undefined ? [] : [`--data-raw ${quoted(body)}`]),
].join(' \\\n    ');

function Answer({ request, answer }) {
    const tone = answer.status >= 500 ? 'bad' : answer.status >= 400 ? 'warn' : 'ok';
    return html`
        <div role="status" class="stack">
            <p><span class="pill" data-tone=${tone}>${answer.status || 'redirected'}</span> after ${text(duration(answer.ms))}</p>
            <pre class="panel text" tabindex="0" aria-label="Answer">${pretty(answer.text) || 'No body.'}</pre>
            <details><summary>Its headers</summary>
                <pre class="panel text" tabindex="0">${answer.headers.map(([name, value]) => `${name}: ${value}`).join('\n')}</pre></details>
            <details><summary>The same with curl</summary>
                <pre class="panel text" tabindex="0">${curl(request)}</pre></details>
        </div>
    `;
}

function Try({ document, operation, token, setToken }) {
    const [tried, setTried] = useState(null);
    const [busy, setBusy] = useState(false);
    const [failure, setFailure] = useState('');
    const body = bodyOf(document, operation);
    const id = operation.operationId; // before the name of each field, as several forms may be open
    const submit = async (event) => {
        event.preventDefault();
        const request = requestOf(operation, body, Object.fromEntries(new FormData(event.target)));
        setBusy(true);
        setFailure('');
        try {
            setTried({ request, answer: await send(request) });
        } catch {
            setFailure('There was no answer.');
        }
        setBusy(false);
    };
    return html`
        <form method="post" onSubmit=${submit} aria-label=${`Try ${operation.method.toUpperCase()} ${operation.path}`}>
            <div class="try-fields">
                ${(operation.parameters ?? []).map(({ name, in: where, required, description }) => html`
                    <${Field} key=${name} name=${`${id}-${where}-${name}`} label=${name} optional=${!required} hint=${description} />
                `)}
                ${operation.security?.length > 0 && html`
                    <${Field} name=${`${id}-token`} label="Token" optional type="password" autocomplete="off" value=${token}
                        onInput=${(event) => setToken(event.target.value)}
                        hint="Of POST /auth/login; without one the request is nobody's." />
                `}
            </div>
            ${body && html`
                <div class="field">
                    <label for=${`${id}-body`}>Body, ${body.type}</label>
                    <textarea id=${`${id}-body`} name=${`${id}-body`} class="mono" rows="6" spellcheck=${false}>${body.text}</textarea>
                </div>
            `}
            <div class="message" role="alert">${failure}</div>
            <button class="submit" disabled=${busy}>${busy ? 'Sending…' : 'Send'}</button>
        </form>
        ${tried && html`<${Answer} ...${tried} />`}
    `;
}

// ---- The page

const responseColumns = [
    { key: 'status', label: 'Code', cell: ({ status }) => html`<span class="mono">${status}</span>` },
    { key: 'what', label: 'When', wide: true, cell: ({ description }) => description.replaceAll('`', '') },
];

function Operation({ document, operation, token, setToken }) {
    const [open, setOpen] = useState(false);
    const { method, path, summary, description, responses } = operation;
    const body = open && bodyOf(document, operation);
    const rows = Object.entries(responses).map(([status, response]) =>
        ({ status, description: resolve(document, response).description }));
    return html`
        <details class="panel operation" onToggle=${(event) => setOpen(event.currentTarget.open)}>
            <summary><span class="pill" data-tone="calm">${method.toUpperCase()}</span>
                <span class="mono">${path}</span>${summary !== `${method.toUpperCase()} ${path}` && html`<span class="faint">${summary}</span>`}</summary>
            ${open && html`
                <div class="stack">
                    ${description && html`<p>${description.replaceAll('`', '')}</p>`}
                    ${body?.schema && html`<details><summary>The schema of its body</summary>
                        <pre class="panel text" tabindex="0">${JSON.stringify(resolve(document, body.schema), null, 2)}</pre></details>`}
                    <details><summary>What it answers</summary>
                        <${Table} caption=${`Answers of ${method} ${path}`} columns=${responseColumns} rows=${rows}
                            rowKey=${({ status }) => status} empty="Nothing is said." /></details>
                    <${Try} document=${document} operation=${operation} token=${token} setToken=${setToken} />
                </div>
            `}
        </details>
    `;
}

function Reference({ document }) {
    const [sought, setSought] = useState('');
    const [token, setToken] = useState('');
    const found = operationsOf(document).filter(({ method, path, summary }) =>
        `${method} ${path} ${summary}`.toLowerCase().includes(sought.toLowerCase()));
    const tags = document.tags.filter(({ name }) => found.some((one) => one.tags[0] === name));
    return html`
        <div class="filters">
            <input type="search" aria-label="Find an operation" placeholder="Find an operation…" value=${sought}
                onInput=${(event) => setSought(event.target.value)} />
        </div>
        ${tags.map(({ name, description }) => html`
            <section key=${name}>
                <div class="section-head"><h2>${name}</h2><span class="faint">${description}</span></div>
                ${found.filter((one) => one.tags[0] === name).map((operation) => html`
                    <${Operation} key=${operation.operationId} document=${document} operation=${operation} token=${token}
                        setToken=${setToken} />
                `)}
            </section>
        `)}
        ${found.length === 0 && html`<p class="panel empty">No operation is called that.</p>`}
    `;
}

export function Api() {
    const loaded = useLoad(load, []);
    return html`
        <header class="page-head"><h1>API</h1>${loaded.data?.paths && html`<a href="/openapi.json">openapi.json</a>`}</header>
        <${Loaded} load=${loaded}>${(document) => document.off
            ? html`<p class="panel empty">The description of the API is switched off: [server] openapi = off.</p>`
            : html`<${Reference} document=${document} />`
        }<//>
    `;
}
