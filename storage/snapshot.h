/*
 * snapshot.h - consistent copies of a store: hot ones and those of a stopped server.
 *
 * A copy is a data directory like any other: a server can be started on it.
 * It holds everything that was acknowledged before the call, and perhaps more.
 *
 * Order makes it consistent: removal of log segments is held off first, then
 * the catalog is copied, then each day that it names (LMDB's own copy, which
 * sees one commit and writes compactly), the log last.  What is sealed meanwhile
 * is in the log as well, so a day that was copied before has it from there; the
 * log reaches behind everything that any copied day has.
 */
#ifndef STORAGE_SNAPSHOT_H
#define STORAGE_SNAPSHOT_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

struct error;
struct store;

enum { SNAPSHOT_NAME_SIZE = 48 };

/*
 * Copy an open store to DATA/snapshots/<name>, durably; `name` (room for
 * SNAPSHOT_NAME_SIZE) is <UTC time>-<random>.  Writing and reading go on
 * meanwhile.  Any thread; takes its time.
 */
bool store_snapshot(struct store *store, char *name, struct error *err) MUST_CHECK;

/* Does the directory hold a store?  ERR_NOT_FOUND when not. */
bool snapshot_is_store(const char *directory, struct error *err) MUST_CHECK;

/*
 * Copy the store in `directory`, which nobody has open (ERR_BUSY), to
 * `destination`, which must be empty or missing; nothing is left there on failure.
 */
bool store_backup(const char *directory, const char *destination, struct error *err) MUST_CHECK;

/* Keep others from opening the store: ERR_BUSY when one has.  Closing the descriptor lets go. */
int store_lock(const char *directory, struct error *err) MUST_CHECK;

/* Remove a folder with everything in it, as much as goes. */
void tree_remove(const char *path);

#endif
