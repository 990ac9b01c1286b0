/*
 * detect_fields.c - see detect_fields.h.
 *
 * Fields and values are found again through hash tables of (field) and (field,
 * value); a field's names come from the pipeline's own stages, so they are the
 * labels that a query would see, with their "_extracted".
 */
#include "query/detect_fields.h"

#include "base/arena.h"
#include "base/byte_size.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/number.h"
#include "base/table.h"
#include "query/json_scan.h"
#include "query/pipeline_stage.h"

enum { LINE_MEMORY_MAX = 16 << 20, PATH_DEPTH_MAX = 16 };

struct value_place {
    uint32_t field, value;
};

struct detector {
    struct arena *arena;
    struct detected_fields *fields;
    size_t field_max;
    struct table names;  /* of fields->items */
    struct table values; /* of `places` */
    struct value_place *places;
    size_t place_count, place_capacity;
};

/* ---- types --------------------------------------------------------------------- */

static bool fits(enum field_type type, struct slice text)
{
    int64_t whole;
    uint64_t bytes;
    double number;
    switch (type) {
    case FIELD_INT:
        return slice_parse_i64(text, &whole);
    case FIELD_FLOAT:
        return slice_parse_double(text, false, &number);
    case FIELD_BOOLEAN:
        return slice_equal(text, SLICE("true")) || slice_equal(text, SLICE("false"));
    case FIELD_DURATION:
        return duration_parse_go(text, &whole);
    case FIELD_BYTES:
        return byte_size_parse(text, &bytes);
    case FIELD_STRING:
        return true;
    }
    return true;
}

static enum field_type type_of(struct slice text)
{
    enum field_type type = FIELD_INT;
    while (!fits(type, text))
        type++;
    return type;
}

/* Whole numbers are numbers with a fraction, too; any other mixture is text. */
static enum field_type common_type(enum field_type a, enum field_type b)
{
    if (a == b)
        return a;
    return a <= FIELD_FLOAT && b <= FIELD_FLOAT ? FIELD_FLOAT : FIELD_STRING;
}

const char *field_type_name(enum field_type type)
{
    static const char *const names[] = {"int", "float", "boolean", "duration", "bytes", "string"};
    return names[type];
}

/* ---- fields and values --------------------------------------------------------- */

static bool field_equal(const void *items, uint32_t index, const void *key)
{
    const struct detected_field *fields = items;
    return slice_equal(fields[index].name, *(const struct slice *)key);
}

struct value_key {
    const struct detector *detector;
    uint32_t field;
    struct slice value;
};

static bool value_equal(const void *items, uint32_t index, const void *key)
{
    const struct value_place *place = (const struct value_place *)items + index;
    const struct value_key *k = key;
    return place->field == k->field &&
           slice_equal(k->detector->fields->items[place->field].values[place->value], k->value);
}

static uint64_t hash_of(struct slice text, uint64_t salt)
{
    return hash64(text.data, text.size, hash_seed() + salt);
}

/* UINT32_MAX: over the limit of fields, or out of memory. */
static uint32_t find_field(struct detector *d, struct slice name, bool add)
{
    struct detected_fields *fields = d->fields;
    uint64_t hash = hash_of(name, 0);
    uint32_t at = table_find(&d->names, hash, field_equal, fields->items, &name);
    if (at != TABLE_NONE || !add || fields->count >= d->field_max)
        return at;
    struct detected_field *grown = arena_grow(d->arena, fields->items, fields->count,
                                              &fields->capacity, fields->count + 1, sizeof(*grown));
    if (grown == NULL)
        return UINT32_MAX;
    fields->items = grown;
    at = (uint32_t)fields->count++;
    grown[at] = (struct detected_field){.name = arena_copy(d->arena, name)};
    table_insert(&d->names, hash, at);
    return at;
}

static void add_value(struct detector *d, uint32_t number, struct slice value)
{
    struct detected_field *field = &d->fields->items[number];
    struct value_key key = {d, number, value};
    uint64_t hash = hash_of(value, number + 1);
    if (table_find(&d->values, hash, value_equal, d->places, &key) != TABLE_NONE)
        return;
    struct slice *values =
        arena_grow(d->arena, field->values, field->value_count, &field->value_capacity,
                   field->value_count + 1, sizeof(*values));
    struct value_place *places = arena_grow(d->arena, d->places, d->place_count, &d->place_capacity,
                                            d->place_count + 1, sizeof(*places));
    if (places)
        d->places = places;
    if (values)
        field->values = values;
    if (!places || !values)
        return;
    enum field_type type = type_of(value);
    field->type = field->value_count == 0 ? type : common_type(field->type, type);
    places[d->place_count] = (struct value_place){number, (uint32_t)field->value_count};
    values[field->value_count++] = arena_copy(d->arena, value);
    table_insert(&d->values, hash, (uint32_t)d->place_count++);
}

static void add_labels(struct detector *d, struct labels labels, unsigned parser)
{
    for (size_t i = 0; i < labels.count; i++) {
        struct slice name = labels.items[i].name;
        if (labels.items[i].value.size == 0 || slice_starts_with(name, SLICE("__error")))
            continue;
        uint32_t at = find_field(d, name, true);
        if (at == UINT32_MAX)
            continue;
        d->fields->items[at].parsers |= parser;
        add_value(d, at, labels.items[i].value);
    }
}

/* ---- lines ---------------------------------------------------------------------- */

struct path {
    struct slice keys[PATH_DEPTH_MAX];
    size_t depth;
};

static void remember_path(struct detector *d, const struct path *path, struct arena *scratch)
{
    struct slice name = {NULL, 0};
    for (size_t i = 0; i < path->depth; i++) {
        struct slice key = label_name_sanitise(path->keys[i], i == 0, scratch);
        name = i == 0 ? key : arena_printf(scratch, "%.*s_%.*s", SLICE_ARG(name), SLICE_ARG(key));
    }
    uint32_t at = find_field(d, name, false);
    if (at == TABLE_NONE || d->fields->items[at].json_path)
        return;
    struct slice *keys = arena_calloc(d->arena, path->depth, sizeof(*keys));
    for (size_t i = 0; keys && i < path->depth; i++)
        keys[i] = arena_copy(d->arena, path->keys[i]);
    d->fields->items[at].json_path = keys;
    d->fields->items[at].path_count = keys ? path->depth : 0;
}

/* Recursion ends at PATH_DEPTH_MAX. */
static void walk_json(struct detector *d, struct slice text, struct path *path,
                      struct arena *scratch)
{
    struct json_scan scan;
    struct json_value value;
    const char *problem = NULL;
    if (path->depth == PATH_DEPTH_MAX || json_scan_object(&scan, text) != NULL)
        return;
    size_t here = path->depth++;
    while (json_scan_next(&scan, scratch, &path->keys[here], &value, &problem)) {
        if (value.type == JSON_SCAN_OBJECT)
            walk_json(d, value.text, path, scratch);
        else
            remember_path(d, path, scratch);
    }
    path->depth = here;
}

static bool has_error(const struct pipeline_run *run)
{
    return run->labels.error.size > 0;
}

static bool detect_in_line(struct detector *d, struct pipeline_run *runs[2],
                           const struct query_stream *stream, const struct query_entry *entry,
                           struct error *err)
{
    struct slice line = slice_trim(entry->line);
    bool json = line.size > 0 && line.data[0] == '{';
    for (int i = json ? 0 : 1; i < 2; i++) {
        pipeline_run_stream(runs[i], stream->stream);
        int kept = pipeline_run_entry(runs[i], entry->time_ns, entry->line, entry->metadata, err);
        if (kept < 0)
            return false;
        if (i == 0 && has_error(runs[i]))
            continue; /* no JSON after all */
        struct labels parsed = log_labels_of(&runs[i]->labels, CATEGORY_PARSED, runs[i]->scratch);
        add_labels(d, parsed, i == 0 ? FIELD_JSON : FIELD_LOGFMT);
        if (i == 0)
            walk_json(d, line, &(struct path){.depth = 0}, runs[i]->scratch);
        break;
    }
    return true;
}

static bool detect_all(struct detector *d, const struct query_result *result,
                       struct pipeline_run *runs[2], struct error *err)
{
    for (size_t i = 0; i < result->stream_count; i++) {
        const struct query_stream *stream = &result->streams[i];
        for (size_t j = 0; j < stream->count; j++) {
            add_labels(d, stream->entries[j].metadata, 0);
            add_labels(d, stream->entries[j].parsed, 0);
            if (!detect_in_line(d, runs, stream, &stream->entries[j], err) ||
                !arena_check(d->arena, "the detected fields", err))
                return false;
        }
    }
    return true;
}

bool detect_fields(const struct query_result *result, size_t field_max, struct arena *arena,
                   struct detected_fields *fields, struct error *err)
{
    const struct log_stage stages[2] = {{.kind = LOG_JSON, .source = SLICE("| json")},
                                        {.kind = LOG_LOGFMT, .source = SLICE("| logfmt")}};
    struct pipeline pipelines[2] = {{.stages = &stages[0], .count = 1},
                                    {.stages = &stages[1], .count = 1}};
    struct log_program *programs[2] = {NULL, NULL};
    struct pipeline_run *runs[2] = {NULL, NULL};
    *fields = (struct detected_fields){0};
    struct detector d = {.arena = arena, .fields = fields, .field_max = field_max};
    bool ok = true;
    for (int i = 0; ok && i < 2; i++) {
        programs[i] = log_program_new(&pipelines[i], NULL, err);
        ok = programs[i] != NULL;
        if (ok)
            runs[i] = pipeline_run_new(programs[i], LINE_MEMORY_MAX);
    }
    ok = ok && detect_all(&d, result, runs, err);
    for (int i = 0; i < 2; i++) {
        pipeline_run_free(runs[i]);
        log_program_free(programs[i]);
    }
    table_done(&d.names);
    table_done(&d.values);
    return ok;
}
