/*
 * positions.h - what the log thread must remember over a restart.
 *
 *     etinde-agent positions 1
 *     file <device> <inode> <format> <fingerprint size> <fingerprint> <offset> <path>
 *     batch <epoch> <sequence> <time in ns>
 *     range <device> <inode> <start> <end>
 *     checksum <hash of everything before>
 *
 * A file's offset is what the server acknowledged.  The batch that is under way
 * is written down before it is sent, with its ranges: after a crash it is built
 * again from the same bytes and sent under the same number, so that the server
 * can tell whether it has it.
 */
#ifndef AGENTS_POSITIONS_H
#define AGENTS_POSITIONS_H

#include "agents/log_files.h"
#include "base/array.h"
#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct error;

struct log_range {
    struct log_identity identity;
    uint64_t start, end;
};

struct log_range_array ARRAY_BODY(struct log_range);

struct log_batch {
    uint64_t epoch, sequence;
    int64_t time_ns; /* of lines that have no time of their own */
    struct log_range_array ranges;
};

bool positions_save(const char *path, const struct log_files *files, const struct log_batch *batch,
                    struct error *err) MUST_CHECK;

/*
 * Files go to `files->saved`, a batch under way to `*batch` (no ranges: none).  A
 * missing file is no error; a damaged one is ERR_CORRUPT and gives nothing.
 */
bool positions_load(const char *path, struct log_files *files, struct log_batch *batch,
                    struct error *err) MUST_CHECK;

#endif
