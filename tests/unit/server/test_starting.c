/*
 * test_starting.c - a server whose store is still replaying its log.
 *
 * It says that it is alive and not ready, refuses queries for a moment, and keeps
 * writes waiting until they are stored.
 */
#include "base/error.h"
#include "base/slice.h"
#include "server/options.h"
#include "server/server.h"
#include "storage/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct exchange {
    const char *address;
    const char *request;
    bool answered; /* atomic */
    char answer[16384];
};

/* Send a request that ends its connection; the whole answer. */
static void *ask(void *context)
{
    struct exchange *e = context;
    struct sockaddr_in to = {.sin_family = AF_INET};
    const char *port = strrchr(e->address, ':') + 1;
    to.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t size = strlen(e->request), have = 0;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
        send(fd, e->request, size, MSG_NOSIGNAL) != (ssize_t)size)
        return NULL;
    for (ssize_t n; (n = recv(fd, e->answer + have, sizeof(e->answer) - 1 - have, 0)) > 0;)
        have += (size_t)n;
    close(fd);
    __atomic_store_n(&e->answered, true, __ATOMIC_RELEASE);
    return NULL;
}

static void expect(struct server *server, const char *path, const char *status, const char *part)
{
    char request[256];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
             path);
    struct exchange e = {.address = server_address(server), .request = request};
    ask(&e);
    if (!strstr(e.answer, status) || !strstr(e.answer, part))
        fail_msg("%s: expected %s and '%s', got: %s", path, status, part, e.answer);
}

static const char *const push =
    "POST /loki/api/v1/push HTTP/1.1\r\nHost: t\r\n"
    "Content-Type: application/json\r\nContent-Length: 73\r\n"
    "Connection: close\r\n\r\n"
    "{\"streams\":[{\"stream\":{\"a\":\"b\"},\"values\":[[\"%lld\",\"x\"]]}]}";

static void answers_while_the_log_is_replayed(void **state)
{
    (void)state;
    char directory[] = "/tmp/etinde-starting-XXXXXX", command[128], request[512];
    assert_non_null(mkdtemp(directory));
    char *arguments[] = {(char[]){"etinde"}, (char[]){"--data"}, directory, (char[]){"--listen"},
                         (char[]){"127.0.0.1:0"}};
    struct options options;
    struct error err = {0};
    assert_true(options_read(&options, 5, arguments, &err));
    struct store_options store_options;
    options_for_store(&options, &store_options);
    struct store *store = store_open_begin(&store_options, &err);
    assert_non_null(store);
    struct server *server = server_start(&options, store, &err);
    assert_non_null(server);

    expect(server, "/-/healthy", "200", "Healthy");
    expect(server, "/ready", "503", "the log is being replayed");
    expect(server, "/-/ready", "503", "the log is being replayed");
    expect(server, "/metrics", "200", "etinde_ready 0");
    expect(server, "/api/v1/query?query=1", "503", "Retry-After: 1");
    expect(server, "/loki/api/v1/labels", "503", "the log is being replayed");

    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(request, sizeof(request), push, (long long)now.tv_sec * 1000000000);
    struct exchange waiting = {.address = server_address(server), .request = request};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask, &waiting), 0);
    usleep(100 * 1000);
    assert_false(__atomic_load_n(&waiting.answered, __ATOMIC_ACQUIRE));
    assert_true(store_open_finish(store, &err));
    pthread_join(thread, NULL);
    assert_non_null(strstr(waiting.answer, "HTTP/1.1 204"));

    expect(server, "/ready", "200", "ready");
    expect(server, "/metrics", "200", "etinde_ready 1");
    expect(server, "/loki/api/v1/labels", "200", "\"a\"");
    assert_true(server_stop(server));
    assert_true(store_close(store, &err));
    options_done(&options);
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_while_the_log_is_replayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
