/*
 * prometheus_names.c - /api/v1/labels, label values, series and metadata.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/json_writer.h"
#include "base/utf8.h"
#include "server/answer.h"
#include "server/api.h"
#include "server/parameters.h"
#include "server/query_call.h"
#include "storage/store.h"

/* What the three name endpoints share. */
struct names_call {
    struct selectors selectors;
    int64_t range_ns[2];
    uint64_t limit;
};

static bool read_names_call(struct call *call, struct names_call *n, struct error *err)
{
    *n = (struct names_call){0};
    return form_count(&call->form, "limit", 0, &n->limit, err) &&
           form_time_prometheus(&call->form, "start", INT64_MIN, &n->range_ns[0], err) &&
           form_time_prometheus(&call->form, "end", INT64_MAX, &n->range_ns[1], err) &&
           selectors_read(call, QUERY_PROMQL, "match[]", &n->selectors, err);
}

static void end_answer(struct call *call, bool truncated)
{
    struct buffer *out = call_body(call);
    size_t damaged = store_damage_count(call->damage), count = 0;
    struct slice warnings[STORE_DAMAGE_MAX + 1];
    if (truncated)
        warnings[count++] = SLICE("results truncated due to limit");
    for (size_t i = 0; i < damaged; i++)
        warnings[count++] = arena_printf(call->arena, "damaged data was left out: %s",
                                         store_damage_text(call->damage, i));
    if (count > 0) {
        buffer_append_text(out, ",\"warnings\":");
        answer_texts(out, warnings, count);
    }
    buffer_append_byte(out, '}');
    call_answer_json(call);
}

static void answer_names(struct call *call, struct slice label)
{
    struct error err = {0};
    struct names_call n;
    struct name_list names;
    bool ok =
        read_names_call(call, &n, &err) && names_read(call, QUERY_PROMQL, &n.selectors, label,
                                                      n.range_ns, (size_t)n.limit, &names, &err);
    selectors_done(&n.selectors);
    if (!ok) {
        call_fail(call, &err);
        return;
    }
    buffer_append_text(call_body(call), "{\"status\":\"success\",\"data\":");
    answer_texts(call_body(call), names.items, names.count);
    end_answer(call, names.truncated);
}

void prometheus_labels(struct call *call)
{
    answer_names(call, SLICE(""));
}

/*
 * Names that are not classic travel as U__ and then _ for itself doubled and
 * _hex_ for every other character.  What does not decode is taken as it stands.
 */
static struct slice unescape_name(struct call *call, struct slice name)
{
    if (!slice_starts_with(name, SLICE("U__")))
        return name;
    struct slice rest = slice_skip(name, 3);
    char *out = arena_alloc(call->arena, rest.size * UTF8_SIZE_MAX + 1);
    size_t size = 0;
    for (size_t i = 0; out && i < rest.size; i++) {
        if (rest.data[i] != '_') {
            out[size++] = rest.data[i];
            continue;
        }
        uint32_t code = 0;
        size_t digits = 0;
        for (i++; i < rest.size && rest.data[i] != '_' && digits < 6; i++, digits++) {
            char c = rest.data[i];
            uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                             : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                             : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                    : 16;
            if (digit == 16)
                return name;
            code = code * 16 + digit;
        }
        if (i == rest.size || rest.data[i] != '_' || code > 0x10FFFF)
            return name;
        size += digits == 0 ? (out[size] = '_', (size_t)1) : utf8_encode(out + size, code);
    }
    return out ? slice_of(out, size) : name;
}

void prometheus_label_values(struct call *call)
{
    struct slice name = unescape_name(call, call->name);
    if (!utf8_is_valid(name)) {
        call_fail_text(call, ERR_INVALID, "invalid label name: not valid UTF-8");
        return;
    }
    answer_names(call, name);
}

void prometheus_series(struct call *call)
{
    struct error err = {0};
    struct names_call n;
    bool truncated = false;
    bool ok = read_names_call(call, &n, &err);
    if (ok && n.selectors.count == 0)
        ok = error_set(&err, ERR_INVALID, "no match[] parameter provided");
    buffer_append_text(call_body(call), "{\"status\":\"success\",\"data\":");
    ok = ok && series_append(call, QUERY_PROMQL, &n.selectors, n.range_ns, (size_t)n.limit,
                             call_body(call), &truncated, &err);
    selectors_done(&n.selectors);
    if (ok)
        end_answer(call, truncated);
    else
        call_fail(call, &err);
}

/* ---- metadata --------------------------------------------------------- */

static void write_metadata(struct json_writer *w, const struct metric_metadata *item)
{
    json_write_object_begin(w);
    json_write_key(w, SLICE("type"));
    json_write_string(w, item->type.size ? item->type : SLICE("unknown"));
    json_write_key(w, SLICE("help"));
    json_write_string(w, item->help);
    json_write_key(w, SLICE("unit"));
    json_write_string(w, item->unit);
    json_write_object_end(w);
}

void prometheus_metadata(struct call *call)
{
    struct error err = {0};
    uint64_t limit, per_metric;
    struct metric_metadata *items;
    size_t count;
    if (!form_count(&call->form, "limit", 0, &limit, &err) ||
        !form_count(&call->form, "limit_per_metric", 0, &per_metric, &err) ||
        !store_metadata(call->server->store, call->tenant, form_get(&call->form, SLICE("metric")),
                        call->arena, &items, &count, &err)) {
        call_fail(call, &err);
        return;
    }
    struct json_writer w;
    call_json_begin(call, &w);
    json_write_object_begin(&w);
    uint64_t families = 0;
    for (size_t i = 0, next; i < count && (limit == 0 || families < limit); i = next, families++) {
        json_write_key(&w, items[i].family);
        json_write_array_begin(&w);
        for (next = i; next < count && slice_equal(items[next].family, items[i].family); next++)
            if (per_metric == 0 || next - i < per_metric)
                write_metadata(&w, &items[next]);
        json_write_array_end(&w);
    }
    json_write_object_end(&w);
    call_json_end(call, &w);
}
