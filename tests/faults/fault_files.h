/*
 * fault_files.h - makes the n-th file operation of base/files.h go wrong.
 *
 *     for (uint64_t n = 1;; n++) {
 *         fault_set(&(struct fault_plan){.calls = FAULT_ALL, .nth = n, .kind = FAULT_FAIL});
 *         bool ok = what_is_tested(&err);
 *         if (!fault_clear())
 *             break;               // it made fewer than n calls: all are covered
 *         ... it must have failed cleanly ...
 *     }
 *
 * For tests only; counters are atomic, so any thread may do the calls.
 */
#ifndef TESTS_FAULTS_FAULT_FILES_H
#define TESTS_FAULTS_FAULT_FILES_H

#include <stdbool.h>
#include <stdint.h>

enum fault_call {
    FAULT_OPEN = 1,
    FAULT_WRITE = 2,
    FAULT_SYNC = 4, /* fdatasync and fsync */
    FAULT_TRUNCATE = 8,
    FAULT_RENAME = 16,
    FAULT_UNLINK = 32,
    FAULT_MKDIR = 64,
    FAULT_ALL = 127
};

enum fault_kind {
    FAULT_FAIL,      /* nothing is done, the call fails */
    FAULT_SHORTEN,   /* a write writes half and says so, as the system may; others fail */
    FAULT_TEAR,      /* a write writes half and fails; others fail */
    FAULT_EXIT,      /* the process ends before the call, as if killed */
    FAULT_TEAR_EXIT, /* a write writes half, then the process ends */
    FAULT_DONE_EXIT  /* the call is done, then the process ends */
};

enum { FAULT_EXIT_STATUS = 86 }; /* of a process that a fault ended */

struct fault_plan {
    unsigned calls; /* FAULT_... that are counted */
    uint64_t nth;   /* 1 is the first */
    enum fault_kind kind;
    int error;     /* errno of a failure; 0 means EIO */
    bool for_ever; /* every counted call from the nth on fails, not only one */
};

/* Start counting from zero.  The plan is copied. */
void fault_set(const struct fault_plan *plan);

/* Back to the system's calls.  Was the nth call reached? */
bool fault_clear(void);

/* Calls counted since fault_set. */
uint64_t fault_count(void);

#endif
