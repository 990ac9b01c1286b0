/*
 * disk_data.h - data for bench-disk: the series of ingest_load.c.
 */
#ifndef TESTS_DISK_DATA_H
#define TESTS_DISK_DATA_H

#include <stdint.h>

struct batch;

enum disk_shape { DISK_COUNTER, DISK_GAUGE, DISK_CONSTANT, DISK_FLOAT };
enum { DISK_HOST_SERIES = 300 };

struct disk_series {
    enum disk_shape shape;
    int64_t level;
    long first_scrape;
};

uint64_t disk_random(uint64_t *state);

/* 60% counters, 25% gauges with two decimals, 10% constants, 5% floats of full precision. */
void disk_series_init(struct disk_series *series, long number);
double disk_value(struct disk_series *series, uint64_t *random);

/* Add its next sample; the series is found by its number, or made with 9 to 11 labels. */
void disk_series_put(struct disk_series *series, long number, struct batch *batch, int64_t time_ns,
                     uint64_t *random);

/* The same for all series of a host at one scrape: -jitter_ms to +jitter_ms. */
int64_t disk_jitter_ms(long host, long scrape, int64_t jitter_ms);

/* A permutation that gives each of `parts` requests some series of every host. */
long disk_spread(long at, long series, int parts);

#endif
