/* log_labels.c - labels from the path of a log (see log_labels.h). */
#include "agents/log_labels.h"

#include "base/buffer.h"

enum { LABELS_MAX = 32 };

/* The last `count` parts of a path, the very last first. */
static size_t last_parts(struct slice path, struct slice *parts, size_t count)
{
    size_t found = 0, end = path.size;
    while (found < count && end > 0) {
        size_t begin = end;
        while (begin > 0 && path.data[begin - 1] != '/')
            begin--;
        parts[found++] = slice_sub(path, begin, end - begin);
        end = begin > 0 ? begin - 1 : 0;
    }
    return found;
}

static void add(struct label *labels, size_t *count, struct slice name, struct slice value)
{
    for (size_t i = 0; i < *count; i++) {
        if (slice_equal(labels[i].name, name))
            return;
    }
    if (value.size > 0 && *count < LABELS_MAX)
        labels[(*count)++] = (struct label){name, value};
}

/* True when the path is one of the kubelet's. */
static bool add_pod(struct label *labels, size_t *count, struct slice path)
{
    struct slice parts[4], namespace, pod;
    if (last_parts(path, parts, 4) < 4 || !slice_equal(parts[3], SLICE("pods")))
        return false;
    if (!slice_split(&parts[2], '_', &namespace) || !slice_split(&parts[2], '_', &pod) ||
        parts[2].data == NULL)
        return false;
    add(labels, count, SLICE("namespace"), namespace);
    add(labels, count, SLICE("pod"), pod);
    add(labels, count, SLICE("container"), parts[1]);
    add(labels, count, SLICE("service_name"), parts[1]);
    return true;
}

void log_labels_append(struct buffer *out, const char *path, enum log_stream stream,
                       const struct label *base, size_t base_count)
{
    struct label labels[LABELS_MAX];
    struct slice whole = slice_from_text(path), name;
    size_t count = 0;

    for (size_t i = 0; i < base_count; i++)
        add(labels, &count, base[i].name, base[i].value);
    if (!add_pod(labels, &count, whole)) {
        add(labels, &count, SLICE("filename"), whole);
        if (last_parts(whole, &name, 1) == 1) {
            if (slice_ends_with(name, SLICE(".log")) && name.size > 4)
                name.size -= 4;
            add(labels, &count, SLICE("service_name"), name);
        }
    }
    add(labels, &count, SLICE("stream"), slice_from_text(log_stream_name(stream)));
    for (size_t i = 1; i < count; i++) {
        struct label moving = labels[i];
        size_t at = i;
        for (; at > 0 && slice_compare(labels[at - 1].name, moving.name) > 0; at--)
            labels[at] = labels[at - 1];
        labels[at] = moving;
    }
    labels_append_text(out, (struct labels){labels, count});
}
