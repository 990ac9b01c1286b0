/*
 * copies.h - `etinde backup` and `etinde restore`.
 *
 * A copy is a data directory, or that as a tar stream.  Of a running server it is
 * made by the server itself: its snapshot is asked for over HTTP, then moved or
 * streamed away.
 */
#ifndef SERVER_COPIES_H
#define SERVER_COPIES_H

#include "base/compiler.h"

#include <stdbool.h>

struct error;

/* `url` NULL: nobody has the store open.  `destination` "-": a tar stream to standard output. */
bool copies_backup(const char *data, const char *url, const char *destination, struct error *err)
    MUST_CHECK;

/* `copy` "-": a tar stream from standard input.  Problems that verifying finds are printed. */
bool copies_restore(const char *data, const char *copy, struct error *err) MUST_CHECK;

#endif
