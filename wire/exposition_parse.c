/*
 * exposition_parse.c - reading Prometheus' text format 0.0.4 (see exposition.h).
 *
 *     # HELP http_requests_total Requests.
 *     # TYPE http_requests_total counter
 *     http_requests_total{code="200",path="/"} 1027 1395066363000
 *     {"dotted.name",code="200"} 3
 *
 * OpenMetrics differs in its times (seconds with a fraction), the exemplar behind
 * a sample, more types, UNIT lines and the "# EOF" at the end.
 *
 * One line is one step.  Escaped values are decoded into a buffer that has room
 * for the whole line, so that they do not move while the line is read.
 */
#include "wire/exposition.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/number.h"
#include "wire/ingest.h"

#include <math.h>

struct parser {
    struct slice line;
    size_t at;
    size_t number; /* of the line, from 1 */
    struct buffer decoded;
    const struct exposition_handler *handler;
    struct openmetrics *open; /* NULL: the text format */
    struct error *err;
    size_t count;
    struct label labels[INGEST_LABELS_MAX];
};

static bool fail(struct parser *p, const char *what)
{
    return error_set(p->err, ERR_INVALID, "line %zu, byte %zu: %s", p->number, p->at, what);
}

static bool at_byte(const struct parser *p, char byte)
{
    return p->at < p->line.size && p->line.data[p->at] == byte;
}

static bool at_blank(const struct parser *p)
{
    return at_byte(p, ' ') || at_byte(p, '\t');
}

static void skip_blanks(struct parser *p)
{
    while (at_blank(p))
        p->at++;
}

/* Everything up to the next blank. */
static struct slice take_word(struct parser *p)
{
    size_t begin = p->at;
    while (p->at < p->line.size && !at_blank(p))
        p->at++;
    return slice_sub(p->line, begin, p->at - begin);
}

static struct slice take_name(struct parser *p, bool colon)
{
    size_t begin = p->at;
    for (; p->at < p->line.size; p->at++) {
        char c = p->line.data[p->at];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(c >= '0' && c <= '9' && p->at > begin) && !(colon && c == ':'))
            break;
    }
    return slice_sub(p->line, begin, p->at - begin);
}

static void append_decoded(struct parser *p, char escape)
{
    if (escape == 'n') {
        buffer_append_byte(&p->decoded, '\n');
        return;
    }
    if (escape != '\\' && escape != '"')
        buffer_append_byte(&p->decoded, '\\'); /* an unknown escape stands for itself */
    buffer_append_byte(&p->decoded, escape);
}

/* A quoted text; the opening quote is at `at`. */
static bool take_quoted(struct parser *p, struct slice *text)
{
    size_t begin = ++p->at, from = p->decoded.size;
    bool escaped = false;

    while (p->at < p->line.size && p->line.data[p->at] != '"') {
        char c = p->line.data[p->at++];
        if (c == '\\') {
            if (p->at >= p->line.size)
                break;
            if (!escaped)
                buffer_append(&p->decoded, p->line.data + begin, p->at - 1 - begin);
            escaped = true;
            append_decoded(p, p->line.data[p->at++]);
        } else if (escaped) {
            buffer_append_byte(&p->decoded, c);
        }
    }
    if (!at_byte(p, '"'))
        return fail(p, "a quoted text has no end");
    *text = escaped ? slice_of(p->decoded.data + from, p->decoded.size - from)
                    : slice_sub(p->line, begin, p->at - begin);
    p->at++;
    return true;
}

static bool add_label(struct parser *p, struct slice name, struct slice value)
{
    if (p->count == INGEST_LABELS_MAX)
        return fail(p, "too many labels");
    p->labels[p->count++] = (struct label){name, value};
    return true;
}

/* The metric's name goes first, wherever it was written. */
static bool set_metric(struct parser *p, struct slice name)
{
    if (p->labels[0].value.size > 0)
        return fail(p, "a second metric name");
    if (name.size == 0)
        return fail(p, "the metric name is empty");
    p->labels[0].value = name;
    return true;
}

/* name="value", or "quoted name" alone, which is the metric's. */
static bool take_label(struct parser *p)
{
    struct slice name, value;
    bool quoted = at_byte(p, '"');

    if (quoted && !take_quoted(p, &name))
        return false;
    if (!quoted)
        name = take_name(p, false);
    if (name.size == 0)
        return fail(p, "expected a label name");
    skip_blanks(p);
    if (quoted && !at_byte(p, '='))
        return set_metric(p, name);
    if (!at_byte(p, '='))
        return fail(p, "expected \"=\" behind a label name");
    p->at++;
    skip_blanks(p);
    if (!at_byte(p, '"'))
        return fail(p, "expected a quoted label value");
    return take_quoted(p, &value) && add_label(p, name, value);
}

static bool take_labels(struct parser *p)
{
    p->at++;
    for (;;) {
        skip_blanks(p);
        if (at_byte(p, '}'))
            break;
        if (!take_label(p))
            return false;
        skip_blanks(p);
        if (at_byte(p, ','))
            p->at++;
        else if (!at_byte(p, '}'))
            return fail(p, "expected \",\" or \"}\"");
    }
    p->at++;
    return true;
}

/* Seconds, rounded to whole milliseconds; behind them at most an exemplar. */
static bool take_seconds(struct parser *p, int64_t *time_ms)
{
    double seconds;
    if (!slice_parse_double(take_word(p), false, &seconds) || !(fabs(seconds) < 9e15))
        return fail(p, "a sample without a time in seconds");
    *time_ms = llround(seconds * 1000);
    skip_blanks(p);
    return p->at == p->line.size || at_byte(p, '#') ||
           fail(p, "expected an exemplar or nothing behind the time");
}

static bool take_time(struct parser *p, int64_t *time_ms, bool *timed)
{
    if (p->open != NULL)
        return *timed = true, take_seconds(p, time_ms);
    *timed = p->at < p->line.size;
    if (!*timed)
        return true;
    bool ok = slice_parse_i64(take_word(p), time_ms);
    skip_blanks(p);
    return (ok && p->at == p->line.size) ||
           fail(p, "expected a time in milliseconds and nothing more");
}

static bool parse_sample(struct parser *p)
{
    double value;
    int64_t time_ms;
    bool timed;

    p->count = 1;
    p->labels[0] = (struct label){LABEL_NAME_METRIC, {NULL, 0}};
    struct slice name = take_name(p, true);
    if (name.size > 0 && !set_metric(p, name))
        return false;
    skip_blanks(p);
    if (at_byte(p, '{') && !take_labels(p))
        return false;
    if (p->labels[0].value.size == 0)
        return fail(p, "expected a metric name");
    skip_blanks(p);
    if (!slice_parse_double(take_word(p), false, &value))
        return fail(p, "the value is no number");
    skip_blanks(p);
    if (!take_time(p, &time_ms, &timed))
        return false;
    return p->handler->sample(p->handler->context, p->labels, p->count, value,
                              timed ? &time_ms : NULL);
}

static const char *const types[] = {"counter",        "gauge", "histogram", "summary", "untyped",
                                    "gaugehistogram", "info",  "stateset",  "unknown"};
enum { TEXT_TYPES = 5 }; /* the first ones; OpenMetrics has all */

static bool type_is_known(const struct parser *p, struct slice type)
{
    for (size_t i = 0; i < (p->open ? COUNT_OF(types) : TEXT_TYPES); i++)
        if (slice_equal(type, slice_from_text(types[i])))
            return true;
    return false;
}

/* The rest of a HELP line with its escapes. */
static struct slice decode_help(struct parser *p)
{
    size_t from = p->decoded.size;
    for (; p->at < p->line.size; p->at++) {
        char c = p->line.data[p->at];
        if (c == '\\' && p->at + 1 < p->line.size)
            append_decoded(p, p->line.data[++p->at]);
        else
            buffer_append_byte(&p->decoded, c);
    }
    return slice_of(p->decoded.data + from, p->decoded.size - from);
}

static bool give_metadata(struct parser *p, struct slice kind, struct slice name, struct slice text)
{
    struct slice nothing = {NULL, 0};
    const struct exposition_handler *h = p->handler;
    if (slice_equal(kind, SLICE("UNIT")))
        return h->unit == NULL || h->unit(h->context, name, text);
    if (h->metadata == NULL)
        return true;
    bool help = slice_equal(kind, SLICE("HELP"));
    return h->metadata(h->context, name, help ? nothing : text, help ? text : nothing);
}

/* HELP, TYPE and UNIT; any other comment is none of ours. */
static bool parse_comment(struct parser *p)
{
    p->at++;
    skip_blanks(p);
    struct slice kind = take_word(p);
    bool type = slice_equal(kind, SLICE("TYPE"));
    if (p->open != NULL && slice_equal(kind, SLICE("EOF"))) {
        p->open->ended = true;
        return true;
    }
    if (!type && !slice_equal(kind, SLICE("HELP")) &&
        !(p->open != NULL && slice_equal(kind, SLICE("UNIT"))))
        return true;
    skip_blanks(p);
    struct slice name = {NULL, 0};
    if (!at_byte(p, '"'))
        name = take_name(p, true);
    else if (!take_quoted(p, &name))
        return false;
    if (name.size == 0 || (p->at < p->line.size && !at_blank(p)))
        return fail(p, "expected a metric name");
    skip_blanks(p);
    struct slice text = slice_skip(p->line, p->at);
    if (text.data == NULL)
        text = SLICE("");
    if (type)
        text = slice_trim(text);
    if (type && !type_is_known(p, text))
        return fail(p, "unknown type");
    if (!type && slice_find_byte(text, '\\', 0) != SLICE_NOT_FOUND)
        text = decode_help(p);
    return give_metadata(p, kind, name, text);
}

static bool parse_line(struct parser *p)
{
    p->at = 0;
    buffer_clear(&p->decoded);
    skip_blanks(p);
    if (p->at >= p->line.size)
        return true;
    if (buffer_reserve(&p->decoded, p->line.size) == NULL)
        return error_set(p->err, ERR_UNAVAILABLE, "no memory for a line of %zu bytes",
                         p->line.size);
    return at_byte(p, '#') ? parse_comment(p) : parse_sample(p);
}

static bool parse_text(struct slice text, struct openmetrics *open,
                       const struct exposition_handler *handler, struct error *err)
{
    struct parser p;
    bool ok = true;

    p.handler = handler;
    p.open = open;
    p.err = err;
    p.number = open ? open->lines : 0;
    buffer_init(&p.decoded, text.size);
    while (ok && slice_split(&text, '\n', &p.line)) {
        p.number++;
        if (p.line.size > 0 && p.line.data[p.line.size - 1] == '\r')
            p.line.size--;
        p.at = 0;
        if (open && open->ended)
            ok = p.line.size == 0 || fail(&p, "text behind \"# EOF\"");
        else
            ok = parse_line(&p);
    }
    if (open)
        open->lines = p.number;
    buffer_done(&p.decoded);
    return ok;
}

bool exposition_parse(struct slice text, const struct exposition_handler *handler,
                      struct error *err)
{
    return parse_text(text, NULL, handler, err);
}

bool openmetrics_parse(struct openmetrics *state, struct slice text,
                       const struct exposition_handler *handler, struct error *err)
{
    return parse_text(text, state, handler, err);
}
