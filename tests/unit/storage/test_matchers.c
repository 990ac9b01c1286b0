/*
 * test_matchers.c - series and names selected by any matchers, against testing each series.
 *
 * Random label sets lie in the head, then sealed, then half in each, then in a closed day.  Random
 * matchers of all shapes, most of them with a chance to match the empty text, must select the same
 * series, label names and label values as matchers_test() over the whole list does.
 */
#include "base/number.h"
#include "store_helpers.h"

enum { SERIES = 400, ROUNDS = 400, LABELS_MAX = 6, MATCHERS_MAX = 4 };

static const char *const label_names[] = {"a", "b", "c", "env", "zone", "no_such_label"};
static const char *const label_values[] = {"x",   "y",    "xy",       "foo", "foobar",     "bar",
                                           "FOO", "a\nb", "\xc3\xa9", "1",   "barfoo-bar", "10"};
static const char *const patterns[] = {
    "",      "x",       "x|y",     "x|",        "|foo",     ".*",    ".+",       "foo.*",
    ".*bar", "(?i)foo", "foo|bar", "(foo|x)?",  "[xy]+",    "x.?",   "a.b",      ".|\xc3\xa9",
    "1|10",  "1.*",     ".*o.*",   "foo(bar)?", "(|x)(|y)", "[^x]*", "b.*|f.*r", "no-such-value",
};

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static size_t below(size_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)((random_state >> 20) % bound);
}

struct set {
    struct label items[LABELS_MAX];
    size_t count;
};
static struct set all[SERIES];
static char numbers[SERIES][8];

/* `n` makes each different from the others. */
static void make_series(void)
{
    for (size_t i = 0; i < SERIES; i++) {
        struct set *s = &all[i];
        s->count = 0;
        snprintf(numbers[i], sizeof(numbers[i]), "%zu", i);
        for (size_t k = 0; k + 1 < COUNT_OF(label_names); k++)
            if (below(3) > 0)
                s->items[s->count++] =
                    (struct label){slice_from_text(label_names[k]),
                                   slice_from_text(label_values[below(COUNT_OF(label_values))])};
        struct label *at = &s->items[s->count++];
        *at = (struct label){SLICE("n"), slice_from_text(numbers[i])};
        qsort(s->items, s->count, sizeof(*s->items), label_compare);
    }
}

static void write_series(struct fixture *f, size_t from, size_t to)
{
    struct error err = {0};
    struct batch *batch = new_batch(f, STORE_METRIC);
    for (size_t i = from; i < to; i++) {
        struct label labels[LABELS_MAX];
        memcpy(labels, all[i].items, sizeof(labels));
        int64_t number = batch_define(batch, 1, slice_from_text(NULL), labels, all[i].count, &err);
        assert_true(number >= 0);
        assert_true(batch_sample(batch, (uint32_t)number, T0, (double)i, &err));
    }
    commit(batch);
}

struct question {
    struct matcher matchers[MATCHERS_MAX];
    size_t count;
};

static void ask(struct question *q)
{
    struct error err = {0};
    q->count = below(MATCHERS_MAX + 1);
    for (size_t i = 0; i < q->count; i++) {
        enum matcher_type type = (enum matcher_type)below(4);
        bool regex = type == MATCH_REGEX || type == MATCH_NOT_REGEX;
        const char *value = regex          ? patterns[below(COUNT_OF(patterns))]
                            : below(4) > 0 ? label_values[below(COUNT_OF(label_values))]
                                           : "";
        const char *name = label_names[below(COUNT_OF(label_names))];
        if (!matcher_init(&q->matchers[i], type, slice_from_text(name), slice_from_text(value),
                          &err))
            fail_msg("%s: %s", value, err.message);
    }
}

static void describe(const struct question *q, char *out, size_t size)
{
    out[0] = '\0';
    for (size_t i = 0, at = 0; i < q->count && at < size; i++)
        at += (size_t)snprintf(
            out + at, size - at, "%.*s%s\"%.*s\" ", SLICE_ARG(q->matchers[i].name),
            matcher_operator(q->matchers[i].type), SLICE_ARG(q->matchers[i].value));
}

static bool matches(const struct question *q, size_t series)
{
    struct error err = {0};
    struct labels labels = {all[series].items, all[series].count};
    int hit = matchers_test(q->matchers, q->count, labels, &err);
    assert_true(hit >= 0);
    return hit == 1;
}

static void check_series(struct fixture *f, const struct question *q, const char *text)
{
    struct error err = {0};
    size_t wanted = 0;
    bool given[SERIES] = {0};
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = STORE_METRIC,
                                     .matchers = q->matchers,
                                     .matcher_count = q->count,
                                     .start_ns = T0 - NS_PER_SECOND,
                                     .end_ns = T0 + NS_PER_SECOND,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES};
    struct cursor *cursor = cursor_open(f->store, &request, &err);
    if (cursor == NULL)
        fail_msg("%s: %s", text, err.message);
    for (size_t i = 0; i < cursor_series_count(cursor); i++) {
        uint64_t number = 0;
        assert_true(slice_parse_u64(labels_get(cursor_labels(cursor, i), SLICE("n")), &number));
        if (given[number] || !matches(q, number))
            fail_msg("%sgives series %d", text, (int)number);
        given[number] = true;
    }
    for (size_t i = 0; i < SERIES; i++)
        wanted += matches(q, i);
    if (cursor_series_count(cursor) != wanted)
        fail_msg("%sgives %zu series of %zu", text, cursor_series_count(cursor), wanted);
    cursor_close(cursor);
}

/* Values of `label`, or the names when it is empty. */
static void check_names(struct fixture *f, const struct question *q, const char *label,
                        const char *text)
{
    struct error err = {0};
    struct slice *names;
    size_t count;
    bool truncated;
    AUTO(arena_drop) struct arena *arena = arena_new(1 << 20);
    struct names_request request = {.tenant = SLICE("t"),
                                    .kind = STORE_METRIC,
                                    .matchers = q->matchers,
                                    .matcher_count = q->count,
                                    .start_ns = T0 - NS_PER_SECOND,
                                    .end_ns = T0 + NS_PER_SECOND,
                                    .label = slice_from_text(label)};
    assert_true(store_names(f->store, &request, arena, &names, &count, &truncated, &err));
    for (size_t i = 0; i + 1 < count; i++)
        assert_true(slice_compare(names[i], names[i + 1]) < 0);
    size_t found = 0;
    for (size_t n = 0; n < count; n++) {
        bool seen = false;
        for (size_t i = 0; i < SERIES && !seen; i++) {
            struct labels labels = {all[i].items, all[i].count};
            seen = matches(q, i) &&
                   (label[0] ? slice_equal(labels_get(labels, request.label), names[n])
                             : labels_has(labels, names[n]));
        }
        found += seen;
    }
    if (found != count)
        fail_msg("%snames of '%s': %zu of %zu are none", text, label, count - found, count);
    for (size_t i = 0; i < SERIES; i++) {
        struct labels labels = {all[i].items, all[i].count};
        struct slice wanted = label[0] ? labels_get(labels, request.label) : all[i].items[0].name;
        bool there = wanted.size == 0 || !matches(q, i);
        for (size_t n = 0; n < count && !there; n++)
            there = slice_equal(names[n], wanted);
        if (!there)
            fail_msg("%snames of '%s' lack %.*s", text, label, SLICE_ARG(wanted));
    }
}

static void check_all(struct fixture *f)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct question q;
        char text[512];
        ask(&q);
        describe(&q, text, sizeof(text));
        check_series(f, &q, text);
        check_names(f, &q, round % 2 ? "" : label_names[below(COUNT_OF(label_names))], text);
        for (size_t i = 0; i < q.count; i++)
            matcher_done(&q.matchers[i]);
    }
}

static void any_matchers_select_what_testing_each_series_selects(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    make_series();
    write_series(f, 0, SERIES);
    check_all(f); /* in the head */
    assert_true(store_seal(f->store, &err));
    check_all(f); /* in a partition, and series in the head without entries */
    fixture_restart(f);
    check_all(f); /* in a partition alone */
    write_series(f, SERIES / 2, SERIES);
    check_all(f); /* half of them in both */
    f->now_ns = T0 + 2 * NS_PER_DAY;
    assert_true(store_close_days(f->store, f->now_ns, &err));
    check_all(f); /* in a closed day */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_matchers_select_what_testing_each_series_selects,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
