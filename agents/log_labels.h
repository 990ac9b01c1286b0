/*
 * log_labels.h - which stream a file's lines belong to.
 *
 * A container log at /var/log/pods/<namespace>_<pod>_<uid>/<container>/<n>.log gets
 * namespace, pod, container and stream; any other file gets filename.  Both get
 * service_name (the container, or the file's name without .log), job and instance.
 */
#ifndef AGENTS_LOG_LABELS_H
#define AGENTS_LOG_LABELS_H

#include "agents/log_format.h"
#include "base/labels.h"

struct buffer;

/* Append the label text of the stream; `base` (job, instance, --label) wins. */
void log_labels_append(struct buffer *out, const char *path, enum log_stream stream,
                       const struct label *base, size_t base_count);

#endif
