#include "base/pattern_private.h"

#include <ctype.h>
#include <stdio.h>

/* What \s is: tab to carriage return, and Unicode's space separators, BOM and line separators. */
#define SPACES                                                                                     \
    "\\x{9}-\\x{d} "                                                                               \
    "\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}"

struct translation {
    const char *begin, *at, *end;
    struct buf *out;
    bool in_class;
    bool atom; /* a quantifier may follow */
    const char *wrong;
};

/* The categories by the long names; PCRE2 knows the short ones. */
static const char *const categories[][2] = {
    {"Letter", "L"},
    {"Cased_Letter", "L&"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Combining_Mark", "M"},
    {"Nonspacing_Mark", "Mn"},
    {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Letter_Number", "Nl"},
    {"Other_Number", "No"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Connector_Punctuation", "Pc"},
    {"Dash_Punctuation", "Pd"},
    {"Open_Punctuation", "Ps"},
    {"Close_Punctuation", "Pe"},
    {"Initial_Punctuation", "Pi"},
    {"Final_Punctuation", "Pf"},
    {"Other_Punctuation", "Po"},
    {"Symbol", "S"},
    {"Math_Symbol", "Sm"},
    {"Currency_Symbol", "Sc"},
    {"Modifier_Symbol", "Sk"},
    {"Other_Symbol", "So"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Line_Separator", "Zl"},
    {"Paragraph_Separator", "Zp"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"cntrl", "Cc"},
    {"Format", "Cf"},
    {"Surrogate", "Cs"},
    {"Private_Use", "Co"},
    {"Unassigned", "Cn"},
};

static bool wrong(struct translation *t, const char *what)
{
    if (!t->wrong)
        t->wrong = what;
    return false;
}

static bool next_is(const struct translation *t, const char *text)
{
    return slice_starts(slice_of(t->at, (size_t)(t->end - t->at)), slice_str(text));
}

/* Hexadecimal digits, exactly `count`; or from 1 to 6 up to a brace if it is 0. */
static bool take_hex(struct translation *t, unsigned count, uint32_t *out)
{
    unsigned taken = 0;
    *out = 0;
    while (t->at < t->end && isxdigit((unsigned char)*t->at) && taken < (count > 0 ? count : 6)) {
        char digit = *t->at++;
        *out = *out * 16 +
               (uint32_t)(isdigit((unsigned char)digit) ? digit - '0' : (digit | 32) - 'a' + 10);
        taken++;
    }
    if (count > 0)
        return taken == count;
    return taken > 0 && t->at < t->end && *t->at++ == '}' && *out <= 0x10FFFF;
}

/* The second half of a pair that is written \uD83D\uDE00. */
static void take_low_surrogate(struct translation *t, uint32_t *code_point)
{
    const char *before = t->at;
    uint32_t low;
    if (*code_point < 0xD800 || *code_point > 0xDBFF || !next_is(t, "\\u"))
        return;
    t->at += 2;
    if (take_hex(t, 4, &low) && low >= 0xDC00 && low <= 0xDFFF)
        *code_point = 0x10000 + ((*code_point - 0xD800) << 10) + (low - 0xDC00);
    else
        t->at = before;
}

static bool code_point(struct translation *t, char kind)
{
    bool braces = kind == 'u' && t->at < t->end && *t->at == '{';
    uint32_t value;
    t->at += braces;
    if (!take_hex(t, braces ? 0 : kind == 'u' ? 4 : 2, &value))
        return wrong(t, "an escape lacks hexadecimal digits");
    if (!braces && kind == 'u')
        take_low_surrogate(t, &value);
    if (value >= 0xD800 && value <= 0xDFFF)
        return wrong(t, "half of a surrogate pair stands alone");
    buf_printf(t->out, "\\x{%x}", value);
    return true;
}

static bool white_space(struct translation *t, bool none)
{
    if (t->in_class)
        buf_append_str(t->out, none ? "\\S" : SPACES);
    else
        buf_append_str(t->out, none ? "[^" SPACES "]" : "[" SPACES "]");
    return true;
}

/* \p{Letter}, \p{gc=Letter}, \p{L}, \p{Script=Greek} and so on. */
static bool property(struct translation *t, char kind)
{
    static const char *const prefixes[] = {"General_Category=", "gc="};
    const char *close =
        t->at < t->end && *t->at == '{' ? memchr(t->at, '}', (size_t)(t->end - t->at)) : NULL;
    if (!close)
        return wrong(t, "\\p wants a name in braces");
    struct slice name = slice_of(t->at + 1, (size_t)(close - t->at - 1));
    t->at = close + 1;
    for (size_t i = 0; i < 2; i++) {
        struct slice prefix = slice_str(prefixes[i]);
        if (slice_starts(name, prefix))
            name = slice_of(name.ptr + prefix.len, name.len - prefix.len);
    }
    for (size_t i = 0; i < sizeof categories / sizeof categories[0]; i++) {
        if (slice_is(name, categories[i][0]))
            name = slice_str(categories[i][1]);
    }
    if (name.len > 0 && name.ptr[0] == '^')
        return wrong(t, "the name of a property does not begin with ^");
    buf_printf(t->out, "\\%c{%.*s}", kind, SLICE_ARG(name));
    return true;
}

static bool control(struct translation *t)
{
    if (t->at == t->end || !isalpha((unsigned char)*t->at))
        return wrong(t, "\\c wants a letter");
    buf_printf(t->out, "\\x{%x}", (unsigned)*t->at++ % 32);
    return true;
}

static bool plain_escape(struct translation *t, char kind)
{
    if (kind == '0' && t->at < t->end && isdigit((unsigned char)*t->at))
        return wrong(t, "octal escapes are not known");
    if (kind == '0')
        buf_append_str(t->out, "\\x{0}");
    else if (kind == 'v') /* PCRE2's is a set */
        buf_append_str(t->out, "\\x{b}");
    else
        buf_printf(t->out, "\\%c", kind);
    return true;
}

static bool escape(struct translation *t)
{
    if (++t->at == t->end)
        return wrong(t, "nothing follows the last \\");
    char kind = *t->at++;
    t->atom = kind != 'b' && kind != 'B';
    if (kind == 'x' || kind == 'u')
        return code_point(t, kind);
    if (kind == 's' || kind == 'S')
        return white_space(t, kind == 'S');
    if (kind == 'p' || kind == 'P')
        return property(t, kind);
    if (kind == 'c')
        return control(t);
    if (kind == '0' || (kind != '\0' && strchr("dDwWbfnrtv^$\\.*+?()[]{}|/", kind)))
        return plain_escape(t, kind);
    if (t->in_class ? kind == '-' : kind == 'B' || (kind >= '1' && kind <= '9'))
        return plain_escape(t, kind);
    if (!t->in_class && kind == 'k' && t->at < t->end && *t->at == '<')
        return plain_escape(t, kind);
    t->at--;
    return wrong(t, "there is no such escape");
}

static bool open_group(struct translation *t)
{
    static const char *const kinds[] = {"?:", "?=", "?!", "?<=", "?<!"};
    buf_append_char(t->out, *t->at++);
    t->atom = false;
    if (next_is(t, "*"))
        return wrong(t, "nothing stands before the quantifier");
    if (!next_is(t, "?"))
        return true;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!next_is(t, kinds[i]))
            continue;
        buf_append_str(t->out, kinds[i]);
        t->at += strlen(kinds[i]);
        return true;
    }
    if (!next_is(t, "?<"))
        return wrong(t, "there is no such kind of group");
    buf_append_str(t->out, "?<"); /* its name follows, which PCRE2 looks at */
    t->at += 2;
    return true;
}

/* A quantifier with its `?`. A `+` behind it would be possessive in PCRE2. */
static bool quantifier(struct translation *t)
{
    if (!t->atom)
        return wrong(t, "nothing stands before the quantifier");
    if (*t->at == '{') {
        const char *close = memchr(t->at, '}', (size_t)(t->end - t->at));
        if (!close || close == t->at + 1 || !isdigit((unsigned char)t->at[1]))
            return wrong(t, "a brace opens no quantifier");
        buf_append(t->out, t->at, (size_t)(close - t->at));
        t->at = close;
    }
    buf_append_char(t->out, *t->at++);
    if (t->at < t->end && *t->at == '?')
        buf_append_char(t->out, *t->at++);
    t->atom = false;
    return true;
}

static bool in_class(struct translation *t)
{
    if (*t->at == '\\')
        return escape(t);
    if (*t->at == '[') /* PCRE2 would look for [:alpha:] */
        buf_append_char(t->out, '\\');
    t->in_class = *t->at != ']';
    t->atom = true;
    buf_append_char(t->out, *t->at++);
    return true;
}

static bool outside_class(struct translation *t)
{
    switch (*t->at) {
    case '\\':
        return escape(t);
    case '(':
        return open_group(t);
    case '*':
    case '+':
    case '?':
    case '{':
        return quantifier(t);
    case '}':
    case ']':
        return wrong(t, "a closing bracket stands alone");
    case '[':
        t->in_class = true;
        buf_append_char(t->out, *t->at++);
        if (next_is(t, "^"))
            buf_append_char(t->out, *t->at++);
        return true;
    default:
        t->atom = !strchr("^$|", *t->at);
        buf_append_char(t->out, *t->at++);
        return true;
    }
}

bool pattern_translate(struct slice text, struct buf *out, char *why, size_t why_size)
{
    struct translation t = {text.ptr, text.ptr, text.ptr + text.len, out, false, false, NULL};
    while (t.at < t.end && (t.in_class ? in_class(&t) : outside_class(&t)))
        ;
    if (!t.wrong)
        return true;
    snprintf(why, why_size, "The regular expression is wrong at offset %zu: %s.",
             (size_t)(t.at - t.begin), t.wrong);
    return false;
}
