/*
 * collect_filesystem.c - the sizes of mounted filesystems.
 *
 *     36 35 98:0 /root /mount/point rw,noatime shared:1 - ext3 /dev/root rw,errors=continue
 *
 * Mounts come from /proc/1/mountinfo, sizes from statvfs under the root prefix.
 * Filesystems over a network can hang in statvfs for ever, and so would the agent:
 * they are reported with node_filesystem_device_error 1 and without sizes.
 */
#include "agents/collectors.h"

#include "base/error.h"

#include <sys/statvfs.h>

enum { MOUNTS_MAX = 1024, PATH_SIZE_MAX = 4096 };

static const char *const types_left_out[] = {
    "autofs",   "binfmt_misc", "bpf",     "cgroup",    "cgroup2",    "configfs",   "debugfs",
    "devpts",   "devtmpfs",    "fusectl", "hugetlbfs", "iso9660",    "mqueue",     "nsfs",
    "overlay",  "proc",        "procfs",  "pstore",    "rpc_pipefs", "securityfs", "selinuxfs",
    "squashfs", "erofs",       "sysfs",   "tracefs",
};

static const char *const points_left_out[] = {
    "/dev",
    "/proc",
    "/sys",
    "/run/credentials",
    "/var/lib/docker",
    "/var/lib/containers/storage",
    "/var/lib/kubelet",
    "/run/k3s",
};

/* These mean everything below them, and not the directory itself. */
enum { POINTS_ONLY_BELOW = 3 };

static const char *const types_of_networks[] = {
    "nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "afs", "fuse.sshfs", "fuse.glusterfs",
};

static bool is_among(struct slice word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(word, slice_from_text(list[i])))
            return true;
    }
    return false;
}

static bool point_is_left_out(struct slice point)
{
    for (size_t i = 0; i < COUNT_OF(points_left_out); i++) {
        struct slice prefix = slice_from_text(points_left_out[i]);
        if (!slice_starts_with(point, prefix))
            continue;
        if (point.size == prefix.size ? i < POINTS_ONLY_BELOW : point.data[prefix.size] == '/')
            return true;
    }
    return false;
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* Blanks in paths stand as \040 and the like; decode them where they are. */
static void decode_octal(struct slice *word, char *text)
{
    size_t n = 0;
    for (size_t i = 0; i < word->size; i++) {
        if (text[i] == '\\' && i + 3 < word->size && is_octal(text[i + 1]) &&
            is_octal(text[i + 2]) && is_octal(text[i + 3])) {
            text[n++] =
                (char)((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            text[n++] = text[i];
        }
    }
    word->size = n;
}

static bool has_option(struct slice options, struct slice wanted)
{
    struct slice option;
    while (slice_split(&options, ',', &option)) {
        if (slice_equal(option, wanted))
            return true;
    }
    return false;
}

bool parse_mount(char *line, size_t size, struct mount *mount)
{
    struct slice rest = slice_of(line, size), word, options, super;

    for (int i = 0; i < 4; i++) {
        if (!next_word(&rest, &word))
            return false;
    }
    if (!next_word(&rest, &mount->point) || !next_word(&rest, &options))
        return false;
    do { /* optional fields end with a dash */
        if (!next_word(&rest, &word))
            return false;
    } while (!slice_equal(word, SLICE("-")));
    if (!next_word(&rest, &mount->type) || !next_word(&rest, &mount->device))
        return false;
    if (!next_word(&rest, &super))
        super = SLICE("");
    decode_octal(&mount->point, line + (mount->point.data - line));
    decode_octal(&mount->device, line + (mount->device.data - line));
    mount->read_only = has_option(options, SLICE("ro")) || has_option(super, SLICE("ro"));
    return !is_among(mount->type, types_left_out, COUNT_OF(types_left_out)) &&
           !point_is_left_out(mount->point);
}

static void describe(struct scrape *s)
{
    scrape_family(s, "node_filesystem_size_bytes", "gauge", "Size of a filesystem.");
    scrape_family(s, "node_filesystem_free_bytes", "gauge", "Bytes free, for root.");
    scrape_family(s, "node_filesystem_avail_bytes", "gauge", "Bytes free, for everybody.");
    scrape_family(s, "node_filesystem_files", "gauge", "Inodes in all.");
    scrape_family(s, "node_filesystem_files_free", "gauge", "Inodes free.");
    scrape_family(s, "node_filesystem_readonly", "gauge", "Whether it is mounted read-only.");
    scrape_family(s, "node_filesystem_device_error", "gauge", "Whether its size is unknown.");
}

static void measure(struct scrape *s, const struct mount *mount)
{
    char path[PATH_SIZE_MAX];
    struct statvfs info;
    struct label labels[] = {{SLICE("device"), mount->device},
                             {SLICE("fstype"), mount->type},
                             {SLICE("mountpoint"), mount->point}};
    struct slice root = slice_from_text(s->rootfs);
    if (slice_ends_with(root, SLICE("/")))
        root.size--;
    int size = snprintf(path, sizeof(path), "%.*s%.*s", SLICE_ARG(root), SLICE_ARG(mount->point));
    bool ok = size > 0 && (size_t)size < sizeof(path) &&
              !is_among(mount->type, types_of_networks, COUNT_OF(types_of_networks)) &&
              statvfs(path, &info) == 0;

    scrape_value(s, "node_filesystem_readonly", labels, 3, mount->read_only);
    scrape_value(s, "node_filesystem_device_error", labels, 3, !ok);
    if (!ok)
        return;
    double block = (double)(info.f_frsize ? info.f_frsize : info.f_bsize);
    scrape_value(s, "node_filesystem_size_bytes", labels, 3, (double)info.f_blocks * block);
    scrape_value(s, "node_filesystem_free_bytes", labels, 3, (double)info.f_bfree * block);
    scrape_value(s, "node_filesystem_avail_bytes", labels, 3, (double)info.f_bavail * block);
    scrape_value(s, "node_filesystem_files", labels, 3, (double)info.f_files);
    scrape_value(s, "node_filesystem_files_free", labels, 3, (double)info.f_ffree);
}

/* One mount may be listed twice; only the first of a (device, point) is measured. */
static bool was_seen(const struct mount *seen, size_t count, const struct mount *mount)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(seen[i].point, mount->point) && slice_equal(seen[i].device, mount->device))
            return true;
    }
    return false;
}

bool collect_filesystem(struct scrape *s, struct error *err)
{
    struct slice text, line;
    struct mount seen[MOUNTS_MAX];
    size_t count = 0;

    if (!scrape_load(s, s->procfs, "1/mountinfo", &text, err)) {
        error_clear(err);
        if (!scrape_load(s, s->procfs, "self/mountinfo", &text, err))
            return false;
    }
    describe(s);
    while (slice_split(&text, '\n', &line) && count < MOUNTS_MAX) {
        struct mount *mount = &seen[count];
        char *writable = s->file.data + (line.data - s->file.data);
        if (!parse_mount(writable, line.size, mount) || was_seen(seen, count, mount))
            continue;
        measure(s, mount);
        count++;
    }
    return true;
}
