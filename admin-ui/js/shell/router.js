// Each view has its own address below /_/. Links are plain links: the shell takes the clicks on them
// that would have left the page, so that they can be opened in a tab of their own as well.
import { useEffect, useState } from '../../lib/preact.js';

const CHANGE = 'addresschange';

const address = () => ({ path: location.pathname, query: new URLSearchParams(location.search) });

export function navigate(to, { replace = false } = {}) {
    history[replace ? 'replaceState' : 'pushState'](null, '', to);
    dispatchEvent(new Event(CHANGE));
}

/** { path, query }, also after they change. */
export function useAddress() {
    const [present, setPresent] = useState(address);
    useEffect(() => {
        const update = () => setPresent(address());
        addEventListener('popstate', update);
        addEventListener(CHANGE, update);
        return () => {
            removeEventListener('popstate', update);
            removeEventListener(CHANGE, update);
        };
    }, []);
    return present;
}

/** This address with other members of the query; null and '' take one out. */
export function withQuery(changes) {
    const { path, query } = address();
    for (const [name, value] of Object.entries(changes))
        if (value == null || value === '') query.delete(name);
        else query.set(name, value);
    return query.size ? `${path}?${query}` : path;
}

const modified = (event) =>
    event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;

/** Takes a click on a link to another view. */
export function takeLink(event) {
    const link = event.target.closest('a[href]');
    if (event.defaultPrevented || !link || link.target || link.dataset.native || modified(event)) return;
    if (link.origin !== location.origin || !link.pathname.startsWith('/_/')) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
}

/** The page of a path and what the parts in the path are: pages are [{ pattern, ... }]. */
export function findPage(pages, path) {
    for (const page of pages) {
        const match = page.pattern.exec(path);
        if (match) return { page, params: match.slice(1).map(decodeURIComponent) };
    }
    return null;
}
