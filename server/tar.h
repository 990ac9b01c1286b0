/*
 * tar.h - a folder as a tar stream (ustar) and back: for copies through a pipe.
 *
 * Only folders and plain files are written and read.  What is read comes from
 * outside: names stay below the folder, sizes and checksums are checked.
 */
#ifndef SERVER_TAR_H
#define SERVER_TAR_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdio.h>

struct error;

/* Write everything below `folder` for whose path (relative to it) `wanted` says so (NULL: all). */
bool tar_write(const char *folder, bool (*wanted)(const char *path), FILE *out, struct error *err)
    MUST_CHECK;

/* Make the folder and what the stream holds; the files are synced. */
bool tar_read(FILE *in, const char *folder, struct error *err) MUST_CHECK;

#endif
