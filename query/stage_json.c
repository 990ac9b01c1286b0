/*
 * stage_json.c - | json (all fields), | json a="path" and | unpack.
 *
 * Loki's reader is forgiving: it finds values by their brackets and quotes, does
 * not look behind the object's end, and keeps the labels it found before an
 * error.  This scanner has the same manners, so the strict reader of base/ does
 * not serve here.  Names and values are slices of the line unless they hold
 * escapes.
 */
#include "query/json_scan.h"

#include "base/arena.h"
#include "base/error.h"
#include "query/pipeline_stage.h"

enum { JSON_DEPTH_MAX = 128, JSON_NAME_MAX = 4096 };

struct json_walk {
    struct pipeline_run *run;
    char prefix[JSON_NAME_MAX]; /* names of the objects around, joined by '_' */
    size_t prefix_size;
    size_t depth;
    bool enough; /* all labels that are needed were found */
};

static void fail_line(struct pipeline_run *run, const char *details)
{
    log_labels_fail(&run->labels, ERROR_JSON, slice_from_text(details));
}

static bool walk_object(struct json_walk *walk, struct slice text);

/* The full name of field `key`: false when it has none or is too long. */
static bool full_name(struct json_walk *walk, struct slice key, struct slice *name)
{
    struct arena *scratch = walk->run->scratch;
    struct slice part = label_name_sanitise(key, walk->prefix_size == 0, scratch);
    if (walk->depth == 0) {
        *name = part;
        return part.size > 0;
    }
    if (part.size == 0 || walk->prefix_size == 0) {
        *name =
            part.size == 0 ? arena_copy(scratch, slice_of(walk->prefix, walk->prefix_size)) : part;
        return true;
    }
    if (walk->prefix_size + 1 + part.size > JSON_NAME_MAX)
        return false;
    char *text = arena_alloc(scratch, walk->prefix_size + 1 + part.size);
    if (text == NULL)
        return false;
    memcpy(text, walk->prefix, walk->prefix_size);
    text[walk->prefix_size] = '_';
    memcpy(text + walk->prefix_size + 1, part.data, part.size);
    *name = slice_of(text, walk->prefix_size + 1 + part.size);
    return true;
}

static void store_value(struct json_walk *walk, struct slice key, const struct json_value *value)
{
    struct pipeline_run *run = walk->run;
    struct slice name;
    if (walk->depth == 0 || walk->prefix_size > 0) {
        struct slice prefix = slice_of(walk->prefix, walk->prefix_size);
        if (!run_may_want(run, prefix, key))
            return;
    }
    if (!full_name(walk, key, &name))
        return;
    name = log_labels_parsed_name(&run->labels, name, run->scratch);
    if (!run_wants(run, name))
        return;
    struct slice text = value->text;
    if (value->type == JSON_SCAN_STRING)
        text = value_sanitise(json_scan_unescape(text, run->scratch), run->scratch);
    if (run_extract(run, name, text))
        walk->enough = true;
}

static bool walk_nested(struct json_walk *walk, struct slice key, struct slice text)
{
    size_t before = walk->prefix_size;
    struct slice part = label_name_sanitise(key, before == 0, walk->run->scratch);
    size_t joint = before > 0 && part.size > 0 ? 1 : 0;
    if (before + joint + part.size > JSON_NAME_MAX || walk->depth + 1 >= JSON_DEPTH_MAX)
        return true; /* deeper than any label: left out */
    if (joint)
        walk->prefix[before] = '_';
    if (part.size > 0)
        memcpy(walk->prefix + before + joint, part.data, part.size);
    walk->prefix_size = before + joint + part.size;
    walk->depth++;
    bool ok = walk_object(walk, text);
    walk->depth--;
    walk->prefix_size = before;
    return ok;
}

/* False when the text is not an object that can be read to its end. */
static bool walk_object(struct json_walk *walk, struct slice text)
{
    struct json_scan scan;
    struct slice key;
    struct json_value value;
    const char *problem = json_scan_object(&scan, text);
    while (problem == NULL && json_scan_next(&scan, walk->run->scratch, &key, &value, &problem)) {
        if (value.type == JSON_SCAN_OBJECT) {
            if (!walk_nested(walk, key, value.text))
                return false;
        } else if (value.type == JSON_SCAN_STRING || value.type == JSON_SCAN_NUMBER ||
                   value.type == JSON_SCAN_BOOLEAN) {
            store_value(walk, key, &value);
        }
        if (walk->enough)
            return true;
    }
    if (problem)
        fail_line(walk->run, problem);
    return problem == NULL;
}

static int parse_json(const struct stage *stage, struct pipeline_run *run)
{
    (void)stage;
    if (run_wants_nothing(run))
        return 1;
    struct json_walk walk;
    walk.run = run;
    walk.prefix_size = walk.depth = 0;
    walk.enough = false;
    walk_object(&walk, run->line);
    return 1;
}

bool stage_json(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    (void)spec;
    (void)err;
    log_program_add(p, parse_json, NULL);
    return true;
}

/* ---- | json a="path" ------------------------------------------------------ */

struct json_paths {
    struct slice *names;
    struct json_path *paths;
    size_t count;
};

static void store_path(struct pipeline_run *run, struct slice name, const struct json_value *value)
{
    name = log_labels_parsed_name(&run->labels, name, run->scratch);
    struct slice text = value->text;
    if (value->type == JSON_SCAN_NULL)
        text = (struct slice){NULL, 0};
    else if (value->type != JSON_SCAN_OBJECT)
        text = value_sanitise(json_scan_unescape(text, run->scratch), run->scratch);
    log_labels_extract(&run->labels, name, text);
}

static int parse_paths(const struct stage *stage, struct pipeline_run *run)
{
    const struct json_paths *paths = stage->state;
    if (run->line.size == 0 || run_wants_nothing(run))
        return 1;
    char first = run->line.data[0];
    if (first != '"' && first != '{' && first != '[') {
        log_labels_fail(&run->labels, ERROR_JSON, (struct slice){NULL, 0});
        return 1;
    }
    for (size_t i = 0; i < paths->count; i++) {
        struct json_value value;
        if (json_path_find(&paths->paths[i], run->line, run->scratch, &value))
            store_path(run, paths->names[i], &value);
        else if (log_labels_find(&run->labels, paths->names[i]) == NULL)
            log_labels_extract(&run->labels, paths->names[i], (struct slice){NULL, 0});
    }
    return 1;
}

bool stage_json_paths(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    struct json_paths *paths = arena_calloc(p->arena, 1, sizeof(*paths));
    struct slice *names = arena_calloc(p->arena, spec->assignment_count, sizeof(*names));
    struct json_path *items = arena_calloc(p->arena, spec->assignment_count, sizeof(*items));
    if (paths == NULL || names == NULL || items == NULL)
        return arena_check(p->arena, "a log pipeline", err);
    for (size_t i = 0; i < spec->assignment_count; i++) {
        names[i] = spec->assignments[i].name;
        if (!json_path_parse(&items[i], spec->assignments[i].value, p->arena, err))
            return error_prefix(err, "cannot parse expression [%.*s]",
                                SLICE_ARG(slice_sub(spec->assignments[i].value, 0, 100)));
    }
    *paths = (struct json_paths){names, items, spec->assignment_count};
    log_program_add(p, parse_paths, paths);
    return true;
}

/* ---- | unpack ---------------------------------------------------------------- */

static const char not_an_object[] = "expecting json object(6), but it is not";

static void store_packed(struct pipeline_run *run, struct slice key, struct slice text)
{
    struct slice name = label_name_sanitise(key, true, run->scratch);
    name = log_labels_parsed_name(&run->labels, name, run->scratch);
    if (name.size > 0 && run_wants(run, name))
        run_extract(run, name, text);
}

static int parse_packed(const struct stage *stage, struct pipeline_run *run)
{
    (void)stage;
    struct slice line = run->line;
    if (line.size == 0)
        return 1;
    if (line.data[0] != '{') {
        fail_line(run, not_an_object);
        return 1;
    }
    struct json_scan scan;
    struct slice key;
    struct json_value value;
    struct slice entry = {NULL, 0};
    bool packed = false;
    const char *problem = json_scan_object(&scan, line);
    while (problem == NULL && json_scan_next(&scan, run->scratch, &key, &value, &problem)) {
        if (value.type != JSON_SCAN_STRING || !slice_equal(key, SLICE("_entry")))
            continue;
        entry = json_scan_unescape(value.text, run->scratch);
        packed = true;
    }
    if (problem) {
        fail_line(run, problem);
        return 1;
    }
    if (!packed)
        return 1; /* not packed by an agent */
    problem = json_scan_object(&scan, line);
    while (problem == NULL && json_scan_next(&scan, run->scratch, &key, &value, &problem)) {
        if (value.type == JSON_SCAN_STRING && !slice_equal(key, SLICE("_entry")))
            store_packed(run, key, json_scan_unescape(value.text, run->scratch));
    }
    run->line = entry;
    return 1;
}

bool stage_unpack(struct log_program *p, const struct log_stage *spec, struct error *err)
{
    (void)spec;
    (void)err;
    log_program_add(p, parse_packed, NULL);
    return true;
}
