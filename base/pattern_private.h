/* What the two files of patterns share. */
#ifndef GALLEY_BASE_PATTERN_PRIVATE_H
#define GALLEY_BASE_PATTERN_PRIVATE_H

#include "base/buf.h"
#include "base/pattern.h"

/* Appends to `out` what PCRE2 takes for an expression of ECMA-262. False, with a sentence in
 * why[why_size], for what is an error there or has another meaning; what PCRE2 refuses itself
 * (brackets that do not close, ranges that run backwards) is left to it. */
bool pattern_translate(struct slice text, struct buf *out, char *why, size_t why_size);

#endif
