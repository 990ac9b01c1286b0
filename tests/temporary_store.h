/*
 * temporary_store.h - a store in a folder of its own below /tmp, for tests and benchmarks of
 * what lies above storage: it takes entries of any time, seals only when told, and is gone
 * with temporary_store_close().
 */
#ifndef TESTS_TEMPORARY_STORE_H
#define TESTS_TEMPORARY_STORE_H

#include "base/error.h"
#include "storage/store.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static char temporary_store_directory[] = "/tmp/etinde-store-XXXXXX";

static inline struct store *temporary_store_open(struct error *err)
{
    struct store_options options = {.directory = mkdtemp(temporary_store_directory),
                                    .ack = STORE_ACK_PROCESS,
                                    .retention_ns = -1,
                                    .out_of_order_ns = {-1, -1},
                                    .future_ns = -1,
                                    .past_ns = {-1, -1},
                                    .seal_interval_ns = -1};
    if (options.directory == NULL)
        return error_null(err, ERR_IO, "no folder below /tmp");
    return store_open(&options, err);
}

static inline int temporary_store_remove_one(const char *path, const struct stat *info, int kind,
                                             struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

/* 0, or -1 when something of it could not be removed.  NULL is fine. */
static inline int temporary_store_close(struct store *store)
{
    if (store)
        store_abandon(store);
    return nftw(temporary_store_directory, temporary_store_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
