// A view that fails takes neither the navigation nor the other views with it.
import { html, useEffect, useErrorBoundary } from '../../lib/preact.js';

export function Boundary({ address, children }) {
    const [error, reset] = useErrorBoundary((cause) => console.error(cause));
    useEffect(() => reset(), [address]);
    if (!error) return children;
    return html`
        <div class="panel notice" data-tone="bad" role="alert">
            <h1>This view failed</h1>
            <p>The rest of the pages still works. Nothing was changed on the server.</p>
            <pre class="text">${error.message}</pre>
            <p><button type="button" class="button" onClick=${reset}>Try again</button></p>
        </div>
    `;
}
