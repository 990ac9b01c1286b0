/* The HTTP client against a server of a few lines in a thread. */
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "net/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    int listener;
    char url[64];
    const char *answer; /* NULL: say nothing */
    char request[65536];
    size_t request_size;
    pthread_t thread;
    struct http_client *client;
    struct http_response response;
    struct error err;
};

/* Read until the body that Content-Length announces is here. */
static void read_request(struct fixture *f, int fd)
{
    f->request_size = 0;
    for (;;) {
        ssize_t got =
            read(fd, f->request + f->request_size, sizeof(f->request) - 1 - f->request_size);
        if (got <= 0)
            return;
        f->request_size += (size_t)got;
        f->request[f->request_size] = '\0';
        const char *end = strstr(f->request, "\r\n\r\n");
        const char *length = strstr(f->request, "Content-Length: ");
        size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
        if (end && f->request_size >= (size_t)(end + 4 - f->request) + body)
            return;
    }
}

static void *serve(void *context)
{
    struct fixture *f = context;
    int fd = accept(f->listener, NULL, NULL);
    if (fd < 0)
        return NULL;
    read_request(f, fd);
    if (f->answer) {
        ssize_t sent = write(fd, f->answer, strlen(f->answer));
        (void)sent;
    } else {
        char byte;
        ssize_t got = read(fd, &byte, 1); /* until the client goes away */
        (void)got;
    }
    close(fd);
    return NULL;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(f->listener, (struct sockaddr *)&address, size) != 0 || listen(f->listener, 4) != 0)
        return -1;
    getsockname(f->listener, (struct sockaddr *)&address, &size);
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d/push", ntohs(address.sin_port));
    f->client = http_client_new(&f->err);
    buffer_init(&f->response.body, 1000);
    *state = f;
    return f->client ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_client_free(f->client);
    buffer_done(&f->response.body);
    close(f->listener);
    free(f);
    return 0;
}

static bool exchange(struct fixture *f, const char *answer, struct http_request *request)
{
    f->answer = answer;
    request->url = f->url;
    pthread_create(&f->thread, NULL, serve, f);
    bool ok = http_client_send(f->client, request, &f->response, &f->err);
    pthread_join(f->thread, NULL);
    return ok;
}

static void posts_a_body_with_headers_and_reads_the_answer(void **state)
{
    struct fixture *f = *state;
    struct http_header headers[] = {{"Content-Type", SLICE("application/x-protobuf")},
                                    {"X-Scope-OrgID", SLICE("me")}};
    struct http_request request = {.headers = headers, .header_count = 2, .body = {"a\0b", 3}};
    assert_true(exchange(f, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", &request));
    assert_int_equal(f->response.status, 200);
    assert_true(slice_equal(buffer_slice(&f->response.body), SLICE("hello")));
    assert_non_null(strstr(f->request, "POST /push HTTP/1.1\r\n"));
    assert_non_null(strstr(f->request, "Content-Type: application/x-protobuf\r\n"));
    assert_non_null(strstr(f->request, "X-Scope-OrgID: me\r\n"));
    assert_null(strstr(f->request, "Expect"));
    assert_memory_equal(f->request + f->request_size - 3, "a\0b", 3);
}

static void a_status_is_no_error_and_retry_after_is_read(void **state)
{
    struct fixture *f = *state;
    struct http_request request = {.body = SLICE("x")};
    assert_true(exchange(f, "HTTP/1.1 503 Busy\r\nretry-after:  7 \r\nContent-Length: 0\r\n\r\n",
                         &request));
    assert_int_equal(f->response.status, 503);
    assert_int_equal(f->response.retry_after_ms, 7000);
}

static void redirects_are_not_followed(void **state)
{
    struct fixture *f = *state;
    struct http_request request = {.body = SLICE("x")};
    assert_true(exchange(f,
                         "HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:1/\r\n"
                         "Content-Length: 0\r\n\r\n",
                         &request));
    assert_int_equal(f->response.status, 307);
}

static void gets_without_a_body(void **state)
{
    struct fixture *f = *state;
    struct http_request request = {.method = "GET"};
    assert_true(exchange(f, "HTTP/1.1 204 No\r\n\r\n", &request));
    assert_int_equal(f->response.status, 204);
    assert_non_null(strstr(f->request, "GET /push HTTP/1.1\r\n"));
}

static void a_response_over_the_limit_is_too_large(void **state)
{
    struct fixture *f = *state;
    char answer[1200];
    struct http_request request = {.body = SLICE("x")};
    int head = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n");
    memset(answer + head, 'x', 1001);
    answer[head + 1001] = '\0';
    assert_false(exchange(f, answer, &request));
    assert_int_equal(f->err.code, ERR_TOO_LARGE);
    assert_non_null(strstr(f->err.message, "more than 1000 bytes"));
}

static void silence_ends_in_a_timeout(void **state)
{
    struct fixture *f = *state;
    struct http_request request = {.body = SLICE("x"), .timeout_ms = 100};
    assert_false(exchange(f, NULL, &request));
    assert_int_equal(f->err.code, ERR_TIMEOUT);
}

static void a_set_flag_cancels(void **state)
{
    struct fixture *f = *state;
    atomic_bool cancel = true;
    struct http_request request = {.url = f->url, .body = SLICE("x"), .cancel = &cancel};
    int64_t begin = clock_monotonic_ns();
    assert_false(http_client_send(f->client, &request, &f->response, &f->err));
    assert_int_equal(f->err.code, ERR_CANCELED);
    assert_true(clock_monotonic_ns() - begin < INT64_C(3000000000));
}

static void nobody_listening_is_unavailable(void **state)
{
    struct fixture *f = *state;
    struct http_request request = {.url = "http://127.0.0.1:1/", .body = SLICE("x")};
    assert_false(http_client_send(f->client, &request, &f->response, &f->err));
    assert_int_equal(f->err.code, ERR_UNAVAILABLE);
}

static void other_protocols_and_broken_headers_are_invalid(void **state)
{
    struct fixture *f = *state;
    struct http_header bad = {"X-Bad", SLICE("a\r\nEvil: b")};
    struct http_request request = {.url = "file:///etc/passwd", .body = SLICE("x")};
    assert_false(http_client_send(f->client, &request, &f->response, &f->err));
    assert_int_equal(f->err.code, ERR_INVALID);
    request =
        (struct http_request){.url = "http://127.0.0.1:1/", .headers = &bad, .header_count = 1};
    assert_false(http_client_send(f->client, &request, &f->response, &f->err));
    assert_int_equal(f->err.code, ERR_INVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(posts_a_body_with_headers_and_reads_the_answer),
        TEST(a_status_is_no_error_and_retry_after_is_read),
        TEST(redirects_are_not_followed),
        TEST(gets_without_a_body),
        TEST(a_response_over_the_limit_is_too_large),
        TEST(silence_ends_in_a_timeout),
        TEST(a_set_flag_cancels),
        TEST(nobody_listening_is_unavailable),
        TEST(other_protocols_and_broken_headers_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
