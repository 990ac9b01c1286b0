/*
 * guard.h - is this directory one that a store may use, and nobody else does?
 */
#ifndef STORAGE_GUARD_H
#define STORAGE_GUARD_H

#include "base/compiler.h"

#include <stdbool.h>

struct error;

/* ERR_UNSUPPORTED when `directory` is on NFS, SMB, 9p, Ceph or FUSE. */
bool guard_filesystem(const char *directory, struct error *err) MUST_CHECK;

/*
 * Lock DATA/lock for this process and write its pid there.  ERR_BUSY names the
 * process that holds it.  Gives the descriptor, which holds the lock until it is
 * closed; -1 on failure.
 */
int guard_lock(const char *directory, struct error *err) MUST_CHECK;

#endif
