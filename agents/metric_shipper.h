/*
 * metric_shipper.h - metrics from scrape to server, by way of the spool.
 *
 * The main thread scrapes and puts each request into the spool; a thread of its
 * own takes the oldest and sends it until it is decided.
 */
#ifndef AGENTS_METRIC_SHIPPER_H
#define AGENTS_METRIC_SHIPPER_H

#include "agents/sender.h"
#include "agents/spool.h"
#include "base/compiler.h"

#include <stdint.h>

struct agent_options;
struct error;

struct metric_shipper {
    struct stop *stop;
    struct sender *sender;
    struct spool spool;
};

bool metric_shipper_open(struct metric_shipper *m, const struct agent_options *options,
                         const char *producer, struct stop *stop, struct error *err) MUST_CHECK;
void metric_shipper_close(struct metric_shipper *m);

/* Compress and keep one request, and wake the sending thread. */
bool metric_shipper_put(struct metric_shipper *m, struct spool_key key, struct slice request,
                        struct error *err) MUST_CHECK;

/* Until stopped; with `once`, until the spool is empty.  False when it gave up. */
bool metric_shipper_run(struct metric_shipper *m, bool once);

#endif
