/* DESIGN. PCRE2 counts its own steps for each place where a match may begin, which a long text
 * multiplies. So a callout stands before each item of the pattern, and one count runs over the
 * whole match: that is what bounds the time. */
#include "base/pattern.h"

#include "base/mem.h"
#include "base/pattern_private.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

/* A match takes about 10 ns for a step. */
enum { STEPS = 100000, STEPS_PER_BYTE = 10, HEAP_KIB = 16 * 1024, NESTING_MAX = 100 };

struct pattern {
    pcre2_code *code;
};

static void *allocate(size_t size, void *unused)
{
    (void)unused;
    return mem_alloc(size);
}

static void release(void *memory, void *unused)
{
    (void)unused;
    free(memory);
}

/* Allocates as all do: without memory the process stops, and nothing below returns NULL for it. */
static pcre2_general_context *memory(void)
{
    return pcre2_general_context_create(allocate, release, NULL);
}

static pcre2_code *compile(struct slice text, char *why, size_t why_size)
{
    const uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS |
                             PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UCP |
                             PCRE2_AUTO_CALLOUT;
    pcre2_general_context *general = memory();
    pcre2_compile_context *context = pcre2_compile_context_create(general);
    pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
    pcre2_set_parens_nest_limit(context, NESTING_MAX);
    int error;
    PCRE2_SIZE offset;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)text.ptr, text.len, options, &error, &offset, context);
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    if (code)
        return code;
    PCRE2_UCHAR message[128];
    pcre2_get_error_message(error, message, sizeof message);
    snprintf(why, why_size, "The regular expression is wrong: %s.", (char *)message);
    return NULL;
}

struct pattern *pattern_compile(struct slice text, char *why, size_t why_size)
{
    if (text.len > PATTERN_LENGTH_MAX) {
        snprintf(why, why_size, "The regular expression is longer than %d bytes.",
                 PATTERN_LENGTH_MAX);
        return NULL;
    }
    struct buf translated = BUF_INIT;
    buf_reserve(&translated, text.len + 1);
    pcre2_code *code = NULL;
    if (pattern_translate(text, &translated, why, why_size))
        code = compile(buf_slice(&translated), why, why_size);
    buf_release(&translated);
    if (!code)
        return NULL;
    struct pattern *pattern = mem_alloc(sizeof *pattern);
    pattern->code = code;
    return pattern;
}

void pattern_destroy(struct pattern **pattern)
{
    if (!*pattern)
        return;
    pcre2_code_free((*pattern)->code);
    free(*pattern);
    *pattern = NULL;
}

static int count_step(pcre2_callout_block *block, void *data)
{
    size_t *steps_left = data;
    (void)block;
    if (*steps_left == 0)
        return PCRE2_ERROR_CALLOUT;
    --*steps_left;
    return 0;
}

enum pattern_result pattern_match(const struct pattern *pattern, struct slice text, size_t *steps)
{
    const size_t most = STEPS + STEPS_PER_BYTE * text.len;
    size_t steps_left = most;
    pcre2_general_context *general = memory();
    pcre2_match_context *context = pcre2_match_context_create(general);
    pcre2_match_data *match = pcre2_match_data_create(1, general);
    pcre2_set_heap_limit(context, HEAP_KIB);
    pcre2_set_callout(context, count_step, &steps_left);
    int found = pcre2_match(pattern->code, (PCRE2_SPTR)(text.len > 0 ? text.ptr : ""), text.len, 0,
                            0, match, context);
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    pcre2_general_context_free(general);
    if (steps)
        *steps += most - steps_left;
    if (found >= 0)
        return PATTERN_YES;
    bool no_text = found <= PCRE2_ERROR_UTF8_ERR1 && found >= PCRE2_ERROR_UTF8_ERR21;
    return found == PCRE2_ERROR_NOMATCH || no_text ? PATTERN_NO : PATTERN_TOO_HARD;
}
