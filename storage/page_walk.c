/*
 * page_walk.c - see page_walk.h.
 *
 * The layout is LMDB 0.9's on a 64-bit little-endian machine.  A page: u64
 * number, u16 unused, u16 flags, u16 end of the nodes' offsets, u16 begin of the
 * nodes (of a long value: u32 number of pages), then u16 offsets of the nodes.
 * A node: u16 and u16 the value's size, u16 flags, u16 size of the key, key,
 * value; in a branch the first three make the child's page number.  A long
 * value's node holds the number of its first page, a database's its root.
 */
#include "storage/page_walk.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HEADER_SIZE = 16,
    NODE_SIZE = 8,
    DATABASE_SIZE = 48,
    DEPTH_MAX = 32,
    KEY_SIZE_MAX = 511,
    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    PAGE_OVERFLOW = 4,
    PAGE_META = 8,
    NODE_LONG = 1,
    NODE_DATABASE = 2,
    META_MAGIC_AT = 16,
    META_VERSION_AT = 20,
    META_FREE_AT = 40,
    META_MAIN_AT = 88,
    META_LAST_AT = 136,
    META_TXNID_AT = 144
};

static const uint32_t meta_magic = 0xBEEFC0DE;

struct walk {
    const struct page_file *file;
    const struct page_meta *meta;
    const struct page_walk_request *request;
    struct error *err;
    uint64_t visited;
};

/* Which of the environment's trees a page belongs to. */
struct tree {
    bool main;         /* its nodes may be databases */
    bool integer_keys; /* not in order of their bytes */
    bool sums_inside;  /* long values have checksums of their own */
    uint16_t depth;
};

struct page {
    const uint8_t *data;
    uint64_t number;
    uint16_t flags, lower, upper;
    size_t nodes;
};

/* Tell a finding: true when the walk goes on. */
static bool finding(struct walk *w, uint64_t page, const char *what)
{
    struct error text = {0};
    error_set(&text, ERR_CORRUPT, "%s: page %" PRIu64 " (offset %" PRIu64 ") is damaged: %s",
              w->file->path, page, page * w->meta->page_size, what);
    if (w->request->finding == NULL) {
        *w->err = text;
        return false;
    }
    w->request->finding(w->request->context, text.message);
    return true;
}

static bool bytes_at(const struct page_file *file, uint64_t offset, void *out, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(file->fd, (char *)out + done, size - done, (off_t)(offset + done));
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static struct page_root root_read(const uint8_t *database)
{
    return (struct page_root){.page = bytes_get64(database + 40),
                              .flags = bytes_get16(database + 4),
                              .depth = bytes_get16(database + 6)};
}

bool page_meta_read(const struct page_file *file, uint32_t page_size, unsigned slot,
                    struct page_meta *meta)
{
    uint8_t bytes[PAGE_META_SIZE];
    if (file->size < (uint64_t)page_size * (slot + 1) ||
        !bytes_at(file, (uint64_t)page_size * slot, bytes, sizeof(bytes)))
        return false;
    if (bytes_get64(bytes) != slot || bytes_get16(bytes + 10) != PAGE_META ||
        bytes_get32(bytes + META_MAGIC_AT) != meta_magic ||
        bytes_get32(bytes + META_VERSION_AT) != 1)
        return false;
    meta->page_size = bytes_get32(bytes + META_FREE_AT);
    meta->free = root_read(bytes + META_FREE_AT);
    meta->main = root_read(bytes + META_MAIN_AT);
    meta->last_page = bytes_get64(bytes + META_LAST_AT);
    meta->txnid = bytes_get64(bytes + META_TXNID_AT);
    meta->sum = checksum32(bytes, sizeof(bytes));
    return meta->page_size >= PAGE_SIZE_MIN && meta->page_size <= PAGE_SIZE_MAX &&
           (meta->page_size & (meta->page_size - 1)) == 0 && meta->last_page < PAGE_LOOK_INSIDE;
}

const struct page_sum *page_sum_find(const struct page_sums *sums, uint64_t page)
{
    size_t low = 0, high = sums->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((sums->items[middle].page & ~PAGE_LOOK_INSIDE) < page)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == sums->count || (sums->items[low].page & ~PAGE_LOOK_INSIDE) != page)
        return NULL;
    return &sums->items[low];
}

/* ---- one page ------------------------------------------------------------------- */

static const char *page_parse(struct walk *w, const uint8_t *data, uint64_t number,
                              struct page *page)
{
    uint32_t size = w->meta->page_size;
    *page = (struct page){.data = data,
                          .number = bytes_get64(data),
                          .flags = bytes_get16(data + 10),
                          .lower = bytes_get16(data + 12),
                          .upper = bytes_get16(data + 14)};
    if (page->number != number)
        return "it says that it is another page";
    if (page->flags != PAGE_BRANCH && page->flags != PAGE_LEAF)
        return "it is no page of a tree";
    if (page->lower < HEADER_SIZE || page->lower > page->upper || page->upper > size ||
        page->lower % 2 != 0)
        return "its bounds are wrong";
    page->nodes = (size_t)(page->lower - HEADER_SIZE) / 2;
    return page->nodes > 0 ? NULL : "it is empty";
}

/* All but the unused room in the middle, which LMDB neither reads nor clears. */
static uint32_t page_sum(const struct page *page, uint32_t size)
{
    uint64_t head = hash64(page->data, page->lower, 0);
    return (uint32_t)hash64(page->data + page->upper, size - page->upper, head);
}

struct node {
    const uint8_t *key;
    uint16_t key_size, flags;
    uint64_t child; /* of a branch */
    const uint8_t *value;
    uint32_t value_size; /* of a leaf; of a long value its whole size */
};

static const char *node_parse(struct walk *w, const struct page *page, size_t i, struct node *node)
{
    uint32_t size = w->meta->page_size;
    uint16_t at = bytes_get16(page->data + HEADER_SIZE + 2 * i);
    if (at < page->upper || at > size - NODE_SIZE)
        return "a node lies outside of it";
    const uint8_t *data = page->data + at;
    uint32_t room = size - at - NODE_SIZE;
    uint32_t low = bytes_get32(data);
    *node = (struct node){
        .key = data + NODE_SIZE, .key_size = bytes_get16(data + 6), .flags = bytes_get16(data + 4)};
    if (node->key_size > KEY_SIZE_MAX || node->key_size > room)
        return "a key is too long";
    node->value = node->key + node->key_size;
    room -= node->key_size;
    if (page->flags == PAGE_BRANCH) {
        node->child = low | (uint64_t)node->flags << 32;
        return NULL;
    }
    node->value_size = low;
    if (node->flags != 0 && node->flags != NODE_LONG && node->flags != NODE_DATABASE)
        return "a node is of no known kind";
    uint32_t inside = node->flags == NODE_LONG ? 8 : node->value_size;
    if (inside > room || (node->flags == NODE_DATABASE && inside != DATABASE_SIZE))
        return "a value lies outside of it";
    return NULL;
}

/* Keys ascend, as far as their bytes tell it; the first of a branch has none. */
static bool keys_ascend(const struct page *page, const struct node *before, const struct node *node,
                        size_t i)
{
    if (i == 0 || (i == 1 && page->flags == PAGE_BRANCH))
        return true;
    return slice_compare(slice_of((const char *)before->key, before->key_size),
                         slice_of((const char *)node->key, node->key_size)) < 0;
}

/* ---- long values ------------------------------------------------------------------ */

static bool sum_note(struct walk *w, uint64_t page, uint32_t sum, bool look_inside)
{
    const struct page_walk_request *request = w->request;
    if (request->mode == PAGE_WALK_CHECK) {
        const struct page_sum *known = page_sum_find(request->known, page);
        if (known == NULL)
            return finding(w, page, "it was not part of the last commit");
        if (known->sum != sum)
            return finding(w, page, "its checksum does not match");
    }
    if (request->found != NULL)
        array_push(request->found,
                   ((struct page_sum){(uint32_t)page | (look_inside ? PAGE_LOOK_INSIDE : 0), sum}));
    return true;
}

/* A long value that was checked: its pages lie in the file, and their sum is noted. */
static bool long_value(struct walk *w, const struct page *page, const struct node *node,
                       const struct tree *tree)
{
    const uint32_t size = w->meta->page_size;
    uint64_t first = bytes_get64(node->value);
    uint64_t pages = (HEADER_SIZE - 1 + (uint64_t)node->value_size) / size + 1;
    if (first < 2 || first > w->meta->last_page || pages > w->meta->last_page - first + 1)
        return finding(w, page->number, "a long value lies outside of the pages");
    if ((first + pages) * size > w->file->size)
        return finding(w, first, "the file is too short for it");
    bool summed = !tree->sums_inside;
    const struct page_sum *known = summed && w->request->mode == PAGE_WALK_NEXT
                                       ? page_sum_find(w->request->known, first)
                                       : NULL;
    if (known != NULL)
        return sum_note(w, first, known->sum, false);
    if (!summed && !w->request->deep)
        return true;
    size_t wanted = summed ? HEADER_SIZE + (size_t)node->value_size : HEADER_SIZE;
    AUTO(memory_drop) uint8_t *data = malloc(wanted);
    if (data == NULL || !bytes_at(w->file, first * size, data, wanted))
        return finding(w, first, "it cannot be read");
    if (bytes_get64(data) != first || bytes_get16(data + 10) != PAGE_OVERFLOW ||
        bytes_get32(data + 12) != pages)
        return finding(w, first, "its header is not that of its long value");
    return !summed || sum_note(w, first, checksum32(data, wanted), false);
}

/* ---- trees ------------------------------------------------------------------------- */

static bool tree_walk(struct walk *w, const struct page_root *root, const struct tree *kind);
static bool page_visit(struct walk *w, uint64_t number, const struct tree *tree, unsigned level);

static bool database_walk(struct walk *w, const struct page *page, const struct node *node)
{
    struct page_root root = root_read(node->value);
    struct slice name = slice_of((const char *)node->key, node->key_size);
    struct tree kind = {.sums_inside = slice_equal(name, SLICE("blocks")) ||
                                       slice_equal(name, SLICE("columns"))};
    if (root.flags != 0)
        return finding(w, page->number, "a database is of no known kind");
    return tree_walk(w, &root, &kind);
}

static bool node_visit(struct walk *w, const struct page *page, const struct node *node,
                       const struct tree *tree, unsigned level)
{
    if (page->flags == PAGE_BRANCH) {
        if (node->child < 2 || node->child > w->meta->last_page)
            return finding(w, page->number, "a child lies outside of the pages");
        return page_visit(w, node->child, tree, level + 1);
    }
    if (node->flags == NODE_LONG)
        return long_value(w, page, node, tree);
    if (node->flags != NODE_DATABASE)
        return true;
    if (!tree->main)
        return finding(w, page->number, "a database stands where none may");
    return database_walk(w, page, node);
}

static bool nodes_visit(struct walk *w, const struct page *page, const struct tree *tree,
                        unsigned level)
{
    struct node node, before = {0};
    for (size_t i = 0; i < page->nodes; i++) {
        const char *wrong = node_parse(w, page, i, &node);
        if (wrong == NULL && w->request->mode == PAGE_WALK_BUILD && !tree->integer_keys &&
            !keys_ascend(page, &before, &node, i))
            wrong = "its keys are out of order";
        if (wrong != NULL)
            return finding(w, page->number, wrong);
        if (!node_visit(w, page, &node, tree, level))
            return false;
        before = node;
    }
    return true;
}

/* A page that leads to others must be read again after each commit, even when it is the same. */
static bool leads_on(struct walk *w, const struct page *page, const struct tree *tree)
{
    struct node node;
    if (page->flags == PAGE_BRANCH || tree->main)
        return true;
    for (size_t i = 0; i < page->nodes && !tree->sums_inside; i++)
        if (node_parse(w, page, i, &node) == NULL && node.flags == NODE_LONG)
            return true;
    return false;
}

static bool page_visit(struct walk *w, uint64_t number, const struct tree *tree, unsigned level)
{
    const struct page_walk_request *request = w->request;
    const uint32_t size = w->meta->page_size;
    if (++w->visited > w->meta->last_page)
        return finding(w, number, "pages refer to each other in a circle");
    const struct page_sum *known =
        request->mode == PAGE_WALK_NEXT ? page_sum_find(request->known, number) : NULL;
    if (known != NULL && (known->page & PAGE_LOOK_INSIDE) == 0)
        return sum_note(w, number, known->sum, false);
    AUTO(memory_drop) uint8_t *data = xmalloc(size);
    if ((number + 1) * size > w->file->size)
        return finding(w, number, "the file ends before it");
    if (!bytes_at(w->file, number * size, data, size))
        return finding(w, number, "it cannot be read");
    struct page page;
    const char *wrong = page_parse(w, data, number, &page);
    if (wrong == NULL && (page.flags == PAGE_LEAF) != (level + 1 == tree->depth))
        wrong = "the tree is not as deep as its root says";
    if (wrong != NULL)
        return finding(w, number, wrong);
    uint32_t sum = page_sum(&page, size);
    if (known != NULL && known->sum != sum)
        return finding(w, number, "its checksum does not match");
    if (request->mode == PAGE_WALK_CHECK) {
        known = page_sum_find(request->known, number);
        if (known == NULL || known->sum != sum) /* what it leads to means nothing */
            return finding(w, number, "its checksum does not match");
    }
    return sum_note(w, number, sum, leads_on(w, &page, tree)) && nodes_visit(w, &page, tree, level);
}

static bool tree_walk(struct walk *w, const struct page_root *root, const struct tree *kind)
{
    struct tree tree = *kind;
    tree.depth = root->depth;
    if (root->page == UINT64_MAX)
        return true;
    if (root->page < 2 || root->page > w->meta->last_page || root->depth == 0 ||
        root->depth > DEPTH_MAX)
        return finding(w, root->page < 2 ? 0 : root->page, "a tree's root is impossible");
    return page_visit(w, root->page, &tree, 0);
}

static int by_page(const void *a, const void *b)
{
    uint32_t left = ((const struct page_sum *)a)->page & ~PAGE_LOOK_INSIDE;
    uint32_t right = ((const struct page_sum *)b)->page & ~PAGE_LOOK_INSIDE;
    return left < right ? -1 : left > right;
}

static bool sort_found(struct walk *w)
{
    struct page_sums *found = w->request->found;
    if (found == NULL || found->count == 0)
        return true;
    qsort(found->items, found->count, sizeof(*found->items), by_page);
    for (size_t i = 1; i < found->count; i++)
        if (by_page(&found->items[i - 1], &found->items[i]) == 0 &&
            !finding(w, found->items[i].page & ~PAGE_LOOK_INSIDE, "it stands in two places"))
            return false;
    return true;
}

bool page_walk(const struct page_file *file, const struct page_meta *meta,
               const struct page_walk_request *request, struct error *err)
{
    struct walk w = {.file = file, .meta = meta, .request = request, .err = err};
    struct tree free_tree = {.integer_keys = true};
    struct tree main_tree = {.main = true};
    return tree_walk(&w, &meta->free, &free_tree) && tree_walk(&w, &meta->main, &main_tree) &&
           sort_found(&w);
}
