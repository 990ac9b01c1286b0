/*
 * fault_check.c - opens the store after a kill and compares it with the events.
 *
 * Lost: an acknowledged batch that is not there in whole.  Invented: an entry
 * that was never sent.  Torn: a batch without acknowledgement that is there in
 * part.  Doubled: an entry that is read twice.  Undead: one whose delete was acknowledged.
 */
#include "fault_model.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/histogram.h"

struct batch_state {
    bool sent, acknowledged, delete_sent, deleted;
    uint8_t found[FAULT_SERIES + 1]; /* how often each entry was read; the last is the late one */
};

struct kind_state {
    ARRAY(struct batch_state) batches;
    uint64_t invented, sent, acknowledged, lost, torn, doubled, unacknowledged, undead;
};

static struct kind_state kinds[STORE_KINDS];

static struct batch_state *state_of(struct kind_state *kind, uint64_t number)
{
    while (kind->batches.count <= number)
        array_push(&kind->batches, (struct batch_state){0});
    return &kind->batches.items[number];
}

static void read_events(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[64];
    while (file && fgets(line, sizeof(line), file)) {
        struct kind_state *kind = &kinds[line[2] == 'm' ? STORE_METRIC : STORE_LOG];
        struct batch_state *batch = state_of(kind, strtoull(line + 4, NULL, 10));
        batch->sent |= line[0] == 'S';
        batch->acknowledged |= line[0] == 'A';
        batch->delete_sent |= line[0] == 'D';
        batch->deleted |= line[0] == 'E';
    }
    if (file)
        fclose(file);
}

static void found(struct kind_state *kind, uint64_t number, unsigned slot)
{
    if (number >= kind->batches.count || !kind->batches.items[number].sent ||
        (slot == FAULT_SERIES && !fault_has_late(number))) {
        kind->invented++;
        return;
    }
    if (kind->batches.items[number].found[slot]++ > 0)
        kind->doubled++;
}

static void found_sample(unsigned series, int64_t time_ns, double value)
{
    uint64_t packed = (uint64_t)value;
    uint64_t number = packed / FAULT_SERIES;
    bool late = time_ns != fault_time(number);
    if (value < 0 || packed % FAULT_SERIES != series || (double)packed != value ||
        (late && (series != 0 || time_ns != fault_time(number) - FAULT_LATE))) {
        kinds[STORE_METRIC].invented++;
        return;
    }
    found(&kinds[STORE_METRIC], number, late ? FAULT_SERIES : series);
}

/* Is the sample what the writer makes of its value? */
static bool has_its_shape(unsigned series, const struct sample_column *column, size_t i)
{
    double value = column->values[i];
    enum fault_shape shape = fault_shape(series, (uint64_t)value / FAULT_SERIES);
    const struct histogram *h = column->histograms ? column->histograms[i] : NULL;
    int64_t start = column->starts_ns ? column->starts_ns[i] : 0;
    if (start != (shape == FAULT_STARTED ? fault_start((uint64_t)value / FAULT_SERIES) : 0))
        return false;
    if (shape != FAULT_HISTOGRAM)
        return h == NULL;
    return h && h->count == value && h->positive.bucket_count == 1 &&
           h->positive.spans[0].offset == 3 && h->positive.buckets[0] == value;
}

static void found_line(unsigned series, int64_t time_ns, struct slice line, struct labels metadata)
{
    char text[64];
    char expected[64];
    size_t size = line.size < sizeof(text) - 1 ? line.size : sizeof(text) - 1;
    memcpy(text, line.data, size);
    text[size] = '\0';
    uint64_t number = strtoull(text, NULL, 10);
    bool late = time_ns != fault_time(number);
    snprintf(expected, sizeof(expected), "%llu/%u%s", (unsigned long long)number, series,
             late ? "/late" : "");
    bool has_metadata = metadata.count == 1 && slice_equal(metadata.items[0].value, line);
    if (strcmp(text, expected) != 0 || (late && time_ns != fault_time(number) - FAULT_LATE) ||
        has_metadata != (number % 2 == 0)) {
        kinds[STORE_LOG].invented++;
        return;
    }
    found(&kinds[STORE_LOG], number, late ? FAULT_SERIES : series);
}

static bool read_lines(struct cursor_reader *reader, size_t index, unsigned series,
                       struct error *err)
{
    struct entry_stream *stream = entry_stream_open(reader, index, err);
    struct entry_block block = {.count = 1};
    bool ok = stream != NULL;
    while (ok && block.count > 0) {
        ok = entry_stream_next(stream, &block, err);
        for (size_t i = 0; ok && i < block.count; i++)
            found_line(series, block.times_ns[i], block.lines[i], block.metadata[i]);
    }
    entry_stream_close(stream);
    return ok;
}

static bool read_samples(struct cursor_reader *reader, size_t index, unsigned series,
                         struct error *err)
{
    struct sample_column column;
    if (!cursor_read_samples(reader, index, &column, err))
        return false;
    for (size_t i = 0; i < column.count; i++) {
        if (i > 0 && column.times_ns[i] <= column.times_ns[i - 1])
            kinds[STORE_METRIC].doubled++;
        if (column.values[i] >= 0 && !has_its_shape(series, &column, i))
            kinds[STORE_METRIC].invented++;
        else
            found_sample(series, column.times_ns[i], column.values[i]);
    }
    return true;
}

static bool read_kind(struct store *store, enum store_kind kind, struct error *err)
{
    struct cursor_request request = {.tenant = SLICE("fault"),
                                     .kind = kind,
                                     .start_ns = INT64_MIN,
                                     .end_ns = INT64_MAX,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES | CURSOR_LINES |
                                                   CURSOR_METADATA};
    struct cursor *cursor = cursor_open(store, &request, err);
    if (cursor == NULL)
        return false;
    struct cursor_reader *reader = cursor_reader_new(cursor);
    bool ok = true;
    for (size_t i = 0; ok && i < cursor_series_count(cursor); i++) {
        struct slice name = labels_get(cursor_labels(cursor, i), SLICE("series"));
        if (name.size != 2) {
            kinds[kind].invented++;
            continue;
        }
        unsigned series = (unsigned)(name.data[1] - '0');
        ok = kind == STORE_METRIC ? read_samples(reader, i, series, err)
                                  : read_lines(reader, i, series, err);
    }
    cursor_reader_free(reader);
    cursor_close(cursor);
    return ok;
}

static void judge(struct kind_state *kind)
{
    for (uint64_t n = 0; n < kind->batches.count; n++) {
        const struct batch_state *batch = &kind->batches.items[n];
        unsigned present = 0;
        for (unsigned i = 0; i <= FAULT_SERIES; i++)
            present += batch->found[i] > 0;
        if (batch->delete_sent) { /* acknowledged before; its late entry stays */
            unsigned late = batch->found[FAULT_SERIES] > 0;
            kind->undead += batch->deleted && present > late;
            kind->lost += late != fault_has_late(n);
            kind->torn += present != late && present - late != FAULT_SERIES;
            kind->sent++;
            kind->acknowledged++;
            continue;
        }
        bool whole = present == fault_entries(n);
        kind->sent += batch->sent;
        kind->acknowledged += batch->acknowledged;
        kind->lost += batch->acknowledged && !whole;
        kind->torn += !batch->acknowledged && present > 0 && !whole;
        kind->unacknowledged += !batch->acknowledged && whole;
        if (batch->acknowledged && !whole)
            fprintf(stderr, "batch %llu: %u of %u entries\n", (unsigned long long)n, present,
                    fault_entries(n));
    }
}

static bool report(const char *name, const struct kind_state *kind)
{
    printf("%s: sent %llu acknowledged %llu stored without answer %llu | lost %llu torn %llu "
           "invented %llu doubled %llu undead %llu\n",
           name, (unsigned long long)kind->sent, (unsigned long long)kind->acknowledged,
           (unsigned long long)kind->unacknowledged, (unsigned long long)kind->lost,
           (unsigned long long)kind->torn, (unsigned long long)kind->invented,
           (unsigned long long)kind->doubled, (unsigned long long)kind->undead);
    return kind->lost + kind->torn + kind->invented + kind->doubled + kind->undead == 0;
}

int fault_check(const char *directory, const char *events)
{
    struct error err = {0};
    struct store_options options = fault_options(directory, false);
    options.seal_interval_ns = -1;
    read_events(events);
    struct store *store = store_open(&options, &err);
    if (store == NULL || !read_kind(store, STORE_METRIC, &err) ||
        !read_kind(store, STORE_LOG, &err)) {
        fprintf(stderr, "check: %s\n", err.message);
        return 2;
    }
    struct store_replay replay;
    store_replay_report(store, &replay);
    store_abandon(store);
    judge(&kinds[STORE_METRIC]);
    judge(&kinds[STORE_LOG]);
    bool ok = report("metrics", &kinds[STORE_METRIC]);
    ok = report("logs", &kinds[STORE_LOG]) && ok;
    printf("replay: %llu segments, %llu records, %llu skipped, %llu torn bytes, %.1f ms\n",
           (unsigned long long)replay.segments, (unsigned long long)replay.records,
           (unsigned long long)replay.skipped, (unsigned long long)replay.torn_bytes,
           (double)replay.duration_ns / 1e6);
    return ok ? 0 : 1;
}
