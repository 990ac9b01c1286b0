/* guard.c - file system check and lock file (see guard.h). */
#include "storage/guard.h"

#include "base/error.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

static const struct {
    unsigned long magic;
    const char *name;
} remote[] = {
    {0x6969, "NFS"},     {0x517B, "SMB"},      {0xFF534D42, "CIFS"}, {0xFE534D42, "SMB2"},
    {0x01021997, "9p"},  {0x65735546, "FUSE"}, {0x00C36400, "Ceph"}, {0x0BD00BD0, "Lustre"},
    {0x5346414F, "AFS"}, {0x47504653, "GPFS"},
};

bool guard_filesystem(const char *directory, struct error *err)
{
    struct statfs info;
    if (statfs(directory, &info) != 0)
        return error_set(err, ERR_IO, "statfs %s: %s", directory, strerror(errno));
    unsigned long type = (unsigned long)info.f_type & 0xFFFFFFFFul;
    for (size_t i = 0; i < COUNT_OF(remote); i++) {
        if (type == remote[i].magic)
            return error_set(err, ERR_UNSUPPORTED,
                             "%s is on %s, where the store's files are not safe (there is a "
                             "switch to allow remote file systems)",
                             directory, remote[i].name);
    }
    return true;
}

int guard_lock(const char *directory, struct error *err)
{
    char path[4096];
    char text[32] = {0};
    snprintf(path, sizeof(path), "%s/lock", directory);
    AUTO(fd_drop) int fd = file_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640, err);
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int cause = errno;
        ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
        for (ssize_t i = 0; i < size; i++) {
            if (text[i] < '0' || text[i] > '9')
                text[i] = '\0';
        }
        if (cause == EWOULDBLOCK)
            error_set(err, ERR_BUSY, "%s is in use by process %s", directory,
                      text[0] ? text : "(unknown)");
        else
            error_set(err, ERR_IO, "locking %s: %s", path, strerror(cause));
        return -1;
    }
    int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (!file_truncate(fd, 0, err) || !file_write_at(fd, text, (size_t)length, 0, err))
        return -1;
    int taken = fd;
    fd = -1;
    return taken;
}
