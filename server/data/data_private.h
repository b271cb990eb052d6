/* What the files of the data API share.
 *
 * A request goes three ways through here: read on a snapshot (get.c, list.c), or changed: prepared
 * on a snapshot by the worker thread, then written by the writer thread, which prepares anew only
 * what has changed in between (change.c). */
#ifndef GALLEY_SERVER_DATA_DATA_PRIVATE_H
#define GALLEY_SERVER_DATA_DATA_PRIVATE_H

#include "base/expr.h"
#include "base/schema.h"
#include "queue/queue.h"
#include "server/data/data.h"
#include "storage/collection.h"

#define COLLECTION_NAME_MAX 48
#define MEMBER_NAME_MAX     64
#define HIDDEN_MAX          16
#define RULE_WORDS_MAX      16
#define DATA_PATH           "/api/v1/collections/"

/* ---- rule.c: who may. */

enum rule_word_kind { WORD_NOBODY, WORD_PUBLIC, WORD_USER, WORD_OWNER, WORD_ROLE };

struct rule {
    unsigned count; /* of words, of which one has to fit; 0: the expression says it */
    struct rule_word {
        enum rule_word_kind kind;
        char role[33];
    } words[RULE_WORDS_MAX];
    struct expr *expr;
    bool speaks_of_old;
};

enum action { ACTION_LIST, ACTION_READ, ACTION_CREATE, ACTION_UPDATE, ACTION_DELETE, ACTION_COUNT };

extern const char *const action_keys[ACTION_COUNT]; /* of the configuration */

/* Who asks, and how, as rules see it. */
struct caller {
    const struct principal *user;
    struct buf user_json, request_json;
    struct expr_env env; /* without `old` */
};
void caller_init(struct caller *caller, const struct request *request, int64_t now_ms);
void caller_release(struct caller *caller);

struct data_collection;
struct queue_declared;

/* False with a clause in why[EXPR_WHY_SIZE]. */
bool data_rule_read(const char *text, bool has_owner, bool has_old, struct rule *out, char *why);
void data_rule_release(struct rule *rule);

/* Of a document's text. `old`: that before the change, or empty. */
bool rule_allows(const struct data_collection *c, enum action action, const struct caller *caller,
                 struct slice doc, struct slice old);
/* Whether there can be a document at all that it allows. */
bool rule_may_allow(const struct data_collection *c, enum action action,
                    const struct caller *caller);
/* What it says of documents as an expression, borrowed; NULL: nothing that one could say so. */
struct expr *rule_expression(const struct data_collection *c, enum action action,
                             const struct caller *caller);
/* Whether a job with this payload may be added. */
bool rule_allows_job(const struct queue_declared *queue, const struct caller *caller,
                     struct slice payload);
/* Of a change: before it, and after it. */
bool rule_allows_before(const struct data_collection *c, const struct caller *caller,
                        struct slice old);
bool rule_allows_after(const struct data_collection *c, const struct caller *caller,
                       struct slice doc, struct slice old);

/* ---- declare.c: what a section says. */

/* Members that are the server's own, and of which the schema says nothing. */
enum { STRIP_ID = 1, STRIP_CREATED = 2, STRIP_UPDATED = 4, STRIP_OWNER = 8 };

enum feed_choice { FEED_NO, FEED_YES, FEED_BEFORE };

struct data_collection {
    struct data_set *set;
    enum feed_choice feed;
    char name[COLLECTION_NAME_MAX + 1];
    struct collection *stored; /* the data's; NULL if it was only checked */
    struct schema *schema;     /* or NULL */
    unsigned strip;
    bool client_ids, timestamps;
    char owner[MEMBER_NAME_MAX + 1]; /* or "" */
    char hidden[HIDDEN_MAX][MEMBER_NAME_MAX + 1];
    unsigned hidden_count;
    struct rule rules[ACTION_COUNT];
    struct expr *owned;                                /* OWNER = @user.id; or NULL */
    struct index_spec indexes[COLLECTION_INDEXES_MAX]; /* .fields are its own */
    unsigned index_count;
};

/* A queue that jobs may be added to over HTTP. */
struct queue_declared {
    char name[65];
    struct rule rule; /* about the payload */
};

/* Where complaints go: "config.ini:12: [collection posts] index: " and the sentence. */
struct complaints {
    const char *path;
    struct buf *out;
    unsigned count;
    const char *kind; /* of the section that is read */
};

/* To be released, whatever was complained of. */
void declare_read(const struct config_section *section, struct complaints *complaints,
                  struct data_collection *out);
void declare_release(struct data_collection *c);
void declare_queue(const struct config_section *section, struct complaints *complaints,
                   struct queue_declared *out);
bool member_is_hidden(const struct data_collection *c, struct slice name);

/* ---- fault.c: why a request comes to nothing. */

struct fault {
    enum err err; /* ERR_OK: none */
    const char *code;
    char message[200]; /* or "": the table's */
    json_t *details;   /* or NULL */
    uint64_t version;  /* that is there, of ERR_PRECONDITION; or 0 */
};

/* Each returns the error. */
enum err fault_set(struct fault *fault, enum err err, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* One more violation, of ERR_VALIDATION. */
enum err fault_field(struct fault *fault, const char *field, const char *reason);
/* 401 to nobody, 403 to somebody. */
enum err fault_denied(struct fault *fault, const struct caller *caller);
enum err fault_not_found(struct fault *fault);
void fault_clear(struct fault *fault);
void fault_answer(struct fault *fault, const struct request *request, struct response *response);

/* ---- document.c: what a document is apart from what its author writes. */

/* Whether it can be the id of a document that is reached by a path. */
bool document_id_good(struct slice id);

/* Of a new document (`old` NULL) or another state of one: id, owner, timestamps and hidden members
 * become what they have to be, what is missing of a new one gets the schema's default, and the
 * schema is asked. `id` empty: a new one is made. */
enum err document_settle(const struct data_collection *c, json_t **doc, const json_t *old,
                         struct slice id, const struct caller *caller, struct fault *fault);

/* Appends what clients see of a document's text: without hidden members, and, with fields
 * ("id,title"), only these. */
void document_view(const struct data_collection *c, struct slice doc, struct slice fields,
                   struct buf *out);
/* Takes hidden members out of a tree. */
void document_hide(const struct data_collection *c, json_t *doc);

/* A document's nesting and number of values are bounded. */
#define DOCUMENT_VALUES_MAX 100000
bool document_is_bounded(const json_t *doc);
/* Whether a value is not nested too deep and has at most *room values, which are taken off. */
bool values_are_bounded(const json_t *value, unsigned *room);

/* ---- pointer.c: JSON pointers. */

#define POINTER_TOKENS_MAX JSON_DEPTH_MAX

struct pointer {
    struct buf text;
    const char *tokens[POINTER_TOKENS_MAX];
    unsigned count;
};

/* False if it is none, or has too many tokens. To be released in any case. */
bool pointer_read(const json_t *text, struct pointer *out);
void pointer_release(struct pointer *pointer);
/* What the first tokens lead to; borrowed; NULL if that is not there. */
json_t *pointer_find(json_t *root, const struct pointer *pointer, unsigned tokens);
/* A token as the place in an array, below `below`. */
bool pointer_index(const char *token, size_t below, size_t *out);

/* ---- patch_*.c: a document's other state. They change `doc`, an object without hidden members;
 * what is wrong with the patch, or does not fit the document, is a fault. The patch stays as it is.
 */

enum patch_kind { PATCH_MERGE, PATCH_JSON, PATCH_OPS };

struct patch_context {
    const struct caller *caller;
    struct slice before;     /* the document's text, without hidden members */
    struct expr **condition; /* the patch's, compiled once */
    struct fault *fault;
};

typedef enum err (*patch_fn)(json_t **doc, json_t *patch, const struct patch_context *context);
enum err patch_merge(json_t **doc, json_t *patch, const struct patch_context *context);
enum err patch_json(json_t **doc, json_t *patch, const struct patch_context *context);
enum err patch_ops(json_t **doc, json_t *patch, const struct patch_context *context);

/* ---- change.c: one change of one document. */

enum change_kind { CHANGE_CREATE, CHANGE_REPLACE, CHANGE_PATCH, CHANGE_DELETE };

struct change {
    const struct data_collection *c;
    const struct caller *caller;
    enum change_kind kind;
    enum patch_kind patch;
    struct slice id;                      /* empty: of a new document */
    json_t *body;                         /* the document, or the patch; the change's own */
    struct slice if_match, if_none_match; /* as the headers have them; or NULL */
    uint64_t if_version;                  /* 0: any */
    bool careful; /* to ask unique indexes before writing, so that they spoil no transaction */
    bool refused; /* of a line: it is not to be applied */

    /* What was prepared. */
    bool prepared, creates;
    bool readable;          /* by the caller, afterwards */
    uint64_t seen;          /* the version it was prepared for; 0: there was none */
    uint64_t seen_hash;     /* of its text: a document that was deleted and made anew begins at 1 */
    struct expr *condition; /* of the patch; or NULL */
    struct buf text;        /* the document afterwards */
    struct buf named;       /* its id */
    struct doc_draft *draft;
    struct fault fault;
};

/* On a snapshot or in the write transaction: reads what is there, asks the rules, works out what
 * is to be written. An error is in the fault. */
enum err change_prepare(struct change *change, struct txn *txn);
/* In the write transaction: writes what was prepared, or prepares it anew if the document has
 * changed since. */
enum err change_apply(struct change *change, struct txn *txn);
/* Of the document, after change_apply. */
static inline uint64_t change_version(const struct change *change)
{
    return change->creates ? 1 : change->seen + 1;
}
/* After ERR_EXISTS of a unique index: says in the fault which. */
enum err change_explain(struct change *change, struct txn *txn);
void change_release(struct change *change);

/* ---- call.c: a request that changes something. */

struct data;

struct data_call {
    struct data *data;
    struct request *request;
    struct response *response;
    struct caller caller;
    struct pending_write write;
    struct fault fault;
    /* In the write transaction: changes, and fills the response; runs up to three times. An error
     * is in the fault, or one of the store's. */
    enum err (*run)(struct data_call *call, struct txn *txn);
    /* On the worker thread, when that came to nothing: whether to run it once more; or NULL. */
    bool (*again)(struct data_call *call, enum err err);
    /* Likewise: may say more in the fault; or NULL. */
    void (*explain)(struct data_call *call, enum err err);
    void (*release)(struct data_call *call);
};

/* How the request goes on after it was begun: the first half of a target. With an error in
 * call->fault, or filled response, it ends. */
struct data_target {
    size_t size; /* of what begins with a struct data_call */
    /* On the worker thread: *writes stays true if run() is to be called. */
    enum err (*begin)(struct data_call *call, void *arg, bool *writes);
};
void data_call_serve(const struct data_target *target, struct data *data, struct request *request,
                     struct response *response, void *arg);

/* Runs fn on a snapshot; what it returns. */
enum err data_snapshot(struct data *data, store_fn fn, void *arg);

/* Whether the body is said to be JSON, and not to be encoded. */
enum err data_json_type(struct data_call *call);
enum err data_not_encoded(struct data_call *call);
/* The body as JSON. */
enum err data_body(struct data_call *call, json_t **out);
/* Whether the client wants no document in the answer to its change. */
bool data_wants_minimal(const struct request *request);

/* Answers with a document: 200 or 201, tag, the view of it. */
void data_answer_document(struct response *response, const struct request *request,
                          const struct data_collection *c, int status, struct slice doc,
                          uint64_t version);
void data_tag(struct response *response, uint64_t version);

/* ---- Targets; arg is the struct data_collection. */

void target_list(struct request *request, struct response *response, void *arg);
void target_get(struct request *request, struct response *response, void *arg);
void target_create(struct request *request, struct response *response, void *arg);
void target_replace(struct request *request, struct response *response, void *arg);
void target_patch(struct request *request, struct response *response, void *arg);
void target_delete(struct request *request, struct response *response, void *arg);
void target_bulk(struct request *request, struct response *response, void *arg);
/* arg is the struct data_set. */
void target_transaction(struct request *request, struct response *response, void *arg);

/* ---- set.c */

struct data_set {
    struct data *data;
    _Atomic unsigned count;
    struct data_collection *list;
    unsigned collections;
    struct queue_declared *queues;
    unsigned queue_count;
};

/* NULL if there is none. */
const struct data_collection *data_set_find(const struct data_set *set, const char *name);
const struct queue_declared *data_set_find_queue(const struct data_set *set, const char *name);

/* The i-th that was opened, and its name; NULL: there are no more. */
struct collection *data_opened(const struct data *data, unsigned i, const char **name);
struct store *data_store(struct data *data);
struct queues *data_queues(struct data *data);
const struct clock *data_clock(const struct data *data);
int64_t data_now_ms(const struct data *data);

#endif
