/*
 * system_calls.h - every change to files that this process makes, also those of libraries.
 *
 * A program that is linked with system_calls.c has the system's calls on files
 * replaced by its own: liblmdb.so finds them, too, as it would find those of an LD_PRELOAD
 * library.  A test sets `system_watch` and sees each call with the path it is
 * about, may make it fail, and is told when it is over.  For tests only.
 */
#ifndef TESTS_FAULTS_SYSTEM_CALLS_H
#define TESTS_FAULTS_SYSTEM_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum call_kind {
    CALL_OPEN, /* with O_CREAT only; `fresh` when the file was made */
    CALL_WRITE,
    CALL_SYNC, /* fsync and fdatasync, of folders too */
    CALL_SIZE, /* ftruncate, and open with O_TRUNC; `offset` is the size */
    CALL_RENAME,
    CALL_LINK,
    CALL_UNLINK,
    CALL_MKDIR,
    CALL_RMDIR,
    CALL_MAP, /* mmap of a file */
    CALL_KINDS
};

struct system_call {
    enum call_kind kind;
    const char *path, *to; /* `to`: of CALL_RENAME and CALL_LINK */
    uint64_t offset;
    const void *data; /* of CALL_WRITE */
    size_t size;
    bool durable; /* a write through a descriptor with O_DSYNC */
    bool fresh;
};

struct system_watch {
    /* Nonzero: the call is not made and fails with this errno.  `*size` of a write may be cut. */
    int (*before)(const struct system_call *call, size_t *size);
    /* After a call that succeeded. */
    void (*after)(const struct system_call *call);
};

/* Set while no other thread runs; NULL: nothing is watched. */
extern const struct system_watch *system_watch;

#endif
