/*
 * memory_limit.h - how much memory the process may have at most.
 *
 * The least of: the machine's memory, the limits of its control group and of the
 * groups around that (version 2 and 1), and the process limits on address space and
 * data (ulimit -v and -d).
 */
#ifndef BASE_MEMORY_LIMIT_H
#define BASE_MEMORY_LIMIT_H

#include <stddef.h>

/*
 * `root` stands before /proc and /sys: "" but in tests.  SIZE_MAX when nothing can be
 * read.
 */
size_t memory_limit_of_groups(const char *root);
size_t memory_limit_read(void);

#endif
