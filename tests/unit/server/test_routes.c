/* The table of endpoints. */
#include "server/routes.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct route *find(const char *path, struct slice *name)
{
    return route_find(slice_from_text(path), name);
}

static void every_route_finds_itself(void **state)
{
    (void)state;
    size_t count;
    const struct route *routes = routes_all(&count);
    for (size_t i = 0; i < count; i++) {
        struct slice name;
        assert_ptr_equal(find(routes[i].path, &name), &routes[i]);
        assert_int_equal(route_number(&routes[i]), i);
        assert_non_null(routes[i].run);
        assert_true(routes[i].is_push == (routes[i].check != NULL));
    }
    assert_int_equal(route_number(NULL), count);
}

static void a_name_stands_for_one_segment(void **state)
{
    (void)state;
    struct slice name;
    assert_non_null(find("/api/v1/label/__name__/values", &name));
    assert_true(slice_equal(name, SLICE("__name__")));
    assert_non_null(find("/loki/api/v1/label/a%2Fb/values", &name));
    assert_true(slice_equal(name, SLICE("a%2Fb")));
    assert_null(find("/api/v1/label/a/b/values", &name));
    assert_null(find("/api/v1/label//values", &name));
    assert_null(find("/api/v1/label/a", &name));
}

static void other_paths_are_not_found(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",          "//",       "/api",           "/api/v1/",   "/api/v1",
        "/metrics/", "/Metrics", "/api/v1/query/", "/ready/now", "/api/v1//query",
        "metrics",   "/-/"};
    struct slice name;
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        assert_null(find(paths[i], &name));
}

static void errors_have_the_status_of_their_family(void **state)
{
    (void)state;
    static const struct {
        enum error_code code;
        int prometheus, loki;
    } wanted[] = {{ERR_INVALID, 400, 400},     {ERR_EXECUTION, 422, 400}, {ERR_LIMIT, 422, 400},
                  {ERR_TIMEOUT, 503, 504},     {ERR_CANCELED, 499, 499},  {ERR_RATE, 429, 429},
                  {ERR_UNAVAILABLE, 503, 503}, {ERR_IO, 500, 500},        {ERR_TOO_LARGE, 413, 413},
                  {ERR_CORRUPT, 500, 500},     {ERR_INTERNAL, 500, 500}};
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        assert_int_equal(status_of_error(API_PROMETHEUS, wanted[i].code), wanted[i].prometheus);
        assert_int_equal(status_of_error(API_LOKI, wanted[i].code), wanted[i].loki);
        assert_int_equal(status_of_error(API_PLAIN, wanted[i].code), wanted[i].loki);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_finds_itself),
        cmocka_unit_test(a_name_stands_for_one_segment),
        cmocka_unit_test(other_paths_are_not_found),
        cmocka_unit_test(errors_have_the_status_of_their_family),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
