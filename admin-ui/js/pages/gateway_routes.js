// Which requests go where: the table of routes, and what one request would take, stage by stage.
import { html, useState } from '../../lib/preact.js';
import { post } from '../shell/api.js';
import { Choice, Field, Form } from '../shell/form.js';
import { Table } from '../shell/table.js';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((method) => [method, method]);

const whereOf = ({ section, line }) => (section ? `[route ${section}] line ${line}` : 'by itself');
const whatOf = ({ method, host, path }) => `${method ?? 'any'} ${host ?? ''}${path}`;
const keyOf = (route) => `${whatOf(route)} ${route.conditions.join()} ${whereOf(route)}`;

const columns = [
    { key: 'what', label: 'Requests', wide: true, by: whatOf, cell: (route) => html`<span class="mono">${whatOf(route)}</span>` },
    { key: 'if', label: 'If', cell: ({ conditions }) => html`<span class="mono">${conditions.join(', ') || '–'}</span>` },
    { key: 'target', label: 'Go to', by: ({ target }) => target, cell: ({ target }) => html`<span class="mono">${target ?? 'Galley itself'}</span>` },
    { key: 'where', label: 'Says', by: whereOf, cell: whereOf },
];

/** routes: of the server itself too; those are left out. */
export function RouteTable({ routes }) {
    const rows = routes.filter(({ target }) => target);
    return html`
        <div class="section-head"><h2>Routes</h2><a href="/_/routes">Figures</a></div>
        <${Table} caption="Routes" columns=${columns} rows=${rows} rowKey=${keyOf}
            empty="No route is configured: a [route NAME] section says which requests go where." />
    `;
}

const passedColumns = [
    { key: 'route', label: 'Route', wide: true, cell: ({ route }) => html`<span class="mono">${whatOf(route)}</span>` },
    { key: 'where', label: 'Says', cell: ({ route }) => whereOf(route) },
    { key: 'why', label: 'Passed over, as', cell: ({ says }) => says },
];

function Way({ answer: { request, takes, stages, status, passedOver } }) {
    const near = passedOver.filter(({ why }) => why !== 'path' && why !== 'host');
    return html`
        <section class="panel way" aria-label="Its way">
            <p><span class="mono">${request.method} ${request.host}${request.path}</span>
                ${takes
                    ? html` takes <strong>${whereOf(takes)}</strong>: <span class="mono">${whatOf(takes)}</span>`
                    : html` takes no route: <span class="pill" data-tone="warn">${status}</span>`}</p>
            ${stages && html`
                <ol class="stages">${stages.map(({ stage, says }) => html`
                    <li key=${stage}><span class="pill" data-tone="calm">${stage}</span> <span>${says}</span></li>`)}
                </ol>`}
        </section>
        ${near.length > 0 && html`
            <${Table} caption="Passed over" columns=${passedColumns} rows=${near} rowKey=${({ route }) => keyOf(route)} />`}
    `;
}

export function TryRequest() {
    const [answer, setAnswer] = useState(null);
    const ask = async ({ method, url, headers, from }) => {
        setAnswer(null);
        setAnswer(await post('gateway/try', {
            method,
            url: url.trim(),
            headers: headers.split('\n').map((line) => line.trim()).filter(Boolean),
            ...(from.trim() && { from: from.trim() }),
        }));
    };
    return html`
        <div class="section-head"><h2>Try a request</h2></div>
        <div class="panel trying">
            <p class="faint">Nothing is sent: this says which route it would take, and what it has to pass there.</p>
            <${Form} action="Try" busyAction="Try" send=${ask} again>
                <div class="trying-fields">
                    <${Choice} name="method" label="Method" choices=${METHODS} />
                    <${Field} name="url" label="URL" maxlength="8000" placeholder="https://api.example.org/orders/7" />
                    <${Field} name="from" label="From the address" optional placeholder="127.0.0.1" maxlength="64" />
                    <div class="field">
                        <label for="headers">Headers, one a line</label>
                        <textarea id="headers" name="headers" rows="2" spellcheck=${false} placeholder="API-Version: 2"></textarea>
                    </div>
                </div>
            <//>
        </div>
        ${answer && html`<${Way} answer=${answer} />`}
    `;
}
