// What came of an action: good news goes by itself, bad news stays until it is closed.
import { html, useEffect, useState } from '../../lib/preact.js';
import { cross } from './icon.js';

const SHOWN_MS = 6000;
const NEWS = 'galleytoast';

/** tone: "ok" or "bad". */
export function toast(text, tone = 'ok') {
    dispatchEvent(new CustomEvent(NEWS, { detail: { text, tone } }));
}

/** Runs an action and says what came of it; resolves with whether it went well. */
export async function told(action, done) {
    try {
        const answer = await action();
        toast(typeof done === 'function' ? done(answer) : done);
        return true;
    } catch (error) {
        toast(error.message, 'bad');
        return false;
    }
}

export function Toasts() {
    const [list, setList] = useState([]);
    const close = (id) => setList((now) => now.filter((item) => item.id !== id));
    useEffect(() => {
        let next = 0;
        const add = ({ detail }) => {
            const id = next++;
            setList((now) => [...now.slice(-3), { ...detail, id }]);
            if (detail.tone === 'ok') setTimeout(() => close(id), SHOWN_MS);
        };
        addEventListener(NEWS, add);
        return () => removeEventListener(NEWS, add);
    }, []);
    return html`
        <div class="toasts" aria-live="polite" role="log" aria-label="What was done">
            ${list.map(({ id, text, tone }) => html`
                <div key=${id} class="toast" data-tone=${tone}>
                    <span>${text}</span>
                    <button class="icon-button" type="button" aria-label="Close this message"
                        onClick=${() => close(id)}>${cross}</button>
                </div>
            `)}
        </div>
    `;
}
