/*
 * collectors.h - what the agent measures, under node_exporter's names and labels.
 *
 * Each collector has a parse function over the text of its file, which tests
 * call with recorded text, and a collect function that loads the file first.
 */
#ifndef AGENTS_COLLECTORS_H
#define AGENTS_COLLECTORS_H

#include "agents/scrape.h"

struct collector {
    const char *name;
    bool (*collect)(struct scrape *s, struct error *err);
};

extern const struct collector collectors[];
extern const size_t collector_count;

bool collect_cpu(struct scrape *s, struct error *err) MUST_CHECK;
bool collect_stat(struct scrape *s, struct error *err) MUST_CHECK;
bool collect_loadavg(struct scrape *s, struct error *err) MUST_CHECK;
bool collect_meminfo(struct scrape *s, struct error *err) MUST_CHECK;
bool collect_diskstats(struct scrape *s, struct error *err) MUST_CHECK;
bool collect_netdev(struct scrape *s, struct error *err) MUST_CHECK;
bool collect_filesystem(struct scrape *s, struct error *err) MUST_CHECK;
bool collect_uname(struct scrape *s, struct error *err) MUST_CHECK;
bool collect_time(struct scrape *s, struct error *err) MUST_CHECK;
bool collect_process(struct scrape *s, struct error *err) MUST_CHECK;

bool parse_cpu(struct scrape *s, struct slice text, struct error *err) MUST_CHECK;
bool parse_stat(struct scrape *s, struct slice text, struct error *err) MUST_CHECK;
bool parse_loadavg(struct scrape *s, struct slice text, struct error *err) MUST_CHECK;
bool parse_meminfo(struct scrape *s, struct slice text, struct error *err) MUST_CHECK;
bool parse_diskstats(struct scrape *s, struct slice text, struct error *err) MUST_CHECK;
bool parse_netdev(struct scrape *s, struct slice text, struct error *err) MUST_CHECK;

/* A mount as /proc/1/mountinfo has it; escapes in the texts are decoded in place. */
struct mount {
    struct slice device, point, type;
    bool read_only;
};
/* The mount of one line; false when the line is malformed or its mount is not to be measured. */
bool parse_mount(char *line, size_t size, struct mount *mount);

/* Is it a whole disk, or a kind of device that is left out (partitions, loop, ram)? */
bool disk_is_measured(struct slice device);

/*
 * All collectors, then up, scrape_duration_seconds and scrape_samples_scraped.  A
 * collector that fails counts in node_scrape_collector_success and is logged.
 */
void collect_all(struct scrape *s);

#endif
