/* disk_data.c - see disk_data.h.  Nothing here depends on the machine: same data in each run. */
#include "tests/bench/disk_data.h"

#include "base/error.h"
#include "base/memory.h"
#include "storage/store.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAMES = 201 };

uint64_t disk_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 20;
}

void disk_series_init(struct disk_series *s, long number)
{
    long part = number % DISK_HOST_SERIES * 100 / DISK_HOST_SERIES;
    *s = (struct disk_series){
        .shape = part < 60   ? DISK_COUNTER
                 : part < 85 ? DISK_GAUGE
                 : part < 95 ? DISK_CONSTANT
                             : DISK_FLOAT,
        .level = 100000 + number * 7919 % 1000000,
    };
}

double disk_value(struct disk_series *s, uint64_t *random)
{
    uint64_t r = disk_random(random);
    switch (s->shape) {
    case DISK_COUNTER:
        s->level += (int64_t)(r % 500);
        return (double)s->level;
    case DISK_GAUGE:
        s->level += (int64_t)(r % 401) - 200;
        return (double)s->level / 100;
    case DISK_CONSTANT:
        return (double)s->level;
    default:
        return (double)(r & 0xfffffffffffu) / 17592186044416.0 * 100.0 / 3.0;
    }
}

static int64_t series_define(enum disk_shape shape, long number, struct batch *batch,
                             struct slice key)
{
    static const char *const modes[] = {"idle",    "iowait", "irq",    "nice",
                                        "softirq", "steal",  "system", "user"};
    static const char *const kinds[] = {"total", "bytes", "value", "ratio"};
    static const char *const racks[] = {"r1", "r2", "r3", "r3"};
    long host = number / DISK_HOST_SERIES, in_host = number % DISK_HOST_SERIES;
    char name[64], cpu[16], instance[64];
    size_t n = 0;
    struct label labels[11];
    struct error err = {0};
    snprintf(name, sizeof(name), "node_subsystem%ld_things_%s", in_host % NAMES, kinds[shape]);
    snprintf(cpu, sizeof(cpu), "%ld", in_host / NAMES * 8 + in_host % 8);
    snprintf(instance, sizeof(instance), "host-%05ld.example.internal:9100", host);
    labels[n++] = (struct label){LABEL_NAME_METRIC, slice_from_text(name)};
    labels[n++] = (struct label){SLICE("cluster"), host % 2 ? SLICE("eu-1") : SLICE("us-1")};
    labels[n++] = (struct label){SLICE("cpu"), slice_from_text(cpu)};
    if (in_host % 3 == 0)
        labels[n++] =
            (struct label){SLICE("device"), in_host % 2 ? SLICE("nvme0n1") : SLICE("eth0")};
    labels[n++] = (struct label){SLICE("env"), SLICE("production")};
    labels[n++] = (struct label){SLICE("instance"), slice_from_text(instance)};
    labels[n++] = (struct label){SLICE("job"), SLICE("node")};
    labels[n++] = (struct label){SLICE("mode"), slice_from_text(modes[in_host % 8])};
    if (in_host % 2 == 0)
        labels[n++] = (struct label){SLICE("rack"), slice_from_text(racks[host % 4])};
    labels[n++] =
        (struct label){SLICE("region"), host % 2 ? SLICE("eu-central") : SLICE("us-east")};
    labels[n++] = (struct label){SLICE("team"), host % 3 ? SLICE("platform") : SLICE("storage")};
    int64_t series = batch_define(batch, 0, key, labels, n, &err);
    if (series < 0) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return series;
}

void disk_series_put(struct disk_series *s, long number, struct batch *batch, int64_t time_ns,
                     uint64_t *random)
{
    struct slice key = slice_of((const char *)&number, sizeof(number));
    int64_t found = batch_find(batch, 0, key);
    if (found < 0)
        found = series_define(s->shape, number, batch, key);
    struct error err = {0};
    if (!batch_sample(batch, (uint32_t)found, time_ns, disk_value(s, random), &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
}

int64_t disk_jitter_ms(long host, long scrape, int64_t jitter_ms)
{
    uint64_t state = (uint64_t)host * 1000003 + (uint64_t)scrape * 7919 + 88172645463325252u;
    disk_random(&state);
    disk_random(&state);
    return jitter_ms == 0
               ? 0
               : (int64_t)(disk_random(&state) % (uint64_t)(2 * jitter_ms + 1)) - jitter_ms;
}

long disk_spread(long at, long series, int parts)
{
    long whole = series / parts * parts;
    return at >= whole ? at : at % (series / parts) * parts + at / (series / parts);
}
