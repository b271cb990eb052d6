/* What the files of a transformation share. */
#ifndef GALLEY_SERVER_TRANSFORM_TRANSFORM_PRIVATE_H
#define GALLEY_SERVER_TRANSFORM_TRANSFORM_PRIVATE_H

#include "server/http/condition.h"
#include "server/transform/transform.h"

/* ---- value.c: text with places. */

struct value;

/* NULL, with why. */
struct value *value_read(struct slice text, const struct transform_settings *settings, char *why,
                         size_t why_size);
void value_free(struct value *value);
/* Appends the text; no bytes are escaped. */
void value_fill(const struct value *value, const struct request *request, struct buf *out);
/* Whether requests to one URL may have several. */
bool value_varies(const struct value *value);
/* Appends the names of the headers by which it varies, with ", " behind each. */
void value_write_vary(const struct value *value, struct buf *out);

/* ---- rule.c: one change. */

enum verb { VERB_SET, VERB_ADD, VERB_REMOVE, VERB_RENAME, VERB_KEEP };

#define RULE_NAMES_MAX 32

struct rule {
    enum verb verb;
    char *text;                        /* that the names lie in */
    const char *names[RULE_NAMES_MAX]; /* more than one only of VERB_REMOVE and _KEEP */
    unsigned name_count;
    const char *to;      /* of VERB_RENAME */
    struct value *value; /* of VERB_SET and VERB_ADD */
    json_t *json;        /* instead of it, of a rule for JSON */
};

/* `json`: one for JSON. False, with why. The caller releases the rule in any case. */
bool rule_read(const char *text, bool json, const struct transform_settings *settings,
               struct rule *out, char *why, size_t why_size);
/* VERB_KEEP of these names alone. */
bool rule_read_keep(struct slice names, struct rule *out, char *why, size_t why_size);
void rule_release(struct rule *rule);

struct rules {
    struct rule *list;
    unsigned count;
};

/* ---- headers.c */

/* Whether a rule's names may stand in requests, or in answers. */
bool headers_check(const struct rule *rule, bool request, char *why, size_t why_size);
enum err headers_of_request(const struct rules *rules, const struct request *request,
                            struct transform_request *out);
void headers_of_response(const struct rules *rules, const struct request *request,
                         struct response *response);
/* Whether a rule is about one of those that the front says by itself. */
bool headers_touch_security(const struct rules *rules);

/* ---- query.c */

void query_of_request(const struct rules *rules, const struct request *request,
                      struct transform_request *out);

/* ---- json.c: changing a tree. */

/* Whether a rule's names are paths. */
bool json_rule_check(const struct rule *rule, char *why, size_t why_size);
/* What is added to the text is taken off *room. False: there was not enough of it. */
bool json_change(json_t *root, const struct rule *rule, const struct request *request,
                 size_t *room);

/* ---- fields.c */

struct field_rule {
    struct rule keep;
    bool everything; /* there is nothing to cut */
    bool conditional, by_role;
    struct condition condition; /* or: */
    char *roles;                /* with commas */
};

/* False, with why. The caller releases it in any case. */
bool field_rule_read(const char *text, struct field_rule *out, char *why, size_t why_size);
void field_rule_release(struct field_rule *rule);
bool field_rule_holds(const struct field_rule *rule, const struct request *request);
/* As value_write_vary. */
void field_rule_write_vary(const struct field_rule *rule, struct buf *out);

/* ---- notices.c: what is said of a version. */

/* Appends the header line. False, with why. */
bool notice_write(enum transform_kind kind, const char *text, struct buf *out, char *why,
                  size_t why_size);
/* The moment that a date names. False: it is none. */
bool notice_date(const char *text, int64_t *out_s);

/* ---- All */

struct status_rule {
    int from, to, as;
};

struct transform {
    struct rules request_header, request_query, request_json, response_header, response_json;
    struct field_rule *fields;
    unsigned field_count;
    struct status_rule *statuses;
    unsigned status_count;
    struct buf notices; /* lines of headers */
    struct buf vary;    /* the value of the answer's own; empty: none */
    bool touches_security;
    bool has_key;
};

#endif
