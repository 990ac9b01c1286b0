/* fault_files.c - the hooks behind fault_files.h. */
#include "tests/faults/fault_files.h"

#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fault_plan plan;
static _Atomic uint64_t counted;

/* Count a call: is it the one (or one of those) that has to go wrong? */
static bool strikes(unsigned call)
{
    if ((plan.calls & call) == 0)
        return false;
    uint64_t number = atomic_fetch_add(&counted, 1) + 1;
    return plan.for_ever ? number >= plan.nth : number == plan.nth;
}

static int refuse(void)
{
    if (plan.kind == FAULT_EXIT || plan.kind == FAULT_TEAR_EXIT)
        _exit(FAULT_EXIT_STATUS);
    errno = plan.error ? plan.error : EIO;
    return -1;
}

/* The end of a call that was done and that the plan wants to be the last one. */
static int finish(int result)
{
    int number = errno;
    if (plan.kind == FAULT_DONE_EXIT)
        _exit(FAULT_EXIT_STATUS);
    errno = number;
    return result;
}

#define WITH_FAULT(call, doing)                                                                    \
    (!strikes(call) ? (doing) : plan.kind == FAULT_DONE_EXIT ? finish(doing) : refuse())

static int faulty_open(const char *path, int flags, mode_t mode)
{
    return WITH_FAULT(FAULT_OPEN, open(path, flags, mode));
}

static ssize_t faulty_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (!strikes(FAULT_WRITE))
        return pwrite(fd, data, size, offset);
    if (plan.kind == FAULT_DONE_EXIT) {
        ssize_t written = pwrite(fd, data, size, offset);
        finish(0);
        return written;
    }
    if (plan.kind == FAULT_FAIL || plan.kind == FAULT_EXIT)
        return refuse();
    ssize_t written = pwrite(fd, data, (size + 1) / 2, offset);
    return plan.kind == FAULT_SHORTEN ? written : refuse();
}

static int faulty_fdatasync(int fd)
{
    return WITH_FAULT(FAULT_SYNC, fdatasync(fd));
}

static int faulty_fsync(int fd)
{
    return WITH_FAULT(FAULT_SYNC, fsync(fd));
}

static int faulty_ftruncate(int fd, off_t size)
{
    return WITH_FAULT(FAULT_TRUNCATE, ftruncate(fd, size));
}

static int faulty_rename(const char *from, const char *to)
{
    return WITH_FAULT(FAULT_RENAME, rename(from, to));
}

static int faulty_unlink(const char *path)
{
    return WITH_FAULT(FAULT_UNLINK, unlink(path));
}

static int faulty_mkdir(const char *path, mode_t mode)
{
    return WITH_FAULT(FAULT_MKDIR, mkdir(path, mode));
}

static const struct file_hooks faulty = {
    .open = faulty_open,
    .pwrite = faulty_pwrite,
    .fdatasync = faulty_fdatasync,
    .fsync = faulty_fsync,
    .ftruncate = faulty_ftruncate,
    .rename = faulty_rename,
    .unlink = faulty_unlink,
    .mkdir = faulty_mkdir,
};

void fault_set(const struct fault_plan *new_plan)
{
    plan = *new_plan;
    atomic_store(&counted, 0);
    file_hooks = &faulty;
}

bool fault_clear(void)
{
    file_hooks = NULL;
    return atomic_load(&counted) >= plan.nth;
}

uint64_t fault_count(void)
{
    return atomic_load(&counted);
}
