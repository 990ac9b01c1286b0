/*
 * loki_fields.c - /loki/api/v1/detected_fields and detected_field/NAME/values.
 *
 * The fields of a sample: the newest `line_limit` lines that the query gives.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/json_writer.h"
#include "query/detect_fields.h"
#include "server/api.h"
#include "server/options.h"
#include "server/parameters.h"
#include "server/query_call.h"

enum { LINES_PRESET = 100, FIELDS_PRESET = 1000, FIELDS_MAX = 100000 };

/* A sample of lines; `limit` is how many fields or values are asked for. */
static struct query_result *read_sample(struct call *call, uint64_t *limit, struct error *err)
{
    struct slice text = form_get(&call->form, SLICE("query"));
    struct query_request request = query_call_request(call, QUERY_LOGQL, text);
    int64_t range_ns[2];
    uint64_t lines;
    bool is_log = false;
    if (!form_range_loki(&call->form, call->now_ns, range_ns, err) ||
        !form_count(&call->form, "line_limit", LINES_PRESET, &lines, err) ||
        !form_count(&call->form, "field_limit", FIELDS_PRESET, limit, err) ||
        !form_count(&call->form, "limit", *limit, limit, err) ||
        !query_check(QUERY_LOGQL, text, request.features, &is_log, err))
        return NULL;
    if (!is_log)
        return error_null(err, ERR_INVALID, "only log selector is supported");
    if (range_ns[1] <= range_ns[0])
        return error_null(err, ERR_INVALID,
                          "end timestamp must not be before or equal to start time");
    uint64_t lines_max = call->server->options->query_log_entries;
    request.start_ns = range_ns[0];
    request.end_ns = range_ns[1];
    request.limit = (size_t)(lines == 0 ? LINES_PRESET : lines < lines_max ? lines : lines_max);
    if (*limit == 0)
        *limit = FIELDS_PRESET;
    else if (*limit > FIELDS_MAX)
        *limit = FIELDS_MAX;
    return query_call_run(call, &request, err);
}

static void write_list(struct json_writer *w, const char *key, const struct slice *items,
                       size_t count)
{
    json_write_key(w, slice_from_text(key));
    json_write_array_begin(w);
    for (size_t i = 0; i < count; i++)
        json_write_string(w, items[i]);
    json_write_array_end(w);
}

static void write_field(struct json_writer *w, const struct detected_field *field)
{
    struct slice parsers[2];
    size_t count = 0;
    if (field->parsers & FIELD_JSON)
        parsers[count++] = SLICE("json");
    if (field->parsers & FIELD_LOGFMT)
        parsers[count++] = SLICE("logfmt");
    json_write_object_begin(w);
    json_write_key(w, SLICE("label"));
    json_write_string(w, field->name);
    json_write_key(w, SLICE("type"));
    json_write_string(w, slice_from_text(field_type_name(field->type)));
    json_write_key(w, SLICE("cardinality"));
    json_write_u64(w, field->value_count);
    if (count > 0) {
        write_list(w, "parsers", parsers, count);
    } else {
        json_write_key(w, SLICE("parsers"));
        json_write_null(w);
    }
    if (field->path_count > 0)
        write_list(w, "jsonPath", field->json_path, field->path_count);
    json_write_object_end(w);
}

static void write_fields(struct call *call, const struct detected_fields *fields, uint64_t limit)
{
    struct json_writer w;
    json_writer_init(&w, call_body(call));
    json_write_object_begin(&w);
    json_write_key(&w, SLICE("fields"));
    json_write_array_begin(&w);
    for (size_t i = 0; i < fields->count && i < limit; i++)
        write_field(&w, &fields->items[i]);
    json_write_array_end(&w);
    json_write_key(&w, SLICE("limit"));
    json_write_u64(&w, limit);
    json_write_object_end(&w);
    call_answer_json(call);
}

static void write_values(struct call *call, const struct detected_fields *fields, uint64_t limit)
{
    struct json_writer w;
    const struct slice *values = NULL;
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        if (slice_equal(fields->items[i].name, call->name)) {
            values = fields->items[i].values;
            count = fields->items[i].value_count;
        }
    }
    json_writer_init(&w, call_body(call));
    json_write_object_begin(&w);
    write_list(&w, "values", values, count < limit ? count : (size_t)limit);
    json_write_key(&w, SLICE("limit"));
    json_write_u64(&w, limit);
    json_write_object_end(&w);
    call_answer_json(call);
}

static void run_fields(struct call *call,
                       void (*write)(struct call *call, const struct detected_fields *fields,
                                     uint64_t limit),
                       bool all)
{
    struct error err = {0};
    struct detected_fields fields;
    uint64_t limit;
    struct query_result *result = read_sample(call, &limit, &err);
    if (result &&
        detect_fields(result, all ? FIELDS_MAX : (size_t)limit, call->arena, &fields, &err))
        write(call, &fields, limit);
    else
        call_fail(call, &err);
    query_result_free(result);
}

void loki_detected_fields(struct call *call)
{
    run_fields(call, write_fields, false);
}

void loki_detected_field_values(struct call *call)
{
    run_fields(call, write_values, true);
}
