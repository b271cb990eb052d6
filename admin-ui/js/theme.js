// Runs before the first paint (a plain script in the head), so that the chosen theme never flashes.
// Without a choice the page follows the system.
{
    const KEY = 'galley.theme';
    const system = matchMedia('(prefers-color-scheme: dark)');
    const root = document.documentElement;

    const chosen = () => {
        try {
            return localStorage.getItem(KEY);
        } catch {
            return null; // storage may be blocked
        }
    };
    const current = () => root.dataset.theme ?? (system.matches ? 'dark' : 'light');
    const announce = () => dispatchEvent(new CustomEvent('themechange'));

    const theme = chosen();
    if (theme === 'dark' || theme === 'light') root.dataset.theme = theme;
    system.addEventListener('change', announce);

    globalThis.galleyTheme = {
        current,
        toggle() {
            root.dataset.theme = current() === 'dark' ? 'light' : 'dark';
            try {
                localStorage.setItem(KEY, root.dataset.theme);
            } catch {
                // then it lasts as long as the page
            }
            announce();
        },
    };
}
