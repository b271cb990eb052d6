// Numbers for people: each returns [text, unit]. The number of digits stays about the same, so that
// a changing value does not change its width.

const NOTHING = ['–', ''];

function digits(value) {
    if (value >= 100 || value === 0) return value.toFixed(0);
    return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function scaled(value, base, units) {
    let i = 0;
    while (value >= base * 0.9995 && i < units.length - 1) {
        value /= base;
        i++;
    }
    return [i === 0 && Number.isInteger(value) ? String(value) : digits(value), units[i]];
}

/** 0, 7, 0.40, 12.3k, 4.56M */
export function count(value) {
    if (value == null) return NOTHING;
    const [text, unit] = scaled(value, 1000, ['', 'k', 'M', 'G']);
    return [text + unit, ''];
}

export function rate(value) {
    return value == null ? NOTHING : [count(value)[0], '/s'];
}

export function duration(ms) {
    if (ms == null) return NOTHING;
    if (ms === 0) return ['0', 'ms'];
    if (ms < 1) return [(ms * 1000).toFixed(0), 'µs'];
    return ms < 1000 ? [digits(ms), 'ms'] : [digits(ms / 1000), 's'];
}

export function bytes(value) {
    return value == null ? NOTHING : scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);
}

export function percent(ratio) {
    if (ratio == null) return NOTHING;
    const value = ratio * 100;
    if (value === 0 || value === 100) return [String(value), '%'];
    return [value > 99 || value < 1 ? value.toFixed(2) : value.toFixed(1), '%'];
}

/** "12.3 ms": a value with its unit. */
export const text = ([value, unit]) => value + (/^(\/|$)/.test(unit) ? unit : ` ${unit}`);

/** 14:03:59 of the viewer's time zone. */
export function clock(seconds, withSeconds = true) {
    return new Date(seconds * 1000).toTimeString().slice(0, withSeconds ? 8 : 5);
}

/** "3 d 4 h", "12 min", "40 s" */
export function uptime(ms) {
    const seconds = Math.floor(ms / 1000);
    const [days, hours, minutes] = [86400, 3600, 60].map((unit) => Math.floor(seconds / unit));
    if (days) return `${days} d ${hours % 24} h`;
    if (hours) return `${hours} h ${minutes % 60} min`;
    return minutes ? `${minutes} min` : `${seconds} s`;
}

/** 2026-01-31 14:03:59 of the viewer's time zone. */
export function moment(ms) {
    if (ms == null) return NOTHING[0];
    const date = new Date(ms);
    const part = (value) => String(value).padStart(2, '0');
    const day = [date.getFullYear(), part(date.getMonth() + 1), part(date.getDate())].join('-');
    return `${day} ${clock(ms / 1000)}`;
}

/** "in 12 min", "3 s ago" */
export function fromNow(ms, now = Date.now()) {
    if (ms == null) return NOTHING[0];
    return ms > now ? `in ${uptime(ms - now)}` : `${uptime(now - ms)} ago`;
}
