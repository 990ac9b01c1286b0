/*
 * loki_patterns.c - /loki/api/v1/patterns: what the lines of the selected streams look like.
 *
 * Patterns are mined when they are asked for, from the stored lines, newest
 * first in each stream.  Mining stops after MINE_SECONDS_MAX: what was found by
 * then is the answer, since many lines look like few.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/json_writer.h"
#include "query/pattern_miner.h"
#include "server/answer.h"
#include "server/api.h"
#include "server/log_level.h"
#include "server/parameters.h"
#include "server/query_call.h"
#include "storage/store.h"

enum { MINE_SECONDS_MAX = 5, STEP_SECONDS_MIN = 10, STEPS_MAX = 11000 };

struct mining {
    struct call *call;
    struct pattern_miner *miner;
    int64_t range_ns[2], step_ns, first_ns, deadline_ns;
    size_t steps;
    struct error *err;
};

static bool out_of_time(const struct mining *m)
{
    return clock_monotonic_ns() > m->deadline_ns;
}

static bool read_parameters(struct mining *m, struct selectors *selectors)
{
    struct call *call = m->call;
    if (!form_range_loki(&call->form, call->now_ns, m->range_ns, m->err) ||
        !selectors_read(call, QUERY_LOGQL, "query", selectors, m->err))
        return false;
    if (m->range_ns[1] <= m->range_ns[0])
        return error_set(m->err, ERR_INVALID,
                         "end timestamp must not be before or equal to start time");
    int64_t length_ns = ns_sub(m->range_ns[1], m->range_ns[0]);
    if (!form_duration(&call->form, "step", step_preset_loki(length_ns), &m->step_ns, m->err))
        return false;
    if (m->step_ns < STEP_SECONDS_MIN * NS_PER_SECOND)
        m->step_ns = STEP_SECONDS_MIN * NS_PER_SECOND;
    if (!check_resolution(m->range_ns[0], m->range_ns[1], m->step_ns, STEPS_MAX, "time series",
                          "Try increasing the value of the step parameter", m->err))
        return false;
    int64_t past_ns = m->range_ns[0] % m->step_ns;
    m->first_ns = ns_sub(m->range_ns[0], past_ns < 0 ? past_ns + m->step_ns : past_ns);
    m->steps = (size_t)(ns_sub(m->range_ns[1], m->first_ns) / m->step_ns) + 1;
    return true;
}

static bool mine_stream(struct mining *m, struct cursor_reader *reader, size_t number)
{
    struct entry_block block;
    struct entry_stream *stream = entry_stream_open(reader, number, m->err);
    bool ok = stream != NULL;
    while ((ok = ok && entry_stream_next(stream, &block, m->err)) && block.count > 0 &&
           !out_of_time(m))
        for (size_t i = 0; i < block.count; i++)
            pattern_miner_add(m->miner, block.times_ns[i],
                              labels_get(block.metadata[i], DETECTED_LEVEL), block.lines[i]);
    entry_stream_close(stream);
    return ok;
}

static bool mine_selector(struct mining *m, const struct selector *selector)
{
    struct cursor_request request = {
        .tenant = m->call->tenant,
        .kind = STORE_LOG,
        .matchers = selector->matchers,
        .matcher_count = selector->count,
        .start_ns = m->range_ns[0],
        .end_ns = m->range_ns[1] - 1,
        .backward = true,
        .projection = CURSOR_TIMES | CURSOR_LINES | CURSOR_METADATA,
        .series_max = m->call->server->limits.series_max,
        .memory_max = m->call->server->limits.memory_max,
        .cancel = &m->call->request->cancel,
    };
    struct cursor *cursor = cursor_open(m->call->server->store, &request, m->err);
    if (!cursor)
        return false;
    struct cursor_reader *reader = cursor_reader_new(cursor);
    bool ok = true;
    for (size_t i = 0; ok && i < cursor_series_count(cursor) && !out_of_time(m); i++)
        ok = mine_stream(m, reader, i);
    cursor_reader_free(reader);
    cursor_close(cursor);
    return ok;
}

static void write_samples(const struct mining *m, const uint32_t *samples, struct json_writer *w)
{
    json_write_key(w, SLICE("samples"));
    json_write_array_begin(w);
    for (size_t i = 0; i < m->steps; i++) {
        if (samples[i] == 0)
            continue;
        json_write_array_begin(w);
        json_write_i64(w, (m->first_ns + (int64_t)i * m->step_ns) / NS_PER_SECOND);
        json_write_u64(w, samples[i]);
        json_write_array_end(w);
    }
    json_write_array_end(w);
}

static void answer_patterns(struct mining *m)
{
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 64 * 1024);
    struct json_writer w;
    call_json_begin(m->call, &w);
    json_write_array_begin(&w);
    size_t count = pattern_miner_finish(m->miner);
    for (size_t i = 0; i < count; i++) {
        buffer_clear(&text);
        pattern_append_text(m->miner, i, &text);
        json_write_object_begin(&w);
        json_write_key(&w, SLICE("pattern"));
        json_write_string(&w, buffer_slice(&text));
        if (pattern_level(m->miner, i).size > 0) {
            json_write_key(&w, SLICE("level"));
            json_write_string(&w, pattern_level(m->miner, i));
        }
        write_samples(m, pattern_samples(m->miner, i), &w);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    call_json_end(m->call, &w);
}

void loki_patterns(struct call *call)
{
    struct error err = {0};
    struct selectors selectors = {0};
    struct mining m = {.call = call,
                       .err = &err,
                       .deadline_ns = clock_monotonic_ns() + MINE_SECONDS_MAX * NS_PER_SECOND};
    static const struct selector all = {0};
    bool ok = read_parameters(&m, &selectors);
    if (ok) {
        m.miner = pattern_miner_new(m.first_ns, m.step_ns, m.steps);
        if (selectors.count == 0)
            ok = mine_selector(&m, &all);
        for (size_t i = 0; ok && i < selectors.count; i++)
            ok = mine_selector(&m, &selectors.items[i]);
    }
    if (ok)
        answer_patterns(&m);
    else
        call_fail(call, &err);
    pattern_miner_free(m.miner);
    selectors_done(&selectors);
}
