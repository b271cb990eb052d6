/* The pages of the file as LMDB wrote them, read without it: nothing in them is believed, and
 * nothing that is handed out leads outside of the file. Threads: any, on pages that nobody changes:
 * those of a snapshot, or of a file that nobody has open. */
#ifndef GALLEY_ENGINE_STORE_TREE_H
#define GALLEY_ENGINE_STORE_TREE_H

#include "storage/store.h"

struct tree_file {
    const uint8_t *begin; /* where it is mapped */
    size_t page_bytes;
    uint64_t pages; /* that may be read, from the first on */
};

/* One of the file's trees. */
struct tree {
    uint64_t root;
    unsigned depth;   /* 0: it is empty */
    bool has_numbers; /* its keys are numbers: the list of free pages */
    bool has_tables;  /* its values describe trees */
};

struct tree_roots {
    struct tree free, tables;
    uint64_t pages; /* of the file, at that time */
};

struct tree_leaf {
    uint64_t number;     /* of the page, or of the one above it that is damaged */
    const char *fault;   /* half a sentence on that page; NULL: it is whole */
    bool is_above;       /* it is one that leads to others, and damaged */
    const uint8_t *page; /* NULL: it is not whole, or the tree is empty */
    bool out_of_order;   /* keys, among each other or with what its parents say */
    struct slice next;   /* what the leaf behind it begins with; NULL: there is none */
};

/* Whether this is the beginning of an LMDB file of `bytes`; sets page_bytes and pages. */
bool tree_page_size(struct tree_file *file, size_t bytes);
/* The number of the last transaction; 0 if there is none, or if it cannot be known. */
uint64_t tree_last_txn(const struct tree_file *file);
/* False: that transaction's roots are no longer there. */
bool tree_roots(const struct tree_file *file, uint64_t txn, struct tree_roots *out);

/* A file that is mapped as its last transaction has left it. */
struct tree_mapping {
    struct tree_file file;
    struct tree_roots roots;
    void *begin;
    size_t bytes;
};

/* False if it cannot be read, or is no such file. */
bool tree_map(const char *path, struct tree_mapping *out);
void tree_unmap(struct tree_mapping *mapping);

/* The leaf that has what is at the place, and whether all pages on the way to it are whole. */
void tree_find_leaf(const struct tree_file *file, const struct tree *tree,
                    const struct pages_place *place, struct tree_leaf *out);
/* The page as a leaf of a table, whichever: `fault` if it is none. */
void tree_leaf_at(const struct tree_file *file, uint64_t number, struct tree_leaf *out);
/* How many pages a long value has that begins on this one; 0: none does. */
uint64_t tree_long_pages(const struct tree_file *file, uint64_t number);
/* To the leaf behind it, which is nearer to the end in any case; false if there is none. */
bool tree_go_on(const struct tree_leaf *leaf, struct pages_place *place);

/* Shows each leaf of the tree, and each page that is damaged instead of what it leads to, whatever
 * the order of keys: until `each` returns something else than 0, which is returned. `seen` has a
 * bit for each page, set for those that were met. */
int tree_walk(const struct tree_file *file, const struct tree *tree, uint8_t *seen,
              int (*each)(const struct tree_leaf *leaf, void *arg), void *arg);

unsigned tree_entry_count(const struct tree_leaf *leaf);
void tree_entry(const struct tree_file *file, const struct tree_leaf *leaf, unsigned i,
                struct slice *key, struct slice *value);

/* The tree of that number: the list of free pages, that of tables, then each table in the order of
 * names, which are not terminated; false if there are not so many. */
#define TREE_FIRST_TABLE 2
bool tree_find(const struct tree_file *file, const struct tree_roots *roots, unsigned number,
               struct tree *out, struct slice *name);

#endif
