/*
 * page_sums.h - checksums of an LMDB file's pages, in a file beside it: for lmdb_env.c and verify.
 *
 * `<file>-sums` holds, for each of the last two commits, the sum of every page
 * that page_walk.h tells of.  A commit is finished when its sums are durable:
 * before that nobody was told that it happened, and an opener takes it back.
 * So every page that LMDB is given to read has a checksum that was compared.
 *
 * One thread at a time uses a struct page_ledger; nothing here is shared.
 */
#ifndef STORAGE_PAGE_SUMS_H
#define STORAGE_PAGE_SUMS_H

#include "storage/page_walk.h"

struct page_ledger {
    struct page_sums known; /* of the last finished commit, its meta page first */
    uint64_t txnid;
    uint32_t page_size;
    bool any; /* there is a finished commit */
};

/*
 * Before LMDB opens the file: compare all pages of the last finished commit, and
 * take back what was committed without being finished.  A file that is missing
 * is fine; one without sums (from before there were any) has the form of its
 * pages checked and gets its sums.  ERR_CORRUPT names file, page and offset.
 * The caller gives `ledger` back with page_ledger_done().
 */
bool page_sums_check(const char *path, struct page_ledger *ledger, struct error *err) MUST_CHECK;

/* Only the ledger, without looking at the pages again: for the writer. */
bool page_sums_load(const char *path, struct page_ledger *ledger, struct error *err) MUST_CHECK;

/*
 * After a commit into the file open as `fd`: note the new pages' sums, durable.
 * On failure the commit is not finished: the file must be closed, and opening
 * it takes the commit back.
 */
bool page_sums_commit(const char *path, int fd, struct page_ledger *ledger, struct error *err)
    MUST_CHECK;

/* Tell everything that is damaged, also in what LMDB does not read now.  Changes nothing. */
void page_sums_report(const char *path, void (*finding)(void *context, const char *text),
                      void *context);

/*
 * Make sure that the sums of transaction `txnid` count as never written, after writing them
 * failed in a way that left them in doubt.
 */
bool page_sums_forget(const char *path, uint64_t txnid, struct error *err) MUST_CHECK;

void page_ledger_done(struct page_ledger *ledger);

/* "<path>-sums"; false when it does not fit. */
bool page_sums_path(const char *path, char *out, size_t size);

#endif
