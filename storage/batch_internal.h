/*
 * batch_internal.h - a batch between the request thread that fills it and the
 * WAL writer that writes and applies it.
 */
#ifndef STORAGE_BATCH_INTERNAL_H
#define STORAGE_BATCH_INTERNAL_H

#include "base/array.h"
#include "base/buffer.h"
#include "base/error.h"
#include "storage/head.h"
#include "storage/producers.h"
#include "storage/store.h"

struct batch {
    struct store *store;
    struct head *head;
    struct batch *next, *before;  /* in store->live; next also in store->spare */
    struct batch *queue_next;     /* in the committer's queue */
    uint32_t started_s;           /* monotonic */
    int64_t oldest_ns, newest_ns; /* times allowed */

    struct series_list table; /* by the batch's numbers */
    struct id_list ids;       /* the same series' ids */

    struct buffer body;     /* groups of samples, or entries */
    struct buffer packed;   /* how `body` stands in the log; empty: as it is */
    struct buffer rich;     /* scratch: a rich sample */
    struct buffer metadata; /* items only */
    uint64_t metadata_count;
    struct buffer exemplars; /* items only */
    uint64_t exemplar_count;
    uint64_t entries;

    /* the open group of samples */
    size_t group_at; /* where its count stands in `body`; SIZE_MAX: none */
    uint32_t group_count;
    int64_t last_time; /* ms for samples, ns for entries */
    int64_t last_number;

    bool has_producer;
    char producer[PRODUCER_NAME_MAX];
    size_t producer_size;
    uint64_t epoch, sequence;

    uint64_t refused[REFUSED_REASONS]; /* before the commit: too old, too new */

    struct buffer head_bytes; /* the record up to the body, made at the commit */
    batch_done *done;
    void *context;

    struct tombstone *tombstone; /* a delete: the body is its record, there is no head of one */

    /* the WAL writer's notes */
    uint64_t lsn;
    bool repeated;

    size_t counted; /* its bytes in the ledger of memory */

    struct arena *labels; /* for batch_labels; made when asked for */
};

#endif
