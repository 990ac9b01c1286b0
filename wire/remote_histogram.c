/*
 * remote_histogram.c - reading the message Histogram (see remote_histogram.h).
 *
 * A first pass counts what the repeated fields hold, so that the second can
 * write into arrays of the right size.  Repeated numbers may come packed or one by one.
 */
#include "wire/remote_histogram.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "wire/protobuf.h"

enum {
    COUNT_INT = 1,
    COUNT_FLOAT = 2,
    SUM = 3,
    SCHEMA = 4,
    ZERO_THRESHOLD = 5,
    ZERO_COUNT_INT = 6,
    ZERO_COUNT_FLOAT = 7,
    NEGATIVE_SPANS = 8,
    NEGATIVE_DELTAS = 9,
    NEGATIVE_COUNTS = 10,
    POSITIVE_SPANS = 11,
    POSITIVE_DELTAS = 12,
    POSITIVE_COUNTS = 13,
    RESET_HINT = 14,
    TIMESTAMP = 15,
    CUSTOM_VALUES = 16,
    START_TIMESTAMP = 17,
    FIELDS = 18,
    SPAN_OFFSET = 1,
    SPAN_LENGTH = 2,
    SCHEMA_MAX_KNOWN = 52
};

/* How a field is written: one value, or a list of numbers or messages. */
enum form { FORM_OTHER, FORM_VARINT, FORM_DOUBLE, FORM_SPANS, FORM_DELTAS, FORM_DOUBLES };

static const enum form forms[FIELDS] = {
    [COUNT_INT] = FORM_VARINT,
    [COUNT_FLOAT] = FORM_DOUBLE,
    [SUM] = FORM_DOUBLE,
    [SCHEMA] = FORM_VARINT,
    [ZERO_THRESHOLD] = FORM_DOUBLE,
    [ZERO_COUNT_INT] = FORM_VARINT,
    [ZERO_COUNT_FLOAT] = FORM_DOUBLE,
    [NEGATIVE_SPANS] = FORM_SPANS,
    [NEGATIVE_DELTAS] = FORM_DELTAS,
    [NEGATIVE_COUNTS] = FORM_DOUBLES,
    [POSITIVE_SPANS] = FORM_SPANS,
    [POSITIVE_DELTAS] = FORM_DELTAS,
    [POSITIVE_COUNTS] = FORM_DOUBLES,
    [RESET_HINT] = FORM_VARINT,
    [TIMESTAMP] = FORM_VARINT,
    [CUSTOM_VALUES] = FORM_DOUBLES,
    [START_TIMESTAMP] = FORM_VARINT,
};

/* The lists of a message by field number: how many items they have, and where they go. */
struct lists {
    size_t counts[FIELDS], filled[FIELDS];
    struct histogram_span *spans[FIELDS];
    double *numbers[FIELDS];
    uint64_t level[FIELDS]; /* of deltas: the count so far */
};

static bool has_form(struct proto_cursor *c, const struct proto_field *field)
{
    switch (forms[field->number]) {
    case FORM_VARINT:
        return proto_expect(c, field, PROTO_VARINT);
    case FORM_DOUBLE:
        return proto_expect(c, field, PROTO_FIXED64);
    case FORM_SPANS:
        return proto_expect(c, field, PROTO_BYTES);
    case FORM_DELTAS:
        return field->type == PROTO_VARINT || proto_expect(c, field, PROTO_BYTES);
    case FORM_DOUBLES:
        if (field->type == PROTO_BYTES && field->bytes.size % sizeof(double) != 0)
            return proto_fail(c, field->begin, "a list of doubles has a broken size");
        return field->type == PROTO_FIXED64 || proto_expect(c, field, PROTO_BYTES);
    case FORM_OTHER:
        break;
    }
    return true;
}

/* Items of one occurrence of a list; each packed varint ends with a byte below 128. */
static size_t items_in(const struct proto_field *field)
{
    if (field->type != PROTO_BYTES || forms[field->number] == FORM_SPANS)
        return 1;
    if (forms[field->number] == FORM_DOUBLES)
        return field->bytes.size / sizeof(double);
    size_t count = 0;
    for (size_t i = 0; i < field->bytes.size; i++)
        count += (uint8_t)field->bytes.data[i] < 0x80;
    return count;
}

static bool count_lists(struct proto_cursor *in, struct lists *lists)
{
    struct proto_field field;
    while (proto_next(in, &field)) {
        if (field.number >= FIELDS)
            continue;
        if (!has_form(in, &field))
            return false;
        if (forms[field.number] >= FORM_SPANS)
            lists->counts[field.number] += items_in(&field);
    }
    return in->problem == NULL;
}

/* Arrays for all lists; false with ERR_INVALID over the limit. */
static bool make_lists(struct lists *lists, struct arena *arena, struct error *reason)
{
    for (uint32_t i = 0; i < FIELDS; i++) {
        size_t count = lists->counts[i];
        if (count > HISTOGRAM_BUCKETS_MAX)
            return error_set(reason, ERR_INVALID,
                             "a histogram has %zu spans, buckets or bounds, the limit is %d", count,
                             HISTOGRAM_BUCKETS_MAX);
        if (count == 0)
            continue;
        if (forms[i] == FORM_SPANS)
            lists->spans[i] = arena_calloc(arena, count, sizeof(*lists->spans[i]));
        else
            lists->numbers[i] = arena_calloc(arena, count, sizeof(*lists->numbers[i]));
        if (lists->spans[i] == NULL && lists->numbers[i] == NULL)
            return error_set(reason, ERR_INVALID, "a histogram is too large");
    }
    return true;
}

static bool read_span(struct proto_cursor *outer, struct slice message, struct histogram_span *span)
{
    struct proto_cursor in = proto_cursor_inside(outer, message);
    struct proto_field field;
    while (proto_next(&in, &field)) {
        if (field.number > SPAN_LENGTH)
            continue;
        if (!proto_expect(&in, &field, PROTO_VARINT))
            break;
        if (field.number == SPAN_OFFSET)
            span->offset = (int32_t)zigzag_decode((uint32_t)field.value);
        else
            span->length = (uint32_t)field.value;
    }
    return in.problem == NULL || proto_lift(outer, &in);
}

static void add_delta(struct lists *lists, uint32_t number, uint64_t zigzag)
{
    lists->level[number] += (uint64_t)zigzag_decode(zigzag);
    lists->numbers[number][lists->filled[number]++] = (double)(int64_t)lists->level[number];
}

static bool read_deltas(struct proto_cursor *outer, const struct proto_field *field,
                        struct lists *lists)
{
    if (field->type == PROTO_VARINT) {
        add_delta(lists, field->number, field->value);
        return true;
    }
    struct proto_cursor in = proto_cursor_inside(outer, field->bytes);
    uint64_t value;
    while (in.at < in.end) {
        if (!proto_varint(&in, &value))
            return proto_lift(outer, &in);
        add_delta(lists, field->number, value);
    }
    return true;
}

static void read_doubles(const struct proto_field *field, struct lists *lists)
{
    double *numbers = lists->numbers[field->number];
    size_t *at = &lists->filled[field->number];
    if (field->type == PROTO_FIXED64) {
        numbers[(*at)++] = double_from_bits(field->value);
        return;
    }
    for (size_t i = 0; i < field->bytes.size; i += sizeof(double))
        numbers[(*at)++] = double_from_bits(bytes_get64(field->bytes.data + i));
}

static bool read_list(struct proto_cursor *in, const struct proto_field *field, struct lists *lists)
{
    switch (forms[field->number]) {
    case FORM_SPANS:
        return read_span(in, field->bytes,
                         &lists->spans[field->number][lists->filled[field->number]++]);
    case FORM_DELTAS:
        return read_deltas(in, field, lists);
    default:
        read_doubles(field, lists);
        return true;
    }
}

static void read_scalar(const struct proto_field *field, struct remote_histogram *out)
{
    struct histogram *h = &out->histogram;
    double number = double_from_bits(field->value);
    switch (field->number) {
    case COUNT_INT:
    case COUNT_FLOAT: /* of the two the last one counts */
        h->integer = field->number == COUNT_INT;
        h->count = h->integer ? (double)field->value : number;
        break;
    case SUM:
        h->sum = number;
        break;
    case SCHEMA:
        h->schema = (int32_t)zigzag_decode((uint32_t)field->value);
        break;
    case ZERO_THRESHOLD:
        h->zero_threshold = number;
        break;
    case ZERO_COUNT_INT:
        h->zero_count = (double)field->value;
        break;
    case ZERO_COUNT_FLOAT:
        h->zero_count = number;
        break;
    case RESET_HINT:
        h->hint = field->value <= HISTOGRAM_GAUGE ? (enum counter_reset_hint)field->value
                                                  : HISTOGRAM_RESET_UNKNOWN;
        break;
    case TIMESTAMP:
        out->time_ms = (int64_t)field->value;
        break;
    case START_TIMESTAMP:
        out->start_ms = (int64_t)field->value;
        break;
    default:
        break;
    }
}

static struct histogram_side side_of(const struct lists *lists, uint32_t spans, uint32_t buckets)
{
    return (struct histogram_side){lists->spans[spans], lists->filled[spans],
                                   lists->numbers[buckets], lists->filled[buckets]};
}

static void put_together(struct histogram *h, const struct lists *lists)
{
    h->positive = side_of(lists, POSITIVE_SPANS, h->integer ? POSITIVE_DELTAS : POSITIVE_COUNTS);
    h->negative = side_of(lists, NEGATIVE_SPANS, h->integer ? NEGATIVE_DELTAS : NEGATIVE_COUNTS);
    h->custom = lists->numbers[CUSTOM_VALUES];
    h->custom_count = lists->filled[CUSTOM_VALUES];
}

bool remote_histogram_read(struct proto_cursor *outer, struct slice message, struct arena *arena,
                           struct remote_histogram *out, struct error *reason)
{
    struct lists lists = {0};
    struct proto_field field;
    struct proto_cursor in = proto_cursor_inside(outer, message);
    *out = (struct remote_histogram){.histogram = {.integer = true}};
    arena_reset(arena);
    if (!count_lists(&in, &lists))
        return proto_lift(outer, &in);
    if (!make_lists(&lists, arena, reason))
        return true;
    in = proto_cursor_inside(outer, message);
    while (proto_next(&in, &field)) {
        if (field.number >= FIELDS)
            continue;
        if (forms[field.number] < FORM_SPANS)
            read_scalar(&field, out);
        else if (!read_list(&in, &field, &lists))
            return proto_lift(outer, &in);
    }
    struct histogram *h = &out->histogram;
    put_together(h, &lists);
    if (h->schema > HISTOGRAM_SCHEMA_MAX && h->schema <= SCHEMA_MAX_KNOWN &&
        histogram_check_shape(h, reason) && !histogram_coarsen(arena, h, HISTOGRAM_SCHEMA_MAX))
        error_set(reason, ERR_INVALID, "a histogram is too large");
    return true;
}
