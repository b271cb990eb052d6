/* Whether the file's pages are what LMDB takes them for.
 *
 * DESIGN. LMDB believes its pages: one that the disk has lost, or that has a wrong bit in its head
 * or in that of a node, leads it out of the map, to an assertion, or, when it is written to, out of
 * a buffer. So they are read here first, by whoever is about to read all of them, without LMDB and
 * believing nothing: each tree leaf by leaf, in the order of its keys, each page on the way to the
 * leaf looked at whole before anything in it is followed. What is behind a page that cannot be
 * believed is left out; what its parent says comes next is where it goes on. Keys that are out of
 * order do no such harm, and are for who owns the table.
 *
 * The layout is that of LMDB 0.9 on machines of 64 bits, and has been the same in all its releases.
 */
#include "storage/engine/store_tree.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The head of a page: its number, 8 bytes; 2 that say nothing; then, 2 bytes each, */
#define PAGE_FLAGS  10
#define PAGE_LOWER  12 /* where the places of the nodes end, which begin behind the head, */
#define PAGE_UPPER  14 /* and where the nodes begin; of a long value, in 4 bytes, how many pages */
#define PAGE_LENGTH 12
#define PAGE_HEAD   16

#define IS_BRANCH 0x01
#define IS_LEAF   0x02
#define IS_LONG   0x04

/* The head of a node, 2 bytes each: a length or a page's number, flags or its rest, the key's
 * length. */
#define NODE_LOW   0
#define NODE_HIGH  2
#define NODE_FLAGS 4
#define NODE_KEY   6
#define NODE_HEAD  8

#define VALUE_LONG  0x01 /* the value is the number of the page where it lies */
#define VALUE_TABLE 0x02 /* it is a table's description */

/* A meta page, and the description of a tree, of which it has two. */
#define META_MAGIC    16
#define META_FREE     40
#define META_TABLES   88
#define META_LAST     136
#define META_TXN      144
#define MAGIC         0xBEEFC0DE
#define TREE_PAD      0 /* of the first: the size of a page */
#define TREE_FLAGS    4
#define TREE_DEPTH    6
#define TREE_ROOT     40
#define TREE_SIZE     48
#define DEPTH_MAX     32
#define PAGE_SIZE_MAX 65536

_Static_assert(sizeof(size_t) == 8, "LMDB's numbers of pages are as long as a pointer");

static uint16_t u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* ---- Roots. */

static struct tree tree_at(const uint8_t *description)
{
    return (struct tree){.root = u64(description + TREE_ROOT),
                         .depth = u16(description + TREE_DEPTH)};
}

static const uint8_t *meta_at(const struct tree_file *file, unsigned which)
{
    return file->begin + which * file->page_bytes;
}

static bool is_meta(const uint8_t *meta)
{
    return u32(meta + META_MAGIC) == MAGIC;
}

bool tree_page_size(struct tree_file *file, size_t bytes)
{
    if (bytes < META_TXN + sizeof(uint64_t) || !is_meta(file->begin))
        return false;
    file->page_bytes = u32(file->begin + META_FREE + TREE_PAD);
    bool good = file->page_bytes >= 512 && file->page_bytes <= PAGE_SIZE_MAX &&
                (file->page_bytes & (file->page_bytes - 1)) == 0 && bytes >= 2 * file->page_bytes;
    file->pages = good ? bytes / file->page_bytes : 0;
    return good && is_meta(meta_at(file, 1));
}

uint64_t tree_last_txn(const struct tree_file *file)
{
    uint64_t number[2] = {u64(meta_at(file, 0) + META_TXN), u64(meta_at(file, 1) + META_TXN)};
    bool in_turn = number[0] % 2 == 0 && number[1] % 2 == 1 &&
                   (number[0] + 1 == number[1] || number[1] + 1 == number[0]);
    return in_turn ? number[number[1] > number[0]] : 0;
}

/* The page is written anew two transactions later, so its number is looked at behind it as well. */
bool tree_roots(const struct tree_file *file, uint64_t txn, struct tree_roots *out)
{
    const uint8_t *meta = meta_at(file, (unsigned)(txn % 2));
    if (u64(meta + META_TXN) != txn)
        return false;
    *out = (struct tree_roots){.free = tree_at(meta + META_FREE),
                               .tables = tree_at(meta + META_TABLES)};
    out->free.has_numbers = true;
    out->tables.has_tables = true;
    uint64_t last = u64(meta + META_LAST);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    out->pages = last < file->pages ? last + 1 : file->pages;
    return u64(meta + META_TXN) == txn;
}

/* ---- Pages. */

static unsigned node_count(const uint8_t *page)
{
    return (unsigned)(u16(page + PAGE_LOWER) - PAGE_HEAD) / 2;
}

static size_t node_place(const uint8_t *page, unsigned i)
{
    return u16(page + PAGE_HEAD + (size_t)2 * i);
}

static size_t value_length(const uint8_t *node)
{
    return u16(node + NODE_LOW) | (size_t)u16(node + NODE_HIGH) << 16;
}

static size_t node_size(const uint8_t *node, bool leaf)
{
    size_t value = !leaf                                 ? 0
                   : u16(node + NODE_FLAGS) & VALUE_LONG ? sizeof(uint64_t)
                                                         : value_length(node);
    return (NODE_HEAD + u16(node + NODE_KEY) + value + 1) & ~(size_t)1;
}

static const char *fault_of_long(const struct tree_file *file, const uint8_t *node)
{
    uint64_t first = u64(node + NODE_HEAD + u16(node + NODE_KEY));
    uint64_t pages = (PAGE_HEAD - 1 + value_length(node)) / file->page_bytes + 1;
    if (first < 2 || first >= file->pages || pages > file->pages - first)
        return "has a value that lies beyond the end";
    const uint8_t *page = file->begin + first * file->page_bytes;
    bool good = u64(page) == first && u16(page + PAGE_FLAGS) == IS_LONG &&
                u32(page + PAGE_LENGTH) >= pages && u32(page + PAGE_LENGTH) <= file->pages - first;
    return good ? NULL : "has a value that lies on damaged pages";
}

static const char *fault_of_node(const struct tree_file *file, const struct tree *tree,
                                 const uint8_t *node, bool leaf)
{
    size_t key = u16(node + NODE_KEY);
    if (key > STORE_KEY_MAX || (leaf && tree->has_numbers && key != sizeof(uint64_t)))
        return "has a key of a wrong length";
    if (!leaf)
        return NULL;
    unsigned flags = u16(node + NODE_FLAGS);
    if (flags != (tree->has_tables ? VALUE_TABLE : flags & VALUE_LONG))
        return "has an entry of a wrong kind";
    if (!tree->has_tables)
        return flags & VALUE_LONG ? fault_of_long(file, node) : NULL;
    const uint8_t *description = node + NODE_HEAD + key;
    bool good = value_length(node) == TREE_SIZE && u16(description + TREE_FLAGS) == 0;
    return good ? NULL : "has a table whose description is damaged";
}

/* NULL: all that it leads to may be followed. Its nodes fill what is behind `upper`. */
static const char *fault_of_nodes(const struct tree_file *file, const struct tree *tree,
                                  const uint8_t *page, bool leaf)
{
    size_t size = file->page_bytes, upper = u16(page + PAGE_UPPER), sum = upper;
    for (unsigned i = 0; i < node_count(page); i++) {
        size_t at = node_place(page, i);
        const uint8_t *node = page + at;
        if (at < upper || at % 2 || at > size - NODE_HEAD || node_size(node, leaf) > size - at)
            return "has an entry that reaches out of it";
        const char *fault = fault_of_node(file, tree, node, leaf);
        if (fault)
            return fault;
        sum += node_size(node, leaf);
    }
    return sum == size ? NULL : "has entries that do not fill it";
}

static const char *fault_of_page(const struct tree_file *file, const struct tree *tree,
                                 uint64_t number, bool leaf)
{
    if (number < 2 || number >= file->pages)
        return "is beyond the end of the file";
    const uint8_t *page = file->begin + number * file->page_bytes;
    unsigned lower = u16(page + PAGE_LOWER), upper = u16(page + PAGE_UPPER);
    if (u64(page) != number)
        return "has another page's content";
    if (u16(page + PAGE_FLAGS) != (leaf ? IS_LEAF : IS_BRANCH))
        return leaf ? "is no leaf" : "is no branch";
    unsigned least = leaf ? 1 : 2;
    if (lower % 2 || lower < PAGE_HEAD + 2 * least || upper < lower || upper > file->page_bytes)
        return "has a damaged head";
    return fault_of_nodes(file, tree, page, leaf);
}

/* ---- Ways. */

static int compare(const struct tree *tree, struct slice a, struct slice b)
{
    if (tree->has_numbers && a.len == sizeof(uint64_t) && b.len == sizeof(uint64_t)) {
        uint64_t x = u64((const uint8_t *)a.ptr), y = u64((const uint8_t *)b.ptr);
        return x < y ? -1 : x > y;
    }
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;
    return order != 0 ? order : a.len < b.len ? -1 : a.len > b.len;
}

static struct slice node_key(const uint8_t *node)
{
    return slice_of(node + NODE_HEAD, u16(node + NODE_KEY));
}

static uint64_t child_number(const uint8_t *node)
{
    return value_length(node) | (uint64_t)u16(node + NODE_FLAGS) << 32;
}

/* The child that has what is at the place; what its neighbour begins with is noted. */
static uint64_t child_of(const struct tree *tree, const uint8_t *page,
                         const struct pages_place *place, struct tree_leaf *out)
{
    struct slice wanted = slice_of(place->key, place->len);
    const uint8_t *node = page + node_place(page, 0);
    for (unsigned i = 1; i < node_count(page); i++) {
        const uint8_t *next = page + node_place(page, i);
        if (compare(tree, node_key(next), wanted) > 0) {
            out->next = node_key(next);
            break;
        }
        node = next;
    }
    return child_number(node);
}

static const char *fault_of_root(const struct tree *tree)
{
    bool good = tree->depth > 0 ? tree->depth <= DEPTH_MAX : tree->root == UINT64_MAX;
    return good ? NULL : "is no root";
}

void tree_find_leaf(const struct tree_file *file, const struct tree *tree,
                    const struct pages_place *place, struct tree_leaf *out)
{
    *out = (struct tree_leaf){.number = tree->root, .fault = fault_of_root(tree)};
    if (out->fault)
        return;
    for (unsigned left = tree->depth; left > 0; left--) {
        out->fault = fault_of_page(file, tree, out->number, left == 1);
        if (out->fault)
            return;
        const uint8_t *page = file->begin + out->number * file->page_bytes;
        if (left == 1)
            out->page = page;
        else
            out->number = child_of(tree, page, place, out);
    }
}

void tree_leaf_at(const struct tree_file *file, uint64_t number, struct tree_leaf *out)
{
    static const struct tree any = {.depth = 1};
    *out = (struct tree_leaf){.number = number, .fault = fault_of_page(file, &any, number, true)};
    if (!out->fault)
        out->page = file->begin + number * file->page_bytes;
}

uint64_t tree_long_pages(const struct tree_file *file, uint64_t number)
{
    const uint8_t *page = file->begin + number * file->page_bytes;
    bool begins = u64(page) == number && u16(page + PAGE_FLAGS) == IS_LONG;
    return begins && u32(page + PAGE_LENGTH) <= file->pages - number ? u32(page + PAGE_LENGTH) : 0;
}

bool tree_go_on(const struct tree_leaf *leaf, struct pages_place *place)
{
    if (!leaf->next.ptr)
        return false;
    place->len = (uint16_t)leaf->next.len;
    memcpy(place->key, leaf->next.ptr, leaf->next.len);
    return true;
}

/* ---- Walks. */

struct walk {
    const struct tree_file *file;
    const struct tree *tree;
    uint8_t *seen;
    int (*each)(const struct tree_leaf *leaf, void *arg);
    void *arg;
};

/* A page, and what its parents say of its keys: from the first bound on, before the second, if that
 * is there. */
struct step {
    uint64_t number;
    unsigned level; /* 1: a leaf */
    struct slice from, before;
};

static bool is_in_order(const struct walk *walk, const uint8_t *page, const struct step *step)
{
    struct slice last = step->from;
    unsigned first = step->level > 1; /* of a branch, the first key says nothing */
    for (unsigned i = first; i < node_count(page); i++) {
        struct slice key = node_key(page + node_place(page, i));
        int order = compare(walk->tree, last, key);
        if (order > 0 || (order == 0 && i > 0))
            return false;
        last = key;
    }
    return !step->before.ptr || compare(walk->tree, last, step->before) < 0;
}

/* Meeting a page a second time might go on for ever. */
static const char *fault_of_step(const struct walk *walk, const struct step *step)
{
    const char *fault = fault_of_page(walk->file, walk->tree, step->number, step->level == 1);
    if (fault)
        return fault;
    uint8_t *byte = &walk->seen[step->number / 8], bit = (uint8_t)(1u << (step->number & 7));
    bool twice = *byte & bit;
    *byte |= bit;
    return twice ? "is there twice" : NULL;
}

static int walk_page(const struct walk *walk, const struct step *step);

static int walk_children(const struct walk *walk, const uint8_t *page, const struct step *step)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < node_count(page); i++) {
        const uint8_t *node = page + node_place(page, i);
        struct step child = {.number = child_number(node), .level = step->level - 1};
        child.from = i > 0 ? node_key(node) : step->from;
        child.before =
            i + 1 < node_count(page) ? node_key(page + node_place(page, i + 1)) : step->before;
        rc = walk_page(walk, &child);
    }
    return rc;
}

static int walk_page(const struct walk *walk, const struct step *step)
{
    struct tree_leaf leaf = {.number = step->number, .fault = fault_of_step(walk, step)};
    const uint8_t *page = walk->file->begin + step->number * walk->file->page_bytes;
    if (!leaf.fault && step->level > 1)
        return walk_children(walk, page, step);
    leaf.is_above = leaf.fault && step->level > 1;
    if (!leaf.fault) {
        leaf.page = page;
        leaf.out_of_order = !is_in_order(walk, page, step);
    }
    return walk->each(&leaf, walk->arg);
}

int tree_walk(const struct tree_file *file, const struct tree *tree, uint8_t *seen,
              int (*each)(const struct tree_leaf *leaf, void *arg), void *arg)
{
    const struct walk walk = {file, tree, seen, each, arg};
    const struct step root = {.number = tree->root, .level = tree->depth};
    const char *fault = fault_of_root(tree);
    if (!fault)
        return tree->depth > 0 ? walk_page(&walk, &root) : 0;
    return each(&(struct tree_leaf){.number = tree->root, .fault = fault}, arg);
}

/* ---- Entries. */

unsigned tree_entry_count(const struct tree_leaf *leaf)
{
    return leaf->page ? node_count(leaf->page) : 0;
}

void tree_entry(const struct tree_file *file, const struct tree_leaf *leaf, unsigned i,
                struct slice *key, struct slice *value)
{
    const uint8_t *node = leaf->page + node_place(leaf->page, i);
    *key = node_key(node);
    const uint8_t *bytes = node + NODE_HEAD + key->len;
    if (u16(node + NODE_FLAGS) & VALUE_LONG)
        bytes = file->begin + u64(bytes) * file->page_bytes + PAGE_HEAD;
    *value = slice_of(bytes, value_length(node));
}

/* ---- All trees. */

bool tree_find(const struct tree_file *file, const struct tree_roots *roots, unsigned number,
               struct tree *out, struct slice *name)
{
    *out = number == 0 ? roots->free : roots->tables;
    *name = slice_str(number == 0 ? "of free pages" : "of tables");
    if (number < TREE_FIRST_TABLE)
        return true;
    unsigned left = number - TREE_FIRST_TABLE;
    struct pages_place place = {0};
    struct tree_leaf leaf;
    do {
        tree_find_leaf(file, &roots->tables, &place, &leaf);
        unsigned count = tree_entry_count(&leaf);
        if (left < count) {
            struct slice description;
            tree_entry(file, &leaf, left, name, &description);
            *out = tree_at((const uint8_t *)description.ptr);
            return true;
        }
        left -= count;
    } while (tree_go_on(&leaf, &place));
    return false;
}

/* ---- A file. */

void tree_unmap(struct tree_mapping *mapping)
{
    if (mapping->begin)
        munmap(mapping->begin, mapping->bytes);
    *mapping = (struct tree_mapping){0};
}

bool tree_map(const char *path, struct tree_mapping *out)
{
    struct stat st;
    *out = (struct tree_mapping){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = fstat(fd, &st) == 0 && st.st_size > 0;
    void *map = good ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    close(fd);
    if (map == MAP_FAILED)
        return false;
    out->begin = map;
    out->bytes = (size_t)st.st_size;
    out->file.begin = map;
    if (tree_page_size(&out->file, out->bytes) &&
        tree_roots(&out->file, tree_last_txn(&out->file), &out->roots)) {
        out->file.pages = out->roots.pages;
        return true;
    }
    tree_unmap(out);
    return false;
}
