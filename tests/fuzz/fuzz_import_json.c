// links: wire
/*
 * fuzz_import_json.c - a line of an import made of any bytes.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/histogram.h"
#include "wire/exposition.h"
#include "wire/import_json.h"
#include "wire/import_sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t take_series(void *context, struct label *labels, size_t count)
{
    (void)context;
    return count > 0 && labels[0].name.size == 0 ? INGEST_SKIP : 1;
}

static bool take_sample(void *context, uint32_t series, int64_t time_ms, int64_t start_ms,
                        double value)
{
    (void)context, (void)series, (void)start_ms, (void)value;
    return time_ms != 666;
}

static bool take_histogram(void *context, uint32_t series, int64_t time_ms, int64_t start_ms,
                           const struct histogram *histogram)
{
    struct error err;
    (void)context, (void)series, (void)time_ms, (void)start_ms;
    (void)!histogram_check(histogram, &err);
    return true;
}

static bool take_entry(void *context, uint32_t series, int64_t time_ns, struct slice line,
                       struct label *metadata, size_t count)
{
    (void)context, (void)series, (void)time_ns, (void)line;
    return labels_canonicalise(metadata, &count, &(struct label_limits){0}, NULL) || count > 0;
}

static bool take_metadata(void *context, struct slice family, struct slice type, struct slice help,
                          struct slice unit)
{
    (void)context, (void)type, (void)help, (void)unit;
    return family.size > 0;
}

static bool take_text(void *context, struct label *labels, size_t count, double value,
                      const int64_t *time_ms)
{
    (void)context, (void)labels, (void)count, (void)value;
    return *time_ms != 666;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct openmetrics state = {0};
    struct import_sink metrics = {NULL,           take_series, take_sample,
                                  take_histogram, NULL,        take_metadata};
    struct import_sink logs = {.series = take_series, .entry = take_entry};
    struct exposition_handler text = {.sample = take_text};
    AUTO(arena_drop) struct arena *arena = arena_new(16 << 20);
    struct slice line = slice_of((const char *)data, size);
    (void)!import_json_line(line, arena, &metrics, &err);
    (void)!import_json_line(line, arena, &logs, &err);
    (void)!openmetrics_parse(&state, line, &text, &err);
    return 0;
}
