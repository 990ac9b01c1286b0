/*
 * page_walk.h - LMDB's pages read by ourselves, with pread and distrust: for page_sums.c only.
 *
 * LMDB believes its tree pages: a damaged one makes it miss keys, read outside
 * of the map or stop the process.  The walk visits the pages of one commit in
 * the file itself, never through the map, checks that each is formed as LMDB
 * forms them and lies inside the file, and gives or compares a checksum of each.
 *
 * Summed are the meta page, branch and leaf pages (without the unused room in
 * their middle) and long values (overflow pages), but for long values of the
 * databases "blocks" and "columns", which carry checksums of their own.
 * Formats: docs/format-partition.md, "Checksums of pages".
 */
#ifndef STORAGE_PAGE_WALK_H
#define STORAGE_PAGE_WALK_H

#include "base/array.h"
#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct page_sum {
    uint32_t page; /* number; the highest bit: PAGE_LOOK_INSIDE */
    uint32_t sum;
};
struct page_sums ARRAY_BODY(struct page_sum);

enum { PAGE_SIZE_MIN = 4096, PAGE_SIZE_MAX = 32768, PAGE_META_SIZE = 152 };

/* Set on pages that lead to other summed pages: a walk after a commit reads them again. */
#define PAGE_LOOK_INSIDE UINT32_C(0x80000000)

struct page_root {
    uint64_t page; /* UINT64_MAX: empty */
    uint16_t flags, depth;
};

/* A meta page: one of the two first pages, the last two commits. */
struct page_meta {
    uint64_t txnid, last_page;
    struct page_root free, main;
    uint32_t page_size;
    uint32_t sum;
};

struct page_file {
    const char *path;
    int fd;
    uint64_t size;
};

/* False when the page is not a meta page of a format that LMDB 0.9 writes. */
bool page_meta_read(const struct page_file *file, uint32_t page_size, unsigned slot,
                    struct page_meta *meta);

enum page_walk_mode {
    PAGE_WALK_CHECK, /* every page must be in `known` with its sum */
    PAGE_WALK_NEXT,  /* what is not in `known` is new since; nothing known is read in vain */
    PAGE_WALK_BUILD  /* nothing is known: keys are checked, too */
};

struct page_walk_request {
    enum page_walk_mode mode;
    bool deep;                     /* also the headers of all long values */
    const struct page_sums *known; /* sorted by page */
    struct page_sums *found;       /* NULL, or gets all pages of this commit, sorted */
    /* NULL: the first finding ends the walk as ERR_CORRUPT.  Else each is told. */
    void (*finding)(void *context, const char *text);
    void *context;
};

/* Walk the commit that `meta` heads.  The meta page itself is not among what is found. */
bool page_walk(const struct page_file *file, const struct page_meta *meta,
               const struct page_walk_request *request, struct error *err) MUST_CHECK;

/* The entry of a page, or NULL. */
const struct page_sum *page_sum_find(const struct page_sums *sums, uint64_t page);

#endif
