/*
 * crash_point.h - named places where tests end the process.
 *
 * Each row of the state table in docs/format-wal.md has a name.  A fault test
 * sets the hook before the store is opened; it is NULL otherwise, so a point costs one load.
 */
#ifndef STORAGE_CRASH_POINT_H
#define STORAGE_CRASH_POINT_H

#include <stddef.h>

extern void (*crash_hook)(const char *name);

static inline void crash_point(const char *name)
{
    if (__builtin_expect(crash_hook != NULL, 0))
        crash_hook(name);
}

#endif
