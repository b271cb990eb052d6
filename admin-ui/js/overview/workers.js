// The bar of the worker threads: a cell for each, as bright as it was busy in the last second.
import { html, useEffect, useRef } from '../../lib/preact.js';
import { colour } from './chart.js';
import { count, text } from '../shell/format.js';

const LEVELS = 9;

/** The largest square cells with which all of them fit. */
function layout(width, height, cells) {
    let size = Math.floor(Math.sqrt((width * height) / cells));
    while (size > 2 && Math.floor(width / size) * Math.floor(height / size) < cells) size--;
    return { size, columns: Math.max(1, Math.floor(width / size)) };
}

function draw(canvas, load) {
    const { clientWidth: width, clientHeight: height } = canvas;
    const scale = devicePixelRatio;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const { size, columns } = layout(width, height, load.length);
    const gap = size > 6 ? 2 : 1;
    const pen = canvas.getContext('2d');
    const [idle, busy] = [colour('idle'), colour('teal')];

    pen.scale(scale, scale);
    for (let i = 0; i < load.length; i++) {
        const level = load.charCodeAt(i) - 48;
        const cell = [(i % columns) * size, Math.floor(i / columns) * size, size - gap, size - gap];
        pen.globalAlpha = 1;
        pen.fillStyle = idle;
        pen.fillRect(...cell);
        if (level === 0) continue;
        pen.globalAlpha = 0.25 + (0.75 * level) / LEVELS;
        pen.fillStyle = busy;
        pen.fillRect(...cell);
    }
}

export function Workers({ load, columns, theme }) {
    const canvas = useRef();
    const used = [...load].filter((digit) => digit !== '0').length;
    useEffect(() => {
        const redraw = () => draw(canvas.current, load);
        const watch = new ResizeObserver(redraw);
        watch.observe(canvas.current);
        return () => watch.disconnect();
    }, [load, theme]);

    const busy = columns.busy?.at(-1);
    const connections = columns.connections?.at(-1);
    return html`
        <section class="card">
            <div class="card-head">
                <h2>Worker threads</h2>
                <p class="card-facts">
                    <span><b>${text(count(busy))}</b> busy now</span>
                    <span><b>${used}</b> used in this second</span>
                    <span><b>${text(count(connections))}</b> connections</span>
                </p>
            </div>
            <canvas class="cells" ref=${canvas} role="img"
                aria-label=${`${used} of ${load.length} threads worked in the last second`}></canvas>
        </section>
    `;
}
