/*
 * verify_internal.h - what verify.c, verify_wal.c and partition_verify.c share.
 *
 * A run tells findings: in a child process they go through a pipe to the parent,
 * counts through memory that both have.
 */
#ifndef STORAGE_VERIFY_INTERNAL_H
#define STORAGE_VERIFY_INTERNAL_H

#include "base/compiler.h"
#include "storage/store.h"
#include "storage/verify.h"

enum { VERIFY_LINES_MAX = 100 /* findings of one file that are told one by one */ };

struct verify_run {
    const char *directory;
    verify_line *line;
    void *context;
    struct verify_report *report; /* in memory shared with the children */
    int pipe;                     /* in a child: findings go here; else -1 */
    uint64_t file_lines;          /* told of the file at hand */
};

void verify_problem(struct verify_run *run, const char *format, ...) PRINTF_LIKE(2, 3);
void verify_note(struct verify_run *run, const char *format, ...) PRINTF_LIKE(2, 3);

/* All segments of the log. */
void verify_wal(struct verify_run *run);

/* One day's file. */
void verify_partition(struct verify_run *run, const char *path, enum store_kind kind, int32_t day);

/* Tell damaged pages of an LMDB file; false when there are any. */
bool verify_pages(struct verify_run *run, const char *path);

#endif
