import { html, useEffect, useState } from '../../lib/preact.js';
import { moon, sun } from './icon.js';

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
