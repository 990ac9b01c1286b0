/* Forms and percent-encoding. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "server/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct form form;
static struct error err;

static int set_up(void **state)
{
    *state = arena_new(1 << 20);
    form_init(&form, *state);
    err = (struct error){0};
    return 0;
}

static int tear_down(void **state)
{
    arena_free(*state);
    return 0;
}

static void assert_value(const char *name, const char *value)
{
    struct slice found = form_get(&form, slice_from_text(name));
    assert_non_null(found.data);
    assert_int_equal(found.size, strlen(value));
    assert_memory_equal(found.data, value, found.size);
}

static void reads_pairs_and_decodes_them(void **state)
{
    (void)state;
    assert_true(
        form_parse(&form, SLICE("query=sum(x)%2B1+%7Ba%3D%22b%22%7D&time=4&e=&flag"), &err));
    assert_int_equal(form.count, 4);
    assert_value("query", "sum(x)+1 {a=\"b\"}");
    assert_value("time", "4");
    assert_value("e", "");
    assert_value("flag", "");
    assert_null(form_get(&form, SLICE("absent")).data);
}

static void merges_body_and_url_with_the_body_first(void **state)
{
    (void)state;
    assert_true(form_parse(&form, SLICE("a=body"), &err));
    assert_true(form_parse(&form, SLICE("a=url&b=2"), &err));
    assert_value("a", "body");
    assert_value("b", "2");
}

static void walks_repeated_names_in_order(void **state)
{
    (void)state;
    assert_true(form_parse(&form, SLICE("match%5B%5D=a&x=1&match[]=b"), &err));
    size_t at = 0;
    struct slice value;
    assert_true(form_next(&form, SLICE("match[]"), &at, &value));
    assert_true(slice_equal(value, SLICE("a")));
    assert_true(form_next(&form, SLICE("match[]"), &at, &value));
    assert_true(slice_equal(value, SLICE("b")));
    assert_false(form_next(&form, SLICE("match[]"), &at, &value));
}

static void skips_empty_parts(void **state)
{
    (void)state;
    assert_true(form_parse(&form, SLICE("&&a=1&&"), &err));
    assert_int_equal(form.count, 1);
    assert_true(form_parse(&form, SLICE(""), &err));
    assert_int_equal(form.count, 1);
}

static void refuses_broken_escapes(void **state)
{
    (void)state;
    static const char *const broken[] = {"a=%", "a=%4", "a=%zz", "%f=1", "a=%4g"};
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        assert_false(form_parse(&form, slice_from_text(broken[i]), &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.message, "invalid URL escape"));
    }
    assert_true(form_parse(&form, SLICE("a=%41"), &err));
    assert_value("a", "A");
}

static void refuses_too_many_pairs(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text, 1 << 20);
    for (int i = 0; i <= FORM_PAIRS_MAX; i++)
        buffer_append_text(&text, "a=1&");
    assert_false(form_parse(&form, buffer_slice(&text), &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buffer_done(&text);
}

static void keeps_a_plus_in_paths(void **state)
{
    struct slice out;
    assert_true(url_decode(*state, SLICE("a+b%2Fc"), false, &out, &err));
    assert_true(slice_equal(out, SLICE("a+b/c")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_pairs_and_decodes_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(merges_body_and_url_with_the_body_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(walks_repeated_names_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(skips_empty_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_broken_escapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_too_many_pairs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_a_plus_in_paths, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
