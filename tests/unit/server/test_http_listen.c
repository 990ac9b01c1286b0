/* test_http_listen.c - which addresses are taken, and what is said about the others. */
#include "server/http_listen.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void port_0_takes_a_free_port_and_names_it(void **state)
{
    (void)state;
    char address[HTTP_ADDRESS_MAX];
    struct error err = {0};
    int fd = http_listen("127.0.0.1:0", address, &err);
    assert_true(fd >= 0);
    assert_memory_equal(address, "127.0.0.1:", 10);
    assert_string_not_equal(address, "127.0.0.1:0");
    close(fd);
}

static void what_is_no_host_and_port_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "127.0.0.1",       "127.0.0.1:",      "127.0.0.1:http", "::1:80",
        "127.0.0.1:65536", "127.0.0.1:99999", "127.0.0.1:-1",   "127.0.0.1:18446744073709551617",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char address[HTTP_ADDRESS_MAX];
        struct error err = {0};
        assert_int_equal(http_listen(cases[i], address, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.message, cases[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_0_takes_a_free_port_and_names_it),
        cmocka_unit_test(what_is_no_host_and_port_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
