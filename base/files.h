/*
 * files.h - every file operation that durability depends on, behind hooks.
 *
 * Writers (WAL, catalog, positions) call these and never the system directly.
 * A test can replace the functions in `file_hooks` to fail, shorten, tear or
 * record the n-th call.  EINTR and short writes are handled here.
 */
#ifndef BASE_FILES_H
#define BASE_FILES_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buffer;
struct error;

/* The raw calls: as their namesakes, -1 and errno on failure. */
struct file_hooks {
    int (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*pwrite)(int fd, const void *data, size_t size, off_t offset);
    int (*fdatasync)(int fd);
    int (*fsync)(int fd);
    int (*ftruncate)(int fd, off_t size);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, mode_t mode);
};

/* Tests set this before threads start and put NULL back; NULL means the system's calls. */
extern const struct file_hooks *file_hooks;

/* Open; fails with ERR_NOT_FOUND when it does not exist, else ERR_IO.  -1 on failure. */
int file_open(const char *path, int flags, mode_t mode, struct error *err) MUST_CHECK;
void fd_drop(int *fd); /* for AUTO: closes unless negative */

/* All bytes, or false.  A full disk, like want of descriptors, is ERR_UNAVAILABLE, else ERR_IO. */
bool file_write_at(int fd, const void *data, size_t size, uint64_t offset, struct error *err)
    MUST_CHECK;
bool file_read_at(int fd, void *data, size_t size, uint64_t offset, struct error *err) MUST_CHECK;
bool file_sync_data(int fd, struct error *err) MUST_CHECK;
bool file_sync(int fd, struct error *err) MUST_CHECK;
bool file_truncate(int fd, uint64_t size, struct error *err) MUST_CHECK;
bool file_size(int fd, uint64_t *size, struct error *err) MUST_CHECK;

bool file_rename(const char *from, const char *to, struct error *err) MUST_CHECK;
bool file_unlink(const char *path, struct error *err) MUST_CHECK;    /* missing is fine */
bool directory_make(const char *path, struct error *err) MUST_CHECK; /* with parents */
bool directory_sync(const char *path, struct error *err) MUST_CHECK;

/* Names in a directory (without . and ..), sorted; free with names_free. */
bool directory_list(const char *path, char ***names, size_t *count, struct error *err) MUST_CHECK;
void names_free(char **names, size_t count);

/* The whole file into `out` (its limit is the limit). */
bool file_load(const char *path, struct buffer *out, struct error *err) MUST_CHECK;

/* Write to `path`.tmp, sync, rename over `path`, sync the directory. */
bool file_replace(const char *path, struct slice content, struct error *err) MUST_CHECK;

#endif
