/* import_run.c - what all sources have in common, and what is said at the end (see import_run.h).
 */
#include "server/import_run.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/duration.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { RESULT_SIZE = 1024 };

static const int64_t show_every_ns = 5 * NS_PER_SECOND;
static const int64_t future_ns = 10 * NS_PER_MINUTE; /* as samples that are pushed */

/* ---- the sink -------------------------------------------------------------------------- */

static int64_t take_series(void *context, struct label *labels, size_t count)
{
    struct importing *i = context;
    int64_t number = import_series(i->import, labels, count, &i->failure);
    if (number >= 0)
        return number;
    if (i->failure.code != ERR_INVALID)
        return INGEST_STOP;
    error_clear(&i->failure);
    return INGEST_SKIP;
}

/* Milliseconds beyond what nanoseconds can say are refused. */
static bool time_of(struct importing *i, int64_t ms, int64_t *ns)
{
    if (!__builtin_mul_overflow(ms, NS_PER_MS, ns))
        return true;
    import_refuse(i->import, 1, "a time that does not fit");
    return false;
}

static bool take_sample(void *context, uint32_t series, int64_t time_ms, int64_t start_ms,
                        double value)
{
    struct importing *i = context;
    int64_t time_ns, start_ns;
    return !time_of(i, time_ms, &time_ns) || !time_of(i, start_ms, &start_ns) ||
           import_sample(i->import, series, time_ns, start_ns, value, &i->failure);
}

static bool take_histogram(void *context, uint32_t series, int64_t time_ms, int64_t start_ms,
                           const struct histogram *histogram)
{
    struct importing *i = context;
    int64_t time_ns, start_ns;
    return !time_of(i, time_ms, &time_ns) || !time_of(i, start_ms, &start_ns) ||
           import_histogram(i->import, series, time_ns, start_ns, histogram, &i->failure);
}

static bool take_entry(void *context, uint32_t series, int64_t time_ns, struct slice line,
                       struct label *metadata, size_t count)
{
    struct importing *i = context;
    return import_entry(i->import, series, time_ns, line, metadata, count, &i->failure);
}

static bool take_metadata(void *context, struct slice family, struct slice type, struct slice help,
                          struct slice unit)
{
    struct importing *i = context;
    return import_metadata(i->import, family, type, help, unit, &i->failure);
}

bool importing_failed(const struct importing *i, struct error *err)
{
    if (err->code == ERR_NONE)
        *err = i->failure;
    return false;
}

/* ---- what is said ------------------------------------------------------------------------- */

static const char *values_of(const struct importing *i)
{
    return i->request->kind == STORE_LOG ? "entries" : "samples";
}

void importing_progress(struct importing *i)
{
    int64_t now_ns = clock_monotonic_ns();
    const struct import_report *r = import_report(i->import);
    if (now_ns - i->shown_ns < show_every_ns)
        return;
    i->shown_ns = now_ns;
    fprintf(stderr, "etinde: %llu series, %llu %s", (unsigned long long)r->series,
            (unsigned long long)r->taken, values_of(i));
    if (i->total > 0)
        fprintf(stderr, ", %.0f%% of the source", 100.0 * (double)i->done / (double)i->total);
    fprintf(stderr, "\n");
}

static void say_left_out(const struct importing *i)
{
    const struct import_report *r = import_report(i->import);
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 64);
    buffer_append_duration_prometheus(&text, i->request->retention_ns);
    if (r->too_old > 0)
        fprintf(stderr,
                "etinde: left out %llu %s older than the retention of %.*s: to keep them, give "
                "--retention here and retention to the server\n",
                (unsigned long long)r->too_old, values_of(i), SLICE_ARG(buffer_slice(&text)));
    if (r->too_new > 0)
        fprintf(stderr, "etinde: left out %llu %s more than 10 minutes in the future\n",
                (unsigned long long)r->too_new, values_of(i));
    if (r->bad + r->bad_series > 0)
        fprintf(stderr, "etinde: left out %llu invalid %s and %llu invalid series: %s\n",
                (unsigned long long)r->bad, values_of(i), (unsigned long long)r->bad_series,
                r->first_problem);
}

static void say_taken(const struct importing *i)
{
    const struct import_report *r = import_report(i->import);
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 256);
    if (r->taken > 0) {
        buffer_append_text(&text, " from ");
        buffer_append_rfc3339(&text, r->first_ns);
        buffer_append_text(&text, " to ");
        buffer_append_rfc3339(&text, r->last_ns);
    }
    fprintf(stderr, "etinde: %s %llu series, %llu %s of %llu days%.*s\n",
            i->request->check ? "would import" : "read", (unsigned long long)r->series,
            (unsigned long long)r->taken, values_of(i), (unsigned long long)r->days,
            SLICE_ARG(buffer_slice(&text)));
}

/* ---- the way through ------------------------------------------------------------------------ */

static bool is_directory(const char *path)
{
    struct stat info;
    return strcmp(path, "-") != 0 && stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool read_source(struct importing *i, struct error *err)
{
    bool directory = is_directory(i->request->source);
    if (i->request->form == IMPORT_PROMETHEUS && !directory)
        return error_set(err, ERR_INVALID, "%s is no directory", i->request->source);
    if (directory && i->request->form != IMPORT_PROMETHEUS && i->request->form != IMPORT_AUTO)
        return error_set(err, ERR_INVALID, "%s is a directory", i->request->source);
    if (directory && i->request->kind == STORE_LOG)
        return error_set(err, ERR_INVALID, "logs come as lines of JSON, not as a directory");
    return directory ? import_blocks(i, err) : import_text(i, err);
}

static bool write_days(struct importing *i, struct error *err)
{
    char name[IMPORT_NAME_SIZE], result[RESULT_SIZE];
    if (!import_finish(i->import, name, err))
        return false;
    say_taken(i);
    say_left_out(i);
    if (i->request->check)
        return true;
    if (!import_deliver(i->request->data, name, result, sizeof(result), err))
        return false;
    fprintf(stderr, "etinde: %s\n", result);
    return true;
}

bool import_run(const struct import_request *request, struct error *err)
{
    int64_t now_ns = clock_now_ns(NULL);
    bool logs = request->kind == STORE_LOG;
    struct importing i = {.request = request, .shown_ns = clock_monotonic_ns()};
    struct import_options options = {
        .directory = request->data,
        .tenant = request->tenant,
        .kind = request->kind,
        .oldest_ns = request->retention_ns > 0 ? ns_sub(now_ns, request->retention_ns) : INT64_MIN,
        .newest_ns = ns_add(now_ns, future_ns),
        .dry_run = request->check,
    };
    i.sink = (struct import_sink){
        .context = &i,
        .series = take_series,
        .sample = logs ? NULL : take_sample,
        .histogram = logs ? NULL : take_histogram,
        .metadata = logs ? NULL : take_metadata,
        .entry = logs ? take_entry : NULL,
    };
    i.import = import_begin(&options, err);
    if (i.import == NULL)
        return false;
    bool ok = read_source(&i, err) && write_days(&i, err);
    import_free(i.import);
    return ok;
}
