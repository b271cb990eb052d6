// Three small services for Galley to stand in front of, in five processes: node services.mjs NAME PORT
//   catalogue-a, catalogue-b   products, which may be kept for a second, and given for a minute more when nobody answers
//   orders, orders-next        orders of whoever is signed in; the second is the canary
//   prices                     prices in two versions, and a forecast that takes its time
// None of them knows users, tokens, limits, caches or each other: that is what the gateway is for.
import http from 'node:http';

const [name, port] = process.argv.slice(2);

const send = (response, body, headers = {}, status = 200) => {
    response.writeHead(status, { 'content-type': 'application/json', 'x-served-by': name, ...headers });
    response.end(JSON.stringify(body));
};

const products = [{ id: 1, name: 'kettle' }, { id: 2, name: 'teapot' }];

const catalogue = {
    '/health': (request, response) => send(response, { well: true }),
    '/catalogue/products': (request, response) =>
        send(response, products, { 'cache-control': 'max-age=1, stale-if-error=60' }),
    '/catalogue/now': (request, response) => send(response, { served: name }, { 'cache-control': 'no-store' }),
};

// Who asks is what the gateway says: it has looked at the token, and removed these headers from clients.
const orders = {
    '/orders': (request, response) => send(response, { of: request.headers['x-user-id'], data: [{ id: 7, product: 2 }] }),
};

const prices = {
    '/v1/prices/2': (request, response) => send(response, { price: 31 }),
    '/v2/prices/2': (request, response) => send(response, { price: { amount: 31, currency: 'EUR' } }),
    '/forecast': (request, response) => setTimeout(() => send(response, { price: 29 }), 5000),
};

const routes = name.startsWith('catalogue') ? catalogue : name.startsWith('orders') ? orders : prices;

http.createServer((request, response) => {
    const handle = routes[request.url.split('?')[0]];
    if (handle) handle(request, response);
    else send(response, { message: 'There is no such page.' }, {}, 404);
}).listen(Number(port), '127.0.0.1', () => console.log(`${name} listens on ${port}`));
