/*
 * detect_fields.h - which fields the lines of a log query have, and of what type.
 *
 * Each entry's structured metadata and parsed labels are fields; beside them its
 * line is read as JSON or, when it is no JSON object, as logfmt, by the stages of
 * the same names.
 */
#ifndef QUERY_DETECT_FIELDS_H
#define QUERY_DETECT_FIELDS_H

#include "base/compiler.h"
#include "base/slice.h"
#include "query/query.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;

/* From the narrowest on: a field has the first type that all of its values fit. */
enum field_type {
    FIELD_INT,
    FIELD_FLOAT,
    FIELD_BOOLEAN,
    FIELD_DURATION,
    FIELD_BYTES,
    FIELD_STRING
};

enum field_parser { FIELD_JSON = 1, FIELD_LOGFMT = 2 };

struct detected_field {
    struct slice name;
    enum field_type type;
    unsigned parsers;     /* bits of enum field_parser; 0: no parser is needed */
    struct slice *values; /* each once, in the order of their coming */
    size_t value_count, value_capacity;
    struct slice *json_path; /* the keys that lead to it, unless it is no JSON */
    size_t path_count;
};

struct detected_fields {
    struct detected_field *items; /* in the order of their coming */
    size_t count, capacity;
};

/*
 * At most `field_max` fields of the streams of `result`, with memory from `arena`.
 * Texts may point into the result.  Fails when the arena is exhausted.
 */
bool detect_fields(const struct query_result *result, size_t field_max, struct arena *arena,
                   struct detected_fields *fields, struct error *err) MUST_CHECK;

/* "string", "int", "float", "boolean", "duration", "bytes". */
const char *field_type_name(enum field_type type);

#endif
