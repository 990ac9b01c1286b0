/*
 * import_internal.h - what the files import*.c share.
 */
#ifndef STORAGE_IMPORT_INTERNAL_H
#define STORAGE_IMPORT_INTERNAL_H

#include "base/array.h"
#include "base/buffer.h"
#include "base/table.h"
#include "storage/import.h"
#include "storage/import_spool.h"
#include "storage/rich_sample.h"
#include "storage/store.h"

#include <limits.h>

struct catalog;
struct partitions;

/* An entry on its way: a float, or `size` bytes of payload at `at`. */
struct import_item {
    int64_t time_ns;
    uint32_t series;
    uint32_t size; /* IMPORT_FLOAT, or of the payload */
    union {
        double value;
        uint64_t at;
    };
};
#define IMPORT_FLOAT UINT32_MAX

struct import_items ARRAY_BODY(struct import_item);

struct import {
    struct import_options options;
    char tenant[TENANT_NAME_MAX + 1];
    char folder[PATH_MAX]; /* DATA/import */
    char name[IMPORT_NAME_SIZE];
    char part[PATH_MAX]; /* DATA/import/<name>.part */
    int lock_fd;         /* of the part: its owner lives */
    struct catalog *catalog;
    struct import_spool *spool;
    struct import_report report;

    struct arena *arena; /* labels */
    ARRAY(struct labels) series;
    struct table table;
    ARRAY(struct metric_metadata) families;

    struct import_items items, spare;
    struct buffer payload; /* histograms and lines */

    /* For encoding. */
    struct buffer bytes;
    struct arena *scratch;
    ARRAY(int64_t) times;
    ARRAY(double) values;
    ARRAY(struct rich_sample) rich;
    ARRAY(struct slice) lines;
    ARRAY(struct labels) metadata;
    ARRAY(uint32_t) same; /* items of one time */
};

/* All items as chunks into the spool (import_chunks.c). */
bool import_flush(struct import *import, struct error *err) MUST_CHECK;

#endif
