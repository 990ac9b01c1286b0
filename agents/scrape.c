/* scrape.c - building a request of samples (see scrape.h). */
#include "agents/scrape.h"

#include "base/error.h"
#include "base/files.h"
#include "base/number.h"
#include "wire/remote_write.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PATH_SIZE_MAX = 512, READ_PIECE = 4096 };

void scrape_init(struct scrape *s, const struct label *base, size_t base_count)
{
    *s = (struct scrape){.procfs = "/proc", .sysfs = "/sys", .rootfs = "/"};
    s->base = base;
    s->base_count = base_count;
    buffer_init(&s->out, SCRAPE_OUT_MAX);
    buffer_init(&s->file, SCRAPE_FILE_MAX);
}

void scrape_done(struct scrape *s)
{
    buffer_done(&s->out);
    buffer_done(&s->file);
    free(s->cpus.seconds);
}

void scrape_begin(struct scrape *s, int64_t time_ms, bool describe)
{
    buffer_clear(&s->out);
    s->time_ms = time_ms;
    s->describe = describe;
    s->samples = 0;
}

void scrape_family(struct scrape *s, const char *name, const char *type, const char *help)
{
    if (s->describe)
        remote_write_append_metadata(&s->out, slice_from_text(name), slice_from_text(type),
                                     slice_from_text(help), SLICE(""));
}

/* Base labels give way to the value's own of the same name. */
static size_t merge_labels(const struct scrape *s, const char *name, const struct label *labels,
                           size_t count, struct label *out)
{
    size_t n = 0;
    out[n++] = (struct label){LABEL_NAME_METRIC, slice_from_text(name)};
    for (size_t i = 0; i < count && n < SCRAPE_LABELS_MAX; i++) {
        if (labels[i].value.size > 0)
            out[n++] = labels[i];
    }
    size_t own = n;
    for (size_t i = 0; i < s->base_count && n < SCRAPE_LABELS_MAX; i++) {
        bool taken = s->base[i].value.size == 0;
        for (size_t k = 0; k < own; k++)
            taken = taken || slice_equal(out[k].name, s->base[i].name);
        if (!taken)
            out[n++] = s->base[i];
    }
    for (size_t i = 1; i < n; i++) {
        struct label moving = out[i];
        size_t at = i;
        for (; at > 0 && slice_compare(out[at - 1].name, moving.name) > 0; at--)
            out[at] = out[at - 1];
        out[at] = moving;
    }
    return n;
}

void scrape_value(struct scrape *s, const char *name, const struct label *labels, size_t count,
                  double value)
{
    struct label merged[SCRAPE_LABELS_MAX];
    size_t n = merge_labels(s, name, labels, count, merged);
    struct remote_sample sample = {s->time_ms, value};
    remote_write_append_series(&s->out, (struct labels){merged, n}, &sample, 1);
    s->samples++;
}

void scrape_single(struct scrape *s, const char *name, const char *type, const char *help,
                   double value)
{
    scrape_family(s, name, type, help);
    scrape_value(s, name, NULL, 0, value);
}

bool scrape_load(struct scrape *s, const char *root, const char *path, struct slice *text,
                 struct error *err)
{
    char full[PATH_SIZE_MAX];
    int size = snprintf(full, sizeof(full), "%s/%s", root, path);
    if (size < 0 || (size_t)size >= sizeof(full))
        return error_set(err, ERR_LIMIT, "path %s/%s is too long", root, path);

    AUTO(fd_drop) int fd = file_open(full, O_RDONLY | O_CLOEXEC, 0, err);
    if (fd < 0)
        return false;
    buffer_clear(&s->file);
    for (;;) {
        char *room = buffer_reserve(&s->file, READ_PIECE);
        if (room == NULL)
            return error_set(err, ERR_LIMIT, "%s has more than %d bytes, the limit", full,
                             (int)SCRAPE_FILE_MAX);
        ssize_t got = read(fd, room, READ_PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(err, ERR_IO, "read %s: %s", full, strerror(errno));
        if (got == 0)
            break;
        buffer_advance(&s->file, (size_t)got);
    }
    *text = buffer_slice(&s->file);
    return true;
}

bool next_word(struct slice *rest, struct slice *word)
{
    size_t begin = 0;
    while (begin < rest->size && (rest->data[begin] == ' ' || rest->data[begin] == '\t'))
        begin++;
    size_t end = begin;
    while (end < rest->size && rest->data[end] != ' ' && rest->data[end] != '\t')
        end++;
    *word = slice_sub(*rest, begin, end - begin);
    *rest = slice_skip(*rest, end);
    return word->size > 0;
}

bool next_number(struct slice *rest, double *value)
{
    struct slice word;
    return next_word(rest, &word) && slice_parse_double(word, false, value);
}
