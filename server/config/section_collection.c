/* [collection NAME]: documents that are served over HTTP. */
#include "server/config/config_private.h"

#include <stddef.h>

#define RULE_MAX 4096

/* clang-format off: a table, a row a key */
static const struct config_key collection_keys[] = {
    {"schema", CONFIG_TEXT, "", 1, 1000, CONFIG_RELOADS, NULL,
     "The file of the JSON Schema that every document has to fit, from the folder of this file; "
     "empty: any JSON object will do."},
    {"id", CONFIG_CHOICE, "generated", 0, 0, CONFIG_RELOADS, "generated client",
     "Who makes the ids of new documents: Galley (UUIDs that sort by time), or the client."},
    {"index", CONFIG_TEXT, "", 1, 256, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "Members that documents are found and sorted by, a line for each index: author, or "
     "author, createdAt, or address.city, or tags[] for each element."},
    {"unique", CONFIG_TEXT, "", 1, 256, CONFIG_RELOADS | CONFIG_LIST, NULL,
     "Likewise, where no two documents may have the same; documents without these members do not "
     "count."},
    {"owner", CONFIG_TEXT, "", 1, 64, CONFIG_RELOADS, NULL,
     "The member that becomes the id of the user who creates a document, and then stays so."},
    {"list", CONFIG_TEXT, "nobody", 1, RULE_MAX, CONFIG_RELOADS, NULL,
     "Who may list documents (docs/collections.md): nobody, public, user (who is signed in), "
     "owner, "
     "role:NAME, several of these with commas, or an expression about the document. A list holds "
     "what this and read allow."},
    {"read", CONFIG_TEXT, "nobody", 1, RULE_MAX, CONFIG_RELOADS, NULL,
     "Who may read a document; to others it is not there."},
    {"create", CONFIG_TEXT, "nobody", 1, RULE_MAX, CONFIG_RELOADS, NULL,
     "Who may create one; an expression is about the new document."},
    {"update", CONFIG_TEXT, "nobody", 1, RULE_MAX, CONFIG_RELOADS, NULL,
     "Who may change one; an expression must hold before and after the change, or, if it speaks of "
     "@old, after it."},
    {"delete", CONFIG_TEXT, "nobody", 1, RULE_MAX, CONFIG_RELOADS, NULL, "Who may delete one."},
    {"hidden", CONFIG_TEXT, "", 1, 64, CONFIG_RELOADS | CONFIG_LIST | CONFIG_COMMAS, NULL,
     "Members that nobody sees or writes over HTTP."},
    {"feed", CONFIG_CHOICE, "no", 0, 0, CONFIG_RELOADS, "no yes before",
     "Whether the change feed tells of its documents (docs/feed.md), to each reader what list and "
     "read allow; before: with the document as it was before. It makes writing dearer."},
    {"timestamps", CONFIG_BOOL, "no", 0, 0, CONFIG_RELOADS, NULL,
     "Whether createdAt and updatedAt are kept in each document."},
};
/* clang-format on */

const struct config_kind config_collection = {
    "collection",
    CONFIG_NAMED,
    "Documents served at /api/v1/collections/NAME (docs/collections.md).",
    CONFIG_KEYS(collection_keys),
};
