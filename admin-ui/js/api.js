// Calls to /_/api/. An answer other than 2xx becomes an ApiError with the server's sentence.

export class ApiError extends Error {
    constructor(status, error) {
        super(error?.message ?? `The server answered ${status}.`);
        this.status = status;
        this.code = error?.code;
        this.details = error?.details ?? [];
    }
}

async function call(path, options) {
    let response;
    try {
        response = await fetch(`/_/api/${path}`, { cache: 'no-store', ...options });
    } catch {
        throw new ApiError(0, { message: 'The server cannot be reached.' });
    }
    const isJson = response.headers.get('Content-Type')?.startsWith('application/json');
    const body = isJson ? await response.json() : null;
    if (!response.ok) throw new ApiError(response.status, body?.error);
    return body;
}

export const get = (path) => call(path);

export function post(path, body, csrf) {
    const headers = { 'Content-Type': 'application/json' };
    if (csrf) headers['X-CSRF-Token'] = csrf;
    return call(path, { method: 'POST', headers, body: JSON.stringify(body) });
}
