// The text of messages for people: it may come from anybody, so that what would move or hide letters is
// shown as what it is.

// Control characters but line ends and tabs, and those that change the direction of what follows.
const misleading = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g;

const codeOf = (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`;

export const visible = (text) => text.replace(misleading, codeOf);

const utf8 = new TextDecoder('utf-8');
const bytesOf = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));

function decodeWord(whole, coding, text) {
    try {
        if (coding.toUpperCase() === 'B') return utf8.decode(bytesOf(atob(text)));
        const quoted = text.replaceAll('_', ' ')
            .replace(/=([0-9A-F]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
        return utf8.decode(bytesOf(quoted));
    } catch {
        return whole;
    }
}

/** A header with encoded words (RFC 2047) in UTF-8 read; space between two of them is none. */
export const decodeWords = (text) =>
    text.replace(/(=\?[^?]*\?[BQ]\?[^?]*\?=)\s+(?==\?)/gi, '$1')
        .replace(/=\?utf-8\?([BQ])\?([^?]*)\?=/gi, decodeWord);
