/*
 * json_scan.h - a forgiving JSON scanner for log lines.
 *
 * It delivers the members of one object without checking what it skips: nested
 * values are found by counting brackets outside of strings, numbers end at the
 * next delimiter, and nothing behind the object's end is read.  That is how
 * Loki reads JSON lines, and labels depend on it.  Every step moves forward, so
 * a line costs at most its size times its depth.
 */
#ifndef QUERY_JSON_SCAN_H
#define QUERY_JSON_SCAN_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;

enum json_scan_type {
    JSON_SCAN_STRING,
    JSON_SCAN_NUMBER,
    JSON_SCAN_BOOLEAN,
    JSON_SCAN_NULL,
    JSON_SCAN_OBJECT,
    JSON_SCAN_ARRAY
};

struct json_value {
    enum json_scan_type type;
    struct slice text; /* strings: between the quotes, escapes as written; else as written */
};

struct json_scan {
    struct slice text;
    size_t at;
    bool array, started, done;
};

/* Start on an object or array; NULL, or what is wrong. */
const char *json_scan_object(struct json_scan *scan, struct slice text);
const char *json_scan_array(struct json_scan *scan, struct slice text);

/*
 * The next member: false at the end, or when `*problem` says what is wrong.  Keys are
 * unescaped (in `scratch` when they have escapes); arrays leave `key` alone.
 */
bool json_scan_next(struct json_scan *scan, struct arena *scratch, struct slice *key,
                    struct json_value *value, const char **problem);

/* `text` with its escapes decoded; itself when it has none; empty when they are malformed. */
struct slice json_scan_unescape(struct slice text, struct arena *scratch);

/* A path such as a.b["c"][0]. */
struct json_step {
    bool is_index;
    struct slice field;
    size_t index;
};

struct json_path {
    struct json_step *steps;
    size_t count;
};

bool json_path_parse(struct json_path *path, struct slice text, struct arena *arena,
                     struct error *err);

/* The value at `path` in `line`; false when there is none. */
bool json_path_find(const struct json_path *path, struct slice line, struct arena *scratch,
                    struct json_value *value);

#endif
