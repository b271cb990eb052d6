/* "Did you mean ...?": the nearest of the words that would have been right. Threads: owner. */
#ifndef GALLEY_SERVER_CONFIG_SUGGEST_H
#define GALLEY_SERVER_CONFIG_SUGGEST_H

/* Offer every candidate, then look at `best`: NULL when none is near enough to be a slip of the
 * hand. Words are borrowed. */
struct suggestion {
    const char *word;
    const char *best;
    unsigned distance; /* of best; at first the largest that counts as near */
};

struct suggestion suggestion_for(const char *word);
void suggestion_offer(struct suggestion *suggestion, const char *candidate);

#define SUGGESTION_TEXT_SIZE 96

/* "; did you mean X?", or "" when nothing was near. Returns out. */
const char *suggestion_text(const struct suggestion *suggestion, char out[SUGGESTION_TEXT_SIZE]);

#endif
