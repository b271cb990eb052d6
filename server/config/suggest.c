#include "server/config/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 64 /* longer words get no suggestion */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance without regard to case, one row at a time. */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1];
    size_t width = strlen(b);
    for (unsigned j = 0; j <= width; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= width; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            unsigned replaced = diagonal + !same;
            diagonal = row[j];
            row[j] = min3(row[j] + 1, row[j - 1] + 1, replaced);
        }
    }
    return row[width];
}

struct suggestion suggestion_for(const char *word)
{
    return (struct suggestion){.word = word, .distance = (unsigned)(strlen(word) + 2) / 3};
}

void suggestion_offer(struct suggestion *suggestion, const char *candidate)
{
    if (strlen(suggestion->word) > WORD_MAX || strlen(candidate) > WORD_MAX)
        return;
    unsigned distance = edit_distance(suggestion->word, candidate);
    bool nearer =
        suggestion->best ? distance < suggestion->distance : distance <= suggestion->distance;
    if (nearer) {
        suggestion->best = candidate;
        suggestion->distance = distance;
    }
}

const char *suggestion_text(const struct suggestion *suggestion, char out[SUGGESTION_TEXT_SIZE])
{
    out[0] = '\0';
    if (suggestion->best)
        snprintf(out, SUGGESTION_TEXT_SIZE, "; did you mean %s?", suggestion->best);
    return out;
}
