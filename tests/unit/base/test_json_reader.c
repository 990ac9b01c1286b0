/* test_json_reader.c - the JSON reader alone, and against jansson on random documents. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/json_reader.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/number.h"

/* jansson has constants of the same names */
#define JSON_STRING JANSSON_STRING
#define JSON_TRUE   JANSSON_TRUE
#define JSON_FALSE  JANSSON_FALSE
#define JSON_NULL   JANSSON_NULL
#include <jansson.h>
#undef JSON_STRING
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The events of `text` as one letter each, "!offset" at an error. */
static void events_of(struct json_reader *r, char *out, size_t size)
{
    static const char letters[] = "$!{}[]KSNTF0";
    size_t at = 0;
    for (;;) {
        enum json_event event = json_next(r);
        assert_true(at + 32 < size);
        out[at++] = letters[event];
        if (event == JSON_ERROR)
            at += (size_t)snprintf(out + at, size - at, "%zu", r->start);
        if (event == JSON_END || event == JSON_ERROR)
            break;
    }
    out[at] = '\0';
}

static void check_events(const char *text, const char *expected)
{
    struct json_reader r;
    char got[512];
    json_reader_init(&r, slice_from_text(text), JSON_UTF8_REPLACE);
    events_of(&r, got, sizeof(got));
    if (strcmp(got, expected) != 0)
        fail_msg("%s gives %s, expected %s", text, got, expected);
}

static void gives_the_events_of_documents(void **state)
{
    (void)state;
    check_events("{}", "{}$");
    check_events(" [ ] ", "[]$");
    check_events("{\"a\":1,\"b\":[true,false,null,\"x\"]}", "{KNK[TF0S]}$");
    check_events("\n{ \"a\" : { \"a\" : -0.5e+3 } , \"a\" : 0 }\t", "{K{KN}KN}$");
    check_events("12", "N$");
    check_events("\"\"", "S$");
}

static void names_the_offset_of_each_error(void **state)
{
    (void)state;
    check_events("", "!0");
    check_events("   ", "!3");
    check_events("{", "{!1");
    check_events("[1", "[N!2");
    check_events("[1,", "[N!3");
    check_events("[1,]", "[N!3");
    check_events("[1 2]", "[N!3");
    check_events("{\"a\" 1}", "{!5");
    check_events("{a:1}", "{!1");
    check_events("{\"a\":1,}", "{KN!7");
    check_events("{\"a\":}", "{K!5");
    check_events("[}", "[!1");
    check_events("{]", "{!1");
    check_events("1 1", "N!2");
    check_events("{} x", "{}!3");
    check_events("tru", "!3");
    check_events("nul0", "!3");
    check_events("01", "!1");
    check_events("-", "!1");
    check_events("1.", "!2");
    check_events("1.e1", "!2");
    check_events("1e", "!2");
    check_events("1e+", "!3");
    check_events("+1", "!0");
    check_events(".5", "!0");
    check_events("NaN", "!0");
    check_events("\"abc", "!4");
    check_events("\"a\\q\"", "!2");
    check_events("\"a\\u12g4\"", "!2");
    check_events("\"a\\u12", "!2");
    check_events("\"a\\", "!2");
    check_events("\"0123456789\n\"", "!11");
    check_events("'a'", "!0");
}

static void stays_at_an_error(void **state)
{
    (void)state;
    struct json_reader r;
    struct error err = {0};
    json_reader_init(&r, SLICE("{\"a\":1,\"b\":x}"), JSON_UTF8_REPLACE);
    assert_int_equal(json_next(&r), JSON_OBJECT_BEGIN);
    assert_int_equal(json_next(&r), JSON_KEY);
    assert_int_equal(json_next(&r), JSON_NUMBER);
    assert_true(slice_equal(r.value, SLICE("1"))); /* what came before is usable */
    assert_int_equal(json_next(&r), JSON_KEY);
    assert_int_equal(json_next(&r), JSON_ERROR);
    assert_int_equal(json_next(&r), JSON_ERROR);
    assert_false(json_fail(&r, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_int_equal(err.position, 12);
    assert_string_equal(err.message, "invalid JSON at byte 11: expected a value");
}

static void refuses_a_document_nested_too_deep(void **state)
{
    (void)state;
    char text[JSON_DEPTH_MAX + 8];
    memset(text, '[', sizeof(text));
    struct json_reader r;
    json_reader_init(&r, slice_of(text, sizeof(text)), JSON_UTF8_REPLACE);
    r.depth_max = 3;
    for (int i = 0; i < 3; i++)
        assert_int_equal(json_next(&r), JSON_ARRAY_BEGIN);
    assert_int_equal(json_next(&r), JSON_ERROR);
    assert_int_equal(r.start, 3);

    json_reader_init(&r, slice_of(text, sizeof(text)), JSON_UTF8_REPLACE);
    r.depth_max = UINT32_MAX; /* the hard limit stays */
    while (json_next(&r) == JSON_ARRAY_BEGIN)
        continue;
    assert_int_equal(r.start, JSON_DEPTH_MAX);
}

static void check_text(const char *json, size_t size, enum json_utf8 utf8, struct slice expected)
{
    struct arena *arena = arena_new(4096);
    struct json_reader r;
    struct slice got;
    json_reader_init(&r, slice_of(json, size), utf8);
    assert_int_equal(json_next(&r), JSON_STRING);
    assert_true(json_text(&r, arena, &got, NULL));
    if (!slice_equal(got, expected))
        fail_msg("%s gives %.*s", json, SLICE_ARG(got));
    if (utf8 == JSON_UTF8_KEEP)
        assert_true(json_is(&r, expected));
    arena_free(arena);
}

#define CHECK_TEXT(json, utf8, expected) check_text(json, sizeof(json) - 1, utf8, SLICE(expected))

static void decodes_escapes(void **state)
{
    (void)state;
    CHECK_TEXT("\"plain\"", JSON_UTF8_KEEP, "plain");
    CHECK_TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", JSON_UTF8_KEEP, "\"\\/\b\f\n\r\t");
    CHECK_TEXT("\"\\u0041\\u00e9\\u20AC\\u0000\"", JSON_UTF8_KEEP, "A\xc3\xa9\xe2\x82\xac\0");
    CHECK_TEXT("\"\\ud83d\\ude00\"", JSON_UTF8_KEEP, "\xf0\x9f\x98\x80");
    CHECK_TEXT("\"\\ud83d\"", JSON_UTF8_KEEP, "\xef\xbf\xbd");
    CHECK_TEXT("\"\\ude00x\"", JSON_UTF8_KEEP, "\xef\xbf\xbdx");
    CHECK_TEXT("\"\\ud83d\\u0041\"", JSON_UTF8_KEEP,
               "\xef\xbf\xbd"
               "A");
    CHECK_TEXT("\"\\ud83d\\ud83d\\ude00\"", JSON_UTF8_KEEP, "\xef\xbf\xbd\xf0\x9f\x98\x80");
}

static void treats_invalid_utf8_as_it_is_told(void **state)
{
    (void)state;
    CHECK_TEXT("\"a\xff"
               "b\"",
               JSON_UTF8_REPLACE,
               "a\xef\xbf\xbd"
               "b");
    CHECK_TEXT("\"\\n\xe2\x82\"", JSON_UTF8_REPLACE, "\n\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_TEXT("\"\xe2\x82\xac\"", JSON_UTF8_REPLACE, "\xe2\x82\xac");
    CHECK_TEXT("\"a\xff\"", JSON_UTF8_KEEP, "a\xff");
    CHECK_TEXT("\"\\t\xff\"", JSON_UTF8_KEEP, "\t\xff");

    struct json_reader r;
    json_reader_init(&r, SLICE("\"a\xc3\xa9\xff\""), JSON_UTF8_REFUSE);
    assert_int_equal(json_next(&r), JSON_ERROR);
    assert_int_equal(r.start, 4);
}

static void accepts_control_characters_only_on_request(void **state)
{
    (void)state;
    struct json_reader r;
    json_reader_init(&r, SLICE("[\"a\tb\",\"c\"]"), JSON_UTF8_REPLACE);
    r.control_characters = true;
    assert_int_equal(json_next(&r), JSON_ARRAY_BEGIN);
    assert_int_equal(json_next(&r), JSON_STRING);
    assert_true(slice_equal(r.value, SLICE("a\tb")));
}

static void copies_nothing_when_nothing_is_escaped(void **state)
{
    (void)state;
    const char *text = "\"just text\"";
    struct json_reader r;
    struct slice got;
    json_reader_init(&r, slice_from_text(text), JSON_UTF8_REPLACE);
    json_next(&r);
    assert_true(json_text(&r, NULL, &got, NULL));
    assert_ptr_equal(got.data, text + 1);
}

static void fails_when_the_arena_is_too_small(void **state)
{
    (void)state;
    struct error err = {0};
    struct arena *arena = arena_new(16);
    struct json_reader r;
    struct slice got;
    json_reader_init(&r, SLICE("\"\\n01234567890123456789\""), JSON_UTF8_REPLACE);
    json_next(&r);
    assert_false(json_text(&r, arena, &got, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    arena_free(arena);
}

static void skips_values_and_gives_their_text(void **state)
{
    (void)state;
    struct json_reader r;
    struct slice raw;
    json_reader_init(&r, SLICE("{\"a\": {\"x\":[1, 2]} ,\"b\": \"s\\n\", \"c\":[1]}"),
                     JSON_UTF8_REPLACE);
    json_next(&r);
    assert_int_equal(json_next(&r), JSON_KEY);
    assert_true(json_skip(&r, &raw));
    assert_true(slice_equal(raw, SLICE("{\"x\":[1, 2]}")));
    assert_int_equal(json_next(&r), JSON_KEY);
    assert_true(json_skip(&r, &raw));
    assert_true(slice_equal(raw, SLICE("\"s\\n\"")));
    assert_int_equal(json_next(&r), JSON_KEY);
    assert_int_equal(json_next(&r), JSON_ARRAY_BEGIN);
    assert_true(json_skip(&r, &raw)); /* from inside */
    assert_true(slice_equal(raw, SLICE("[1]")));
    assert_int_equal(json_next(&r), JSON_OBJECT_END);
    assert_int_equal(json_next(&r), JSON_END);

    json_reader_init(&r, SLICE("[[1,}]"), JSON_UTF8_REPLACE);
    json_next(&r);
    assert_false(json_skip(&r, &raw));
}

/* ---- against jansson ---- */

static uint64_t random_state = 12345;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (uint32_t)(random_state >> 33) % n;
}

/* A JSON value built from events; the caller owns the reference. */
static json_t *build(struct json_reader *r, struct arena *arena)
{
    struct slice s;
    double number;
    int64_t integer;
    switch (r->event) {
    case JSON_STRING:
        assert_true(json_text(r, arena, &s, NULL));
        return json_stringn_nocheck(s.data ? s.data : "", s.size);
    case JSON_NUMBER:
        if (slice_parse_i64(r->value, &integer))
            return json_integer(integer);
        assert_true(slice_parse_double(r->value, false, &number));
        return json_real(number);
    case JSON_TRUE:
        return json_true();
    case JSON_FALSE:
        return json_false();
    case JSON_NULL:
        return json_null();
    default:
        break;
    }
    bool object = r->event == JSON_OBJECT_BEGIN;
    json_t *value = object ? json_object() : json_array();
    while (json_next(r) != JSON_OBJECT_END && r->event != JSON_ARRAY_END) {
        assert_int_not_equal(r->event, JSON_ERROR);
        if (!object) {
            json_array_append_new(value, build(r, arena));
            continue;
        }
        assert_int_equal(r->event, JSON_KEY);
        assert_true(json_text(r, arena, &s, NULL));
        char *key = xmemdup(s.data, s.size);
        json_next(r);
        json_object_set_new_nocheck(value, key, build(r, arena));
        free(key);
    }
    return value;
}

static void write_random_string(struct json_writer *w, bool key)
{
    static const char *const pieces[] = {
        "a",    "plain text", "\"", "\\",           "\n",
        "\x01", "\xc3\xa9",   "/",  "\xe2\x82\xac", "\xf0\x9f\x98\x80",
        "\x7f", "<&>"};
    char text[256];
    size_t size = 0;
    for (uint32_t i = random_below(8); i > 0; i--) {
        const char *piece = pieces[random_below(COUNT_OF(pieces))];
        size_t length = strlen(piece);
        memcpy(text + size, piece, length);
        size += length;
    }
    if (key)
        json_write_key(w, slice_of(text, size));
    else
        json_write_string(w, slice_of(text, size));
}

static void write_random_value(struct json_writer *w, uint32_t depth)
{
    uint32_t kind = random_below(depth > 5 ? 6 : 9);
    if (kind == 0)
        json_write_null(w);
    else if (kind == 1)
        json_write_bool(w, random_below(2));
    else if (kind == 2)
        json_write_i64(w, (int64_t)random_state);
    else if (kind == 3)
        json_write_double(w, (double)random_below(1000000) / 997.0, 'e', false);
    else if (kind < 6)
        write_random_string(w, false);
    else if (kind == 6) {
        json_write_array_begin(w);
        for (uint32_t i = random_below(6); i > 0; i--)
            write_random_value(w, depth + 1);
        json_write_array_end(w);
    } else {
        json_write_object_begin(w);
        for (uint32_t i = random_below(6); i > 0; i--) {
            write_random_string(w, true);
            write_random_value(w, depth + 1);
        }
        json_write_object_end(w);
    }
}

static void reads_what_jansson_reads(void **state)
{
    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct buffer ours;
        buffer_init(&ours, 1 << 20);
        struct json_writer w;
        json_writer_init(&w, &ours);
        write_random_value(&w, 0);

        /* what our writer wrote, jansson reads as the same as our reader */
        json_error_t problem;
        json_t *theirs =
            json_loadb(ours.data, ours.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &problem);
        if (theirs == NULL)
            fail_msg("jansson: %s in %.*s", problem.text, (int)ours.size, ours.data);
        struct arena *arena = arena_new(1 << 20);
        struct json_reader r;
        json_reader_init(&r, buffer_slice(&ours), JSON_UTF8_REPLACE);
        json_next(&r);
        json_t *built = build(&r, arena);
        assert_int_equal(json_next(&r), JSON_END);
        assert_true(json_equal(theirs, built));

        /* what jansson writes with all its escapes, our reader reads */
        size_t flags = JSON_ENCODE_ANY | (round % 2 ? JSON_ENSURE_ASCII : 0) |
                       (round % 3 ? JSON_INDENT(2) : 0) | JSON_REAL_PRECISION(17);
        char *text = json_dumps(theirs, flags);
        assert_non_null(text);
        json_reader_init(&r, slice_from_text(text), JSON_UTF8_REFUSE);
        json_next(&r);
        json_t *again = build(&r, arena);
        assert_int_equal(json_next(&r), JSON_END);
        assert_true(json_equal(theirs, again));

        free(text);
        json_decref(again);
        json_decref(built);
        json_decref(theirs);
        arena_free(arena);
        buffer_done(&ours);
    }
}

/* Documents with one byte changed: both accept or both refuse. */
static void refuses_what_jansson_refuses(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        "{\"a\":[1,2.5e3,{\"b\":null}],\"c\":\"x\\u00e9\\n\"}",
        "[true,false,null,-0.1,\"\\ud83d\\ude00\"]",
    };
    static const char alphabet[] = "{}[]:,\"\\01e.-tfnu \n";
    int refused = 0;
    for (int round = 0; round < 20000; round++) {
        char text[128];
        const char *seed = seeds[round % 2];
        size_t size = strlen(seed);
        memcpy(text, seed, size);
        for (uint32_t i = random_below(3) + 1; i > 0; i--)
            text[random_below((uint32_t)size)] = alphabet[random_below(sizeof(alphabet) - 1)];

        json_error_t problem;
        json_t *theirs = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &problem);
        bool surrogate = theirs == NULL && strstr(problem.text, "Unicode") != NULL;
        bool range = theirs == NULL && strstr(problem.text, "too big") != NULL;
        bool overflow = theirs == NULL && strstr(problem.text, "overflow") != NULL;
        struct json_reader r;
        json_reader_init(&r, slice_of(text, size), JSON_UTF8_REFUSE);
        while (json_next(&r) != JSON_END && r.event != JSON_ERROR)
            continue;
        bool ours = r.event == JSON_END;
        refused += !ours;
        /* ours accepts lone surrogates and numbers of any size */
        if (ours != (theirs != NULL) && !(ours && (surrogate || range || overflow)))
            fail_msg("%.*s: ours %s, jansson %s", (int)size, text, ours ? "yes" : r.problem,
                     theirs ? "yes" : problem.text);
        json_decref(theirs);
    }
    assert_true(refused > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_events_of_documents),
        cmocka_unit_test(names_the_offset_of_each_error),
        cmocka_unit_test(stays_at_an_error),
        cmocka_unit_test(refuses_a_document_nested_too_deep),
        cmocka_unit_test(decodes_escapes),
        cmocka_unit_test(treats_invalid_utf8_as_it_is_told),
        cmocka_unit_test(accepts_control_characters_only_on_request),
        cmocka_unit_test(copies_nothing_when_nothing_is_escaped),
        cmocka_unit_test(fails_when_the_arena_is_too_small),
        cmocka_unit_test(skips_values_and_gives_their_text),
        cmocka_unit_test(reads_what_jansson_reads),
        cmocka_unit_test(refuses_what_jansson_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
