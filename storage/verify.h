/*
 * verify.h - is everything in a data directory what was once written there?
 *
 * For a store that nobody has open: the check takes the directory's lock.  It
 * reads every segment of the log, the catalog and every day that the catalog
 * names, checks all checksums, decodes all chunks, and compares what is stored
 * twice (labels and postings, directories and summaries, rows and counts).
 * It changes nothing.
 *
 * LMDB trusts its pages, so a damaged file may end the process that reads it:
 * each file is read by a child process, whose end is a finding as well.  That
 * is why the calling process must not have any other thread.
 */
#ifndef STORAGE_VERIFY_H
#define STORAGE_VERIFY_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct error;

struct verify_report {
    uint64_t problems; /* lines with `damage` */
    uint64_t notes;    /* the other lines: what the next start repairs by itself */
    uint64_t segments, records, tenants, partitions, series, groups, chunks, samples, entries;
};

/* A finding, one line that begins with the file's path.  `damage` false: nothing to worry about. */
typedef void verify_line(void *context, bool damage, const char *text);

/*
 * Check all of `directory` and tell `line` what is wrong.  True when all could
 * be looked at, whatever was found; false when there is no store or somebody
 * has it open (ERR_BUSY).
 */
bool store_verify(const char *directory, verify_line *line, void *context,
                  struct verify_report *report, struct error *err) MUST_CHECK;

#endif
