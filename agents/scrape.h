/*
 * scrape.h - one look at the machine's metrics, written as a remote-write request.
 *
 * Collectors read a file of /proc, parse it and call scrape_value().  Every value
 * of a scrape has the same time and the same base labels (job, instance and
 * those of --label).  One thread; nothing is allocated once the buffers have grown.
 */
#ifndef AGENTS_SCRAPE_H
#define AGENTS_SCRAPE_H

#include "base/buffer.h"
#include "base/compiler.h"
#include "base/labels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum {
    SCRAPE_LABELS_MAX = 40,
    SCRAPE_FILE_MAX = 4 * 1024 * 1024,
    SCRAPE_OUT_MAX = 8 * 1024 * 1024
};

/* What a cpu's counters were, since they must never go back. */
struct cpu_memory {
    double *seconds; /* ten for each cpu */
    size_t cpus;
};

struct scrape {
    const char *procfs, *sysfs, *rootfs;
    const struct label *base; /* sorted by name */
    size_t base_count;
    bool describe; /* write TYPE and HELP, too */
    int64_t time_ms;
    struct buffer out;  /* the request */
    struct buffer file; /* the file being read */
    size_t samples;
    struct cpu_memory cpus;
};

/* `base` must outlive the scrape. */
void scrape_init(struct scrape *s, const struct label *base, size_t base_count);
void scrape_done(struct scrape *s);

/* Begin a new request. */
void scrape_begin(struct scrape *s, int64_t time_ms, bool describe);

/* A family's type (gauge, counter, unknown) and help; once per family and scrape. */
void scrape_family(struct scrape *s, const char *name, const char *type, const char *help);

/* One value.  `labels` of the value's own, sorted or not. */
void scrape_value(struct scrape *s, const char *name, const struct label *labels, size_t count,
                  double value);

/* Both, for a family of one value without labels. */
void scrape_single(struct scrape *s, const char *name, const char *type, const char *help,
                   double value);

/* Read `root`/`path` into `s->file`. */
bool scrape_load(struct scrape *s, const char *root, const char *path, struct slice *text,
                 struct error *err) MUST_CHECK;

/* Words of a line, separated by blanks; false at its end. */
bool next_word(struct slice *rest, struct slice *word);
/* The next word as a number. */
bool next_number(struct slice *rest, double *value);

#endif
