/*
 * test_log_identity.c - the same question has the same answer with and without the filters over
 * lines, on one thread and on several, in the head, sealed and after the close of the day.
 *
 *     test-query-log_identity [QUERIES]     10000 in the long form
 */
#include "base/buffer.h"
#include "base/error.h"
#include "base/labels.h"
#include "base/memory.h"
#include "base/pool.h"
#include "query/query.h"
#include "storage/store.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define START  (INT64_C(19700) * 86400 * SECOND + 3600 * SECOND)

enum { STREAMS = 7, LINES = 700, LINE_MAX = 400, STORES = 2, QUERY_MAX = 500, SPAN_S = 1200 };

static unsigned long queries = 150;
static char directories[STORES][40] = {"/tmp/test-log-identity-a-XXXXXX",
                                       "/tmp/test-log-identity-b-XXXXXX"};
static struct store *stores[STORES]; /* the second one without filters */
static struct pool *helpers;
static uint64_t seed = 77;

static uint32_t below(uint32_t limit)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) * limit >> 31);
}

/* ---- data ------------------------------------------------------------------------------ */

static const char *const messages[] = {"request handled",
                                       "Connection pool exhausted",
                                       "tasks \xE2\x84\xAA"
                                       "elvin",
                                       "me\xC5\xBF"
                                       "sage sent",
                                       "caf\xC3\xA9 opened",
                                       "\x1b[31mred alert\x1b[0m"};
static const char *const levels[] = {"info", "warn", "error"};

/* Some lines are alike, some are rare: every 97th has a word of its own. */
static size_t make_line(char *out, uint32_t number)
{
    uint32_t kind = below(4), user = below(50), took = below(3000);
    const char *message = messages[below(number % 97 == 0 ? COUNT_OF(messages) : 2)];
    const char *level = levels[below(3)];
    int size;
    if (kind == 0)
        size =
            snprintf(out, LINE_MAX, "level=%s msg=\"%s\" user=u%u took=%ums trace=%08x%08x%08x%08x",
                     level, message, user, took, below(1000), 7u, 9u, below(9));
    else if (kind == 1)
        size = snprintf(out, LINE_MAX,
                        "{\"level\":\"%s\",\"msg\":\"%s\",\"user\":{\"id\":%u},\"took\":%u.5}",
                        level, number % 97 == 0 ? "rare thing" : "request handled", user, took);
    else if (kind == 2)
        size = snprintf(out, LINE_MAX, "10.0.%u.%u - - [x] \"GET /api/%s?id=%u HTTP/1.1\" %u %u",
                        user, user, level, took, 200 + 100 * below(4), took);
    else
        size =
            snprintf(out, LINE_MAX, "{\"_entry\":\"unpacked %s\",\"level\":\"%s\"}", level, level);
    return (size_t)size;
}

static void add(int64_t time_ns, uint32_t stream, struct slice line, bool metadata)
{
    struct error err = {0};
    char name[16];
    int size = snprintf(name, sizeof(name), "%u", stream);
    for (int s = 0; s < STORES; s++) {
        struct batch_result result;
        struct label labels[] = {{SLICE("app"), stream % 2 ? SLICE("a") : SLICE("b")},
                                 {SLICE("pod"), slice_of(name, (size_t)size)}};
        struct label pairs[] = {{SLICE("detected_level"), SLICE("info")}};
        struct batch *batch = batch_new(stores[s], SLICE("default"), STORE_LOG, &err);
        int64_t series = batch_define(batch, 0, (struct slice){NULL, 0}, labels, 2, &err);
        assert_true(series >= 0);
        assert_true(batch_entry(batch, (uint32_t)series, time_ns, line, pairs, metadata, &err));
        assert_true(batch_commit_wait(batch, &result, &err));
    }
}

static void add_lines(void)
{
    char line[LINE_MAX];
    for (uint32_t i = 0; i < LINES; i++) {
        for (uint32_t stream = 0; stream < STREAMS; stream++) {
            size_t size = make_line(line, i + stream);
            int64_t time_ns = START + (int64_t)i * SECOND * SPAN_S / LINES + stream;
            add(time_ns, stream, slice_of(line, size), below(3) > 0);
            if (i % 50 == 0)
                add(time_ns, stream, slice_of(line, size), false); /* equal, or of other metadata */
        }
    }
}

/* Late lines make chunks that overlap others. */
static void add_late(void)
{
    char line[LINE_MAX];
    for (uint32_t i = 0; i < 20; i++) {
        size_t size = make_line(line, i);
        add(START + (int64_t)below(SPAN_S) * SECOND, below(2), slice_of(line, size), false);
    }
}

/* ---- queries ------------------------------------------------------------------------------- */

#define ONE(list) ((list)[below(COUNT_OF(list))])

static void make_filter(struct buffer *out)
{
    static const char *const filters[] = {" |= \"request handled\"",
                                          " |= \"Connection pool\"",
                                          " |~ \"(?i)CONNECTION POOL\"",
                                          " |~ \"(?i)kelvin\"",
                                          " |~ \"(?i)MESSAGE\"",
                                          " |= \"caf\xC3\xA9\"",
                                          " |= \"nowhere to be found\"",
                                          " |~ \"rare (thing|word)\"",
                                          " |= \"rare thing\" or \"red alert\"",
                                          " != \"request\"",
                                          " !~ \"level=(info|warn)\"",
                                          " |~ \"user=u[0-9]+ took=2[0-9]{3}ms\"",
                                          " |= \"HTTP/1.1\"",
                                          " |~ \"exhausted|[Hh]andled\"",
                                          " |= \"000000070000000900000001\"",
                                          " |= \"\"",
                                          " != \"rare thing\"",
                                          " |> \"<_>level=<_>\"",
                                          " |= \"unpacked warn\"",
                                          " |~ \"^10\\\\.0\\\\.\"",
                                          (" |~ \"\xC5\xBF"
                                           "age\"")};
    for (uint32_t i = below(3); i > 0; i--)
        buffer_append_slice(out, slice_from_text(ONE(filters)));
}

static void make_stages(struct buffer *out)
{
    static const char *const stages[] = {
        " | logfmt",
        " | json",
        " | json | __error__=\"\"",
        " | logfmt | level=\"error\"",
        " | logfmt level",
        " | pattern `<ip> - - [<_>] \"<method> <path>?<_>\" <status> <size>`",
        " | regexp `level=(?P<level>\\w+)`",
        " | unpack",
        " | decolorize",
        " | decolorize |= \"red alert\"",
        " | line_format \"{{.level}} now\" |= \"now\"",
        " | unpack |= \"unpacked error\"",
        " | json | drop user_id",
        " | logfmt | keep level, pod",
        " | detected_level=\"info\"",
        " | label_format l=pod",
        " | logfmt --strict",
        " | json level, who=\"user.id\""};
    for (uint32_t i = below(3); i > 0; i--)
        buffer_append_slice(out, slice_from_text(ONE(stages)));
}

static void make_selector(struct buffer *out)
{
    static const char *const selectors[] = {"{app=\"a\"}", "{app=~\".+\"}", "{pod=\"3\"}",
                                            "{app=\"b\", pod!=\"2\"}"};
    buffer_append_slice(out, slice_from_text(ONE(selectors)));
    make_filter(out);
    make_stages(out);
    if (below(4) == 0)
        make_filter(out);
}

static void make_query(struct buffer *out)
{
    static const char *const counts[] = {"count_over_time", "rate", "bytes_over_time", "bytes_rate",
                                         "absent_over_time"};
    static const char *const values[] = {"sum_over_time",   "avg_over_time",    "max_over_time",
                                         "first_over_time", "stddev_over_time", "rate"};
    static const char *const outer[] = {"sum by (level)(",    "sum(",
                                        "max by (pod)(",      "",
                                        "topk(3, ",           "sum by (level, detected_level)(",
                                        "sum without (pod)(", "count("};
    static const char *const ranges[] = {"[1m]", "[5m]", "[7s]", "[20m]"};
    buffer_clear(out);
    if (below(3) == 0) {
        make_selector(out);
        return;
    }
    const char *around = ONE(outer);
    bool unwrapped = below(4) == 0;
    buffer_append_slice(out, slice_from_text(around));
    buffer_append_slice(out, slice_from_text(unwrapped ? ONE(values) : ONE(counts)));
    buffer_append_slice(out, SLICE("("));
    make_selector(out);
    if (unwrapped)
        buffer_append_slice(out, SLICE(" | logfmt | unwrap duration(took) | __error__=\"\""));
    buffer_append_slice(out, slice_from_text(ONE(ranges)));
    buffer_append_slice(out, SLICE(")"));
    if (around[0] != '\0')
        buffer_append_slice(out, SLICE(")"));
}

/* ---- answers --------------------------------------------------------------------------------- */

static void put(struct buffer *out, const void *bytes, size_t size)
{
    buffer_append_slice(out, slice_of(bytes, size));
}

static void write_streams(const struct query_result *result, struct buffer *out)
{
    for (size_t i = 0; i < result->stream_count; i++) {
        const struct query_stream *stream = &result->streams[i];
        labels_append_text(out, stream->labels);
        for (size_t k = 0; k < stream->count; k++) {
            const struct query_entry *entry = &stream->entries[k];
            put(out, &entry->time_ns, sizeof(entry->time_ns));
            buffer_append_slice(out, entry->line);
            labels_append_text(out, entry->metadata);
            labels_append_text(out, entry->parsed);
        }
    }
}

static void write_answer(const struct query_result *result, struct buffer *out)
{
    write_streams(result, out);
    for (size_t i = 0; i < result->series_count; i++) {
        const struct query_series *series = &result->series[i];
        labels_append_text(out, series->labels);
        for (size_t k = 0; k < series->count; k++) {
            put(out, &series->points[k].time_ns, sizeof(int64_t));
            put(out, &series->points[k].value, sizeof(double));
        }
    }
}

static void ask(int s, struct slice text, uint64_t form, bool help, struct buffer *out)
{
    struct error err = {0};
    bool log = text.data[0] == '{';
    struct query_request request = {.language = QUERY_LOGQL,
                                    .text = text,
                                    .tenant = SLICE("default"),
                                    .start_ns = START + (int64_t)(form % 5) * 100 * SECOND,
                                    .end_ns =
                                        START + SPAN_S * SECOND - (int64_t)(form % 3) * 77 * SECOND,
                                    .step_ns = (int64_t)(1 + form % 90) * SECOND,
                                    .forward = form % 2,
                                    .limit = log ? (form % 7) * 13 : 0};
    if (help) {
        request.helpers = helpers;
        request.threads = 4;
        request.helpers_from = 1;
    }
    buffer_clear(out);
    struct query_result *result = query_run(stores[s], &request, &err);
    if (result)
        write_answer(result, out);
    else
        buffer_append_slice(out, slice_from_text(err.message));
    query_result_free(result);
}

struct asked {
    char *text;
    uint64_t form;
    char *answer;
    size_t size;
};

/* All ways to ask agree, with each other and with the answer of before. */
static void ask_all_ways(struct asked *q)
{
    struct buffer answer;
    buffer_init(&answer, 64 << 20);
    struct slice text = slice_from_text(q->text);
    for (int way = 0; way < 4; way++) {
        ask(way / 2, text, q->form, way % 2, &answer);
        if (q->answer == NULL) {
            q->answer = xmemdup(answer.size ? answer.data : "", answer.size);
            q->size = answer.size;
        }
        if (answer.size != q->size || (q->size > 0 && memcmp(answer.data, q->answer, q->size) != 0))
            fail_msg("way %d differs: %s (form %ju): %zu bytes against %zu", way, q->text,
                     (uintmax_t)q->form, answer.size, q->size);
    }
    buffer_done(&answer);
}

static void ask_everything(struct asked *list)
{
    for (unsigned long i = 0; i < queries; i++)
        ask_all_ways(&list[i]);
}

static void forget(struct asked *list)
{
    for (unsigned long i = 0; i < queries; i++) {
        free(list[i].answer);
        list[i].answer = NULL;
    }
}

static void answers_are_the_same_however_they_are_found(void **state)
{
    (void)state;
    struct error err = {0};
    struct buffer text;
    struct asked *list = xcalloc(queries, sizeof(*list));
    buffer_init(&text, QUERY_MAX * 4);
    for (unsigned long i = 0; i < queries; i++) {
        make_query(&text);
        buffer_append_byte(&text, 0);
        list[i].text = xmemdup(text.data, text.size);
        list[i].form = below(100000);
    }
    add_lines();
    ask_everything(list); /* in the head */
    for (int s = 0; s < STORES; s++)
        assert_true(store_seal(stores[s], &err));
    ask_everything(list); /* sealed: the same answers */
    add_late();
    forget(list);
    ask_everything(list);
    for (int s = 0; s < STORES; s++)
        assert_true(store_seal(stores[s], &err));
    ask_everything(list); /* overlapping chunks */
    for (int s = 0; s < STORES; s++)
        assert_true(store_close_days(stores[s], START + 10 * 86400 * SECOND, &err));
    ask_everything(list); /* merged */
    forget(list);
    for (unsigned long i = 0; i < queries; i++)
        free(list[i].text);
    free(list);
    buffer_done(&text);
}

static int open_all(void **state)
{
    (void)state;
    struct error err = {0};
    helpers = pool_new("help", 3, 64, &err);
    for (int s = 0; s < STORES; s++) {
        if (mkdtemp(directories[s]) == NULL)
            return -1;
        struct store_options options = {.directory = directories[s],
                                        .ack = STORE_ACK_PROCESS,
                                        .retention_ns = -1,
                                        .out_of_order_ns = {-1, -1},
                                        .future_ns = -1,
                                        .past_ns = {-1, -1},
                                        .seal_interval_ns = -1,
                                        .no_skip_index = s == 1};
        stores[s] = store_open(&options, &err);
        if (stores[s] == NULL)
            return -1;
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static int close_all(void **state)
{
    (void)state;
    pool_free(helpers);
    for (int s = 0; s < STORES; s++) {
        store_abandon(stores[s]);
        nftw(directories[s], remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_the_same_however_they_are_found),
    };
    if (argc > 1)
        queries = strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, open_all, close_all);
}
