/*
 * conformance_logql.c - runs LogQL conformance cases through the query facade.
 *
 *     conformance-logql [--quiet] [--sealed] [--expect-passing LIST] [--write-passing LIST]
 *                       FILE...
 *
 * A file holds one case per line (JSON Lines).  Each case is pushed into a real
 * store in a temporary directory, as a tenant of its own, then its query runs; with
 * --sealed the input is sealed into partitions before.
 * Failing cases are printed with what was expected and what came; counts follow
 * per file and in all.  With --expect-passing the run succeeds when every id of
 * the list passes (lines that start with '#' are comments); without it when no
 * case fails.
 */
#include "logql_case.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/number.h"
#include "storage/store.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum outcome { PASSED, FAILED, SKIPPED, OUTCOMES };
enum { LIST_SIZE_MAX = 4 << 20, DIFFERENCE_MAX = 1 << 20, SHOWN_MAX = 4000, FILE_MAX = 256 << 20 };

struct driver {
    struct store *store;
    bool quiet, sealed;
    uint32_t cases;
    size_t total[OUTCOMES];
    ARRAY(char *) passed; /* ids */
};

/* ---- one case ------------------------------------------------------------------- */

static bool expects_failure(const json_t *expect)
{
    return json_is_true(json_object_get(expect, "fail"));
}

/* A refused query is right when it was to fail, but not for a part that is missing here. */
static enum outcome judge_failure(const json_t *expect, const struct error *err,
                                  struct buffer *difference)
{
    bool invalid = err->code == ERR_INVALID || err->code == ERR_EXECUTION || err->code == ERR_LIMIT;
    if (expects_failure(expect) && invalid)
        return PASSED;
    buffer_printf(difference, "\n    got  error (%s): %s", error_name(err->code), err->message);
    return FAILED;
}

static enum outcome judge_success(const json_t *expect, struct buffer *difference)
{
    if (!expects_failure(expect))
        return PASSED;
    struct slice want = text_of(json_object_get(expect, "error"));
    buffer_printf(difference, "\n    want error: %.*s\n    got  success", SLICE_ARG(want));
    return FAILED;
}

static enum outcome run_parse(const json_t *test, struct buffer *difference)
{
    const json_t *expect = json_object_get(test, "expect");
    struct error err = {0};
    bool is_log = false;
    bool ok = query_check(QUERY_LOGQL, text_of(json_object_get(test, "query")), 0, &is_log, &err);
    bool builds = json_object_get(expect, "eval_error") == NULL;
    if (!ok && !builds && err.code == ERR_INVALID)
        return PASSED; /* over HTTP such a query ends in 400 */
    if (!ok)
        return judge_failure(expect, &err, difference);
    if (!builds) {
        buffer_append_text(difference, "\n    want an error while building the pipeline");
        return FAILED;
    }
    if (judge_success(expect, difference) == FAILED)
        return FAILED;
    struct slice type = text_of(json_object_get(expect, "type"));
    if (slice_equal(type, is_log ? SLICE("log") : SLICE("metric")))
        return PASSED;
    buffer_printf(difference, "\n    want a %.*s query", SLICE_ARG(type));
    return FAILED;
}

static enum outcome run_format(const json_t *test, struct buffer *difference)
{
    const json_t *expect = json_object_get(test, "expect");
    struct error err = {0};
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, DIFFERENCE_MAX);
    if (!query_format(QUERY_LOGQL, text_of(json_object_get(test, "query")), 0, &text, &err))
        return judge_failure(expect, &err, difference);
    if (judge_success(expect, difference) == FAILED)
        return FAILED;
    struct slice want = text_of(json_object_get(expect, "pretty"));
    if (slice_equal(buffer_slice(&text), want))
        return PASSED;
    buffer_printf(difference, "\n    want\n%.*s\n    got\n%.*s", SLICE_ARG(want),
                  SLICE_ARG(buffer_slice(&text)));
    return FAILED;
}

static int64_t time_field(const json_t *test, const char *name)
{
    const json_t *value = json_object_get(test, name);
    int64_t ns = 0;
    if (json_is_integer(value))
        return (int64_t)json_integer_value(value);
    slice_parse_i64(text_of(value), &ns);
    return ns;
}

static int64_t duration_field(const json_t *test, const char *name)
{
    int64_t ns = 0;
    duration_parse_go(text_of(json_object_get(test, name)), &ns);
    return ns;
}

static void fill_request(const json_t *test, struct slice kind, struct query_request *request)
{
    request->language = QUERY_LOGQL;
    request->text = text_of(json_object_get(test, "query"));
    request->start_ns = time_field(test, "start");
    request->end_ns = time_field(test, "end");
    request->step_ns = duration_field(test, "step");
    request->interval_ns = duration_field(test, "interval");
    request->instant = json_is_true(json_object_get(test, "instant"));
    request->forward = !slice_equal(text_of(json_object_get(test, "direction")), SLICE("backward"));
    request->limit = (size_t)json_integer_value(json_object_get(test, "limit"));
    if (!slice_equal(kind, SLICE("pipeline")))
        return;
    int64_t last = 0;
    if (case_bounds(json_object_get(test, "input"), &request->start_ns, &last))
        request->end_ns = last + 1;
}

static enum outcome run_query(struct driver *driver, const json_t *test, struct slice kind,
                              struct buffer *difference)
{
    const json_t *expect = json_object_get(test, "expect");
    struct error err = {0};
    char tenant[TENANT_NAME_MAX];
    int size = snprintf(tenant, sizeof(tenant), "case%u", driver->cases);
    struct query_request request = {.tenant = slice_of(tenant, (size_t)size)};
    if (!case_load(driver->store, request.tenant, json_object_get(test, "input"), &err)) {
        buffer_printf(difference, "\n    loading the input: %s", err.message);
        return FAILED;
    }
    if (driver->sealed && !store_seal(driver->store, &err)) {
        buffer_printf(difference, "\n    sealing the input: %s", err.message);
        return FAILED;
    }
    fill_request(test, kind, &request);
    struct query_result *result = query_run(driver->store, &request, &err);
    if (result == NULL)
        return judge_failure(expect, &err, difference);
    bool same = judge_success(expect, difference) == PASSED;
    if (same && slice_equal(kind, SLICE("pipeline")))
        same = compare_pipeline(test, result, difference);
    else if (same && slice_equal(kind, SLICE("log")))
        same = compare_streams(expect, result, difference);
    else if (same)
        same = compare_series(expect, result, difference);
    query_result_free(result);
    return same ? PASSED : FAILED;
}

static enum outcome run_case(struct driver *driver, const json_t *test, struct buffer *difference)
{
    struct slice kind = text_of(json_object_get(test, "kind"));
    driver->cases++;
    if (slice_equal(kind, SLICE("parse")))
        return run_parse(test, difference);
    if (slice_equal(kind, SLICE("format")))
        return run_format(test, difference);
    if (slice_equal(kind, SLICE("pipeline")) || slice_equal(kind, SLICE("log")) ||
        slice_equal(kind, SLICE("metric")))
        return run_query(driver, test, kind, difference);
    return SKIPPED;
}

static void report(struct driver *driver, const json_t *test, const struct buffer *difference)
{
    struct slice id = text_of(json_object_get(test, "id"));
    struct slice query = text_of(json_object_get(test, "query"));
    if (driver->quiet)
        return;
    printf("FAILED %.*s\n    %.*s%.*s\n", SLICE_ARG(id), SLICE_ARG(query),
           SLICE_ARG(slice_sub(buffer_slice(difference), 0, SHOWN_MAX)));
}

/* ---- files -------------------------------------------------------------------------- */

static bool run_line(struct driver *driver, const char *path, struct slice line, size_t counts[])
{
    json_error_t problem;
    json_t *test = json_loadb(line.data, line.size, JSON_ALLOW_NUL, &problem);
    if (test == NULL) {
        fprintf(stderr, "%s: %s\n", path, problem.text);
        return false;
    }
    struct buffer difference;
    buffer_init(&difference, DIFFERENCE_MAX);
    enum outcome outcome = run_case(driver, test, &difference);
    counts[outcome]++;
    driver->total[outcome]++;
    struct slice id = text_of(json_object_get(test, "id"));
    if (outcome == FAILED)
        report(driver, test, &difference);
    else if (outcome == PASSED)
        array_push(&driver->passed, xmemdup(id.data, id.size));
    buffer_done(&difference);
    json_decref(test);
    return true;
}

static bool run_file(struct driver *driver, const char *path)
{
    struct error err = {0};
    AUTO(buffer_done) struct buffer content;
    buffer_init(&content, FILE_MAX);
    if (!file_load(path, &content, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    size_t counts[OUTCOMES] = {0};
    struct slice rest = buffer_slice(&content), line;
    while (slice_split(&rest, '\n', &line)) {
        if (line.size > 0 && !run_line(driver, path, line, counts))
            return false;
    }
    const char *name = strrchr(path, '/');
    printf("%-34s %5zu passed %5zu failed %5zu skipped\n", name ? name + 1 : path, counts[PASSED],
           counts[FAILED], counts[SKIPPED]);
    return true;
}

/* ---- the list of what passes ------------------------------------------------------------ */

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_passed(const struct driver *driver, const char *id)
{
    return bsearch(&id, driver->passed.items, driver->passed.count, sizeof(char *), compare_ids);
}

static bool check_list(const struct driver *driver, const char *path)
{
    struct error err = {0};
    AUTO(buffer_done) struct buffer list;
    buffer_init(&list, LIST_SIZE_MAX);
    if (!file_load(path, &list, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    size_t lost = 0;
    struct slice rest = buffer_slice(&list), line;
    while (slice_split(&rest, '\n', &line)) {
        line = slice_trim(line);
        if (line.size == 0 || line.data[0] == '#')
            continue;
        char *id = xmemdup(line.data, line.size);
        if (!has_passed(driver, id)) {
            printf("LOST %s: it is in the list of passing cases\n", id);
            lost++;
        }
        free(id);
    }
    return lost == 0;
}

static bool write_list(const struct driver *driver, const char *path)
{
    struct error err = {0};
    AUTO(buffer_done) struct buffer list;
    buffer_init(&list, LIST_SIZE_MAX);
    buffer_append_text(&list, "# LogQL conformance cases that pass; the list only grows.\n");
    for (size_t i = 0; i < driver->passed.count; i++)
        buffer_printf(&list, "%s\n", driver->passed.items[i]);
    if (file_replace(path, buffer_slice(&list), &err))
        return true;
    fprintf(stderr, "%s\n", err.message);
    return false;
}

/* ---- the program --------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static struct store *open_store(const char *directory, struct error *err)
{
    struct store_options options = {
        .directory = directory,
        .ack = STORE_ACK_PROCESS,
        .allow_remote_fs = true,
        .retention_ns = -1,
        .out_of_order_ns = {-1, -1},
        .future_ns = -1,
        .past_ns = {-1, -1},
        .seal_interval_ns = -1,
        .tenants_max = 1000000,
    };
    return store_open(&options, err);
}

static int run_all(struct driver *driver, int argc, char **argv)
{
    const char *expected = NULL, *written = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quiet") == 0)
            driver->quiet = true;
        else if (strcmp(argv[i], "--sealed") == 0)
            driver->sealed = true;
        else if (strcmp(argv[i], "--expect-passing") == 0 && i + 1 < argc)
            expected = argv[++i];
        else if (strcmp(argv[i], "--write-passing") == 0 && i + 1 < argc)
            written = argv[++i];
        else if (!run_file(driver, argv[i]))
            return 2;
    }
    if (driver->passed.count > 1)
        qsort(driver->passed.items, driver->passed.count, sizeof(char *), compare_ids);
    bool ok = expected ? check_list(driver, expected) : driver->total[FAILED] == 0;
    if (written && !write_list(driver, written))
        ok = false;
    printf("%zu passed, %zu failed, %zu skipped\n", driver->total[PASSED], driver->total[FAILED],
           driver->total[SKIPPED]);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    char directory[] = "/tmp/conformance-logql-XXXXXX";
    struct error err = {0};
    struct driver driver = {0};
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        return 2;
    }
    driver.store = open_store(directory, &err);
    int status = 2;
    if (driver.store == NULL) {
        fprintf(stderr, "%s\n", err.message);
    } else {
        status = run_all(&driver, argc, argv);
        store_abandon(driver.store);
    }
    for (size_t i = 0; i < driver.passed.count; i++)
        free(driver.passed.items[i]);
    array_done(&driver.passed);
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return status;
}
