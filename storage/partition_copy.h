/*
 * partition_copy.h - a day's file: its name, and a copy of it.
 */
#ifndef STORAGE_PARTITION_COPY_H
#define STORAGE_PARTITION_COPY_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

struct catalog_day;
struct error;
struct partition;

/* The folder of a day under `directory`, and the file in it. */
bool partition_folder(const char *directory, const struct catalog_day *day, char *path, size_t size,
                      struct error *err) MUST_CHECK;
bool partition_file(const char *directory, const struct catalog_day *day, char *path, size_t size,
                    struct error *err) MUST_CHECK;

/*
 * Copy the day to DIRECTORY's file for it, durably with its folders, and set
 * `day->generation` to what was copied.  The day is one commit's; sealing may go on.
 */
bool partition_copy(struct partition *partition, const char *directory, struct catalog_day *day,
                    struct error *err) MUST_CHECK;

#endif
