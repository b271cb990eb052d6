// Calls to /_/api/. An answer other than 2xx becomes an ApiError with the server's sentence; a session
// that has ended leads to the login and from there back to the same view.

export class ApiError extends Error {
    constructor(status, error) {
        super(error?.message ?? `The server answered ${status}.`);
        this.status = status;
        this.code = error?.code;
        this.details = error?.details ?? [];
        this.requestId = error?.requestId;
    }
}

let csrf = ''; // of the session, once it is known

export function leaveForLogin() {
    const to = location.pathname + location.search;
    location.replace(to === '/_/' ? '/_/login' : `/_/login?to=${encodeURIComponent(to)}`);
}

async function call(path, options) {
    let response;
    try {
        response = await fetch(`/_/api/${path}`, { cache: 'no-store', ...options });
    } catch (error) {
        if (error.name === 'AbortError') throw error;
        throw new ApiError(0, { message: 'The server cannot be reached.' });
    }
    const isJson = response.headers.get('Content-Type')?.startsWith('application/json');
    const body = isJson ? await response.json() : null;
    if (response.status === 401 && csrf) leaveForLogin();
    if (!response.ok) throw new ApiError(response.status, body?.error);
    return body;
}

export const get = (path, signal) => call(path, { signal });

export function post(path, body = {}) {
    const headers = { 'Content-Type': 'application/json' };
    if (csrf) headers['X-CSRF-Token'] = csrf;
    return call(path, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** Who is signed in, and where; from then on every POST carries the session's token. */
export async function openSession() {
    const session = await get('session');
    csrf = session.csrf ?? '';
    return session;
}
