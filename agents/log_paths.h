/*
 * log_paths.h - which files a pattern means.
 *
 * A pattern is an absolute path whose parts may hold * ? and [...]; a part that
 * is ** alone means any number of directories, none included.  Directories that
 * are symbolic links are followed where the pattern names them, not below **.
 */
#ifndef AGENTS_LOG_PATHS_H
#define AGENTS_LOG_PATHS_H

#include <stdbool.h>

struct stat;

enum { LOG_PATHS_DEPTH_MAX = 24 };

/* Called for every regular file that matches; false ends the search. */
typedef bool log_path_found(void *context, const char *path, const struct stat *info);

/* False when `found` ended it. */
bool log_paths_find(const char *pattern, log_path_found *found, void *context);

#endif
