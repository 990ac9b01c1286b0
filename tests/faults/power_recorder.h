/*
 * power_recorder.h - what the disk may hold after a power loss.
 *
 * While it records, every change to a directory and what is below it is noted in
 * order, whoever makes it (system_calls.h): the log's, the catalog's, LMDB's, folders, names.
 * power_cut() then builds a directory as it may be found when the power failed at some
 * point: what was synced is there, of everything later each sector of 512 bytes,
 * each cut of a file and each new, changed or removed name is there or not, by chance.
 * Locks are left out.  For tests only.
 */
#ifndef TESTS_FAULTS_POWER_RECORDER_H
#define TESTS_FAULTS_POWER_RECORDER_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

void power_record_start(const char *directory);
void power_record_stop(void); /* no thread may write any more */
void power_record_free(void);

/* How many changes were noted so far.  Any thread. */
size_t power_point(void);

/* Fill `directory` (which is empty) as after a power loss when `point` changes had been made. */
bool power_cut(const char *directory, size_t point, uint64_t seed, struct error *err) MUST_CHECK;

#endif
