/*
 * power_recorder.h - what the disk may hold after a power loss, for the log.
 *
 * While it records, every change that goes through base/files.h to a folder
 * named "wal" is noted in order.  power_cut() then builds a folder as it may be
 * found when the power failed at some point: what was synced is there, of
 * everything later each sector of 512 bytes, each cut of a file and each new name
 * is there or not, by chance.  For tests only.
 */
#ifndef TESTS_FAULTS_POWER_RECORDER_H
#define TESTS_FAULTS_POWER_RECORDER_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

void power_record_start(void);
void power_record_stop(void); /* no thread may write any more */
void power_record_free(void);

/* How many changes were noted so far.  Any thread. */
size_t power_point(void);

/* Fill `folder` (which exists) as after a power loss when `point` changes had been made. */
bool power_cut(const char *folder, size_t point, uint64_t seed, struct error *err) MUST_CHECK;

#endif
