/*
 * log_load.c - pushes generated log lines (log_lines.h) as fast as a server takes them.
 *
 *     bench-log-load --port 9201 --lines 10000000 --streams 100 --hours 6 ...
 *
 * Loki's protobuf with snappy, `--request` bytes of lines a request, each with all streams of its
 * connection in turn; a stream always travels on the same connection, so that its lines arrive in
 * order.  With --rate a second's lines are spread over it.  With --out the lines go to a file
 * instead.  Prints one line of JSON.
 */
#include "base/compiler.h"
#include "base/memory.h"
#include "tests/bench/log_lines.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 16, RETRIES_MAX = 500, NEEDLES = 12, LABELS_MAX = 256, ENTRY_MAX = 64 };

struct load {
    const char *out;
    long port, lines, streams, request, connections, hours, end_s, rate;
};

struct worker {
    const struct load *load;
    long number;
    int fd;
    FILE *out;
    char *plain, *packed;
    size_t room;
    double *latencies_ms;
    size_t latency_count, latency_room;
    uint64_t lines, raw, wire, failed, retries, scratch;
    char first_failure[512];
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- HTTP ------------------------------------------------------------------------ */

static bool connection_open(struct worker *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->load->port)};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(w->fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return true;
    snprintf(w->first_failure, sizeof(w->first_failure), "connect: %s", strerror(errno));
    return false;
}

static bool send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

/* The status of one answer, or 0 when the connection broke.  Its text stays in `text`. */
static int answer_read(int fd, char *text, size_t room)
{
    size_t have = 0;
    for (;;) {
        ssize_t n = recv(fd, text + have, room - 1 - have, 0);
        if (n <= 0)
            return 0;
        have += (size_t)n;
        text[have] = '\0';
        const char *body = strstr(text, "\r\n\r\n");
        if (body == NULL)
            continue;
        const char *length = strcasestr(text, "content-length:");
        size_t wanted = length && length < body ? (size_t)strtoul(length + 15, NULL, 10) : 0;
        if (have >= (size_t)(body + 4 - text) + wanted || have == room - 1)
            return (int)strtol(text + 9, NULL, 10);
    }
}

static int request_send(struct worker *w, size_t size)
{
    char head[512], answer[8192];
    int n = snprintf(head, sizeof(head),
                     "POST /loki/api/v1/push HTTP/1.1\r\nHost: bench\r\n"
                     "Content-Type: application/x-protobuf\r\nContent-Length: %zu\r\n\r\n",
                     size);
    if (!send_all(w->fd, head, (size_t)n) || !send_all(w->fd, w->packed, size))
        return 0;
    int status = answer_read(w->fd, answer, sizeof(answer));
    if (status / 100 != 2 && w->first_failure[0] == '\0')
        snprintf(w->first_failure, sizeof(w->first_failure), "%.500s", answer);
    return status;
}

/* ---- requests ---------------------------------------------------------------------- */

static size_t put_varint(char *out, uint64_t v)
{
    size_t n = 0;
    while (v >= 0x80) {
        out[n++] = (char)(v | 0x80);
        v >>= 7;
    }
    out[n++] = (char)v;
    return n;
}

/* A field's size as a varint of four bytes, so that it can be filled in afterwards. */
static void fill_size(char *at, size_t size)
{
    for (int i = 0; i < 3; i++)
        at[i] = (char)(0x80 | (size >> (7 * i) & 0x7f));
    at[3] = (char)(size >> 21);
}

static int64_t line_time(const struct load *load, uint64_t stream, uint64_t number)
{
    uint64_t per_stream = (uint64_t)(load->lines / load->streams);
    uint64_t span_ns = (uint64_t)load->hours * 3600 * 1000000000u;
    uint64_t step = span_ns / (per_stream + 1);
    uint64_t jitter = (number * 2654435761u + stream * 40503u) % (step / 2 + 1);
    return load->end_s * 1000000000 - (int64_t)span_ns + (int64_t)(number * step + jitter);
}

/* Which of the needles stands in this line; 0: none. */
static uint64_t needle_of(const struct load *load, uint64_t stream, uint64_t number)
{
    uint64_t per_stream = (uint64_t)(load->lines / load->streams);
    uint64_t streams = (uint64_t)load->streams;
    for (uint64_t i = 0; i < NEEDLES; i++)
        if (stream == i * 37 % streams && number == (i * 2 + 1) * per_stream / (2 * NEEDLES))
            return i + 1;
    return 0;
}

static size_t put_entry(struct worker *w, char *out, uint64_t stream, uint64_t number)
{
    char line[LOG_LINE_MAX], time[24];
    int64_t time_ns = line_time(w->load, stream, number);
    size_t size = log_line_make(line, stream, number, time_ns, needle_of(w->load, stream, number));
    size_t t = 0, n = 0;
    time[t++] = 0x08;
    t += put_varint(time + t, (uint64_t)(time_ns / 1000000000));
    time[t++] = 0x10;
    t += put_varint(time + t, (uint64_t)(time_ns % 1000000000));
    char head[8];
    size_t h = put_varint(head, size);
    out[n++] = 0x12;
    n += put_varint(out + n, 2 + t + 1 + h + size);
    out[n++] = 0x0a;
    out[n++] = (char)t;
    memcpy(out + n, time, t);
    n += t;
    out[n++] = 0x12;
    memcpy(out + n, head, h);
    n += h;
    memcpy(out + n, line, size);
    w->raw += size;
    w->lines++;
    if (w->out) {
        fwrite(line, 1, size, w->out);
        fputc('\n', w->out);
    }
    return n + size;
}

static size_t put_stream(struct worker *w, char *out, uint64_t stream, uint64_t from, uint64_t to)
{
    char labels[LABELS_MAX];
    size_t labels_size = log_stream_labels(labels, sizeof(labels), stream);
    size_t n = 5;
    out[0] = 0x0a;
    out[n++] = 0x0a;
    n += put_varint(out + n, labels_size);
    memcpy(out + n, labels, labels_size);
    n += labels_size;
    for (uint64_t i = from; i < to; i++)
        n += put_entry(w, out + n, stream, i);
    fill_size(out + 1, n - 5);
    return n;
}

static bool batch_send(struct worker *w, size_t plain)
{
    size_t size = snappy_max_compressed_length(w->room);
    uint64_t lines = w->lines;
    snappy_compress(w->plain, plain, w->packed, &size);
    for (int attempt = 0; attempt < RETRIES_MAX; attempt++) {
        double start = now_s();
        int status = request_send(w, size);
        if (status / 100 == 2) {
            if (w->latency_count < w->latency_room)
                w->latencies_ms[w->latency_count++] = (now_s() - start) * 1e3;
            w->wire += size;
            return true;
        }
        if (status != 503 && status != 429)
            break;
        w->retries++;
        usleep(20000);
    }
    w->failed += lines > 0;
    return false;
}

static void *worker_run(void *context)
{
    struct worker *w = context;
    const struct load *load = w->load;
    uint64_t first = (uint64_t)(load->streams * w->number / load->connections);
    uint64_t last = (uint64_t)(load->streams * (w->number + 1) / load->connections);
    uint64_t per_stream = (uint64_t)(load->lines / load->streams);
    uint64_t run = (uint64_t)load->request / 210 / (last - first);
    bool ok = w->out || connection_open(w);
    double start = now_s();
    size_t plain = 0, sent = 0;
    if (run < 1)
        run = 1;
    for (uint64_t at = 0; at < per_stream && ok; at += run) {
        uint64_t to = at + run < per_stream ? at + run : per_stream;
        for (uint64_t stream = first; stream < last && ok; stream++) {
            plain += put_stream(w, w->plain + plain, stream, at, to);
            bool full = w->raw - sent >= (uint64_t)load->request;
            if (!full && (stream + 1 < last || to < per_stream))
                continue;
            ok = w->out || batch_send(w, plain);
            plain = 0;
            sent = w->raw;
            double ahead = load->rate == 0
                               ? 0
                               : (double)w->lines * (double)load->connections / (double)load->rate -
                                     (now_s() - start);
            if (ahead > 0)
                usleep((useconds_t)(ahead * 1e6));
        }
    }
    if (w->fd >= 0)
        close(w->fd);
    return NULL;
}

static void worker_init(struct worker *w, const struct load *load, long number)
{
    *w = (struct worker){.load = load, .number = number, .fd = -1};
    long per_run = load->request / 210 + load->streams;
    w->room = (size_t)load->request * 2 + (size_t)per_run * ENTRY_MAX +
              (size_t)load->streams * LABELS_MAX + (size_t)LOG_LINE_MAX * 4096;
    w->plain = xmalloc(w->room);
    w->packed = xmalloc(snappy_max_compressed_length(w->room));
    w->latency_room = (size_t)(load->lines / load->connections) / 100 + 1000;
    w->latencies_ms = xmalloc(w->latency_room * sizeof(double));
    if (load->out && (w->out = fopen(load->out, number ? "a" : "w")) == NULL)
        exit(1);
}

/* ---- the report --------------------------------------------------------------------- */

static int double_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int report(const struct worker *workers, long count, double wall_s)
{
    size_t n = 0;
    struct worker sum = {0};
    for (long i = 0; i < count; i++)
        n += workers[i].latency_count;
    double *all = xmalloc((n + 1) * sizeof(double));
    n = 0;
    for (long i = 0; i < count; i++) {
        const struct worker *w = &workers[i];
        memcpy(all + n, w->latencies_ms, w->latency_count * sizeof(double));
        n += w->latency_count;
        sum.lines += w->lines;
        sum.raw += w->raw;
        sum.wire += w->wire;
        sum.failed += w->failed;
        sum.retries += w->retries;
        if (w->first_failure[0] != '\0')
            fprintf(stderr, "connection %ld: %s\n", i, w->first_failure);
    }
    if (n > 1)
        qsort(all, n, sizeof(double), double_order);
    printf("{\"lines\": %ju, \"raw_bytes\": %ju, \"wire_bytes\": %ju, \"failed\": %ju, "
           "\"retries\": %ju, \"requests\": %zu, \"wall_s\": %.3f, \"p50_ms\": %.3f, "
           "\"p99_ms\": %.3f}\n",
           (uintmax_t)sum.lines, (uintmax_t)sum.raw, (uintmax_t)sum.wire, (uintmax_t)sum.failed,
           (uintmax_t)sum.retries, n, wall_s, n ? all[n / 2] : 0.0, n ? all[n * 99 / 100] : 0.0);
    free(all);
    return sum.failed == 0 ? 0 : 1;
}

static bool option_read(struct load *load, const char *name, const char *value)
{
    struct {
        const char *name;
        long *to;
    } numbers[] = {{"--port", &load->port},       {"--lines", &load->lines},
                   {"--streams", &load->streams}, {"--request", &load->request},
                   {"--hours", &load->hours},     {"--connections", &load->connections},
                   {"--end", &load->end_s},       {"--rate", &load->rate}};
    if (strcmp(name, "--out") == 0) {
        load->out = value;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (strcmp(name, numbers[i].name) == 0) {
            *numbers[i].to = strtol(value, NULL, 10);
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    struct load load = {.port = 9201,
                        .lines = 100000,
                        .streams = 100,
                        .request = 1 << 20,
                        .connections = 2,
                        .hours = 6};
    for (int i = 1; i < argc; i += 2)
        if (i + 1 >= argc || !option_read(&load, argv[i], argv[i + 1])) {
            fprintf(stderr, "unknown option or missing value: %s\n", argv[i]);
            return 2;
        }
    if (load.out)
        load.connections = 1;
    if (load.connections < 1 || load.connections > CONNECTIONS_MAX ||
        load.streams < load.connections || load.lines < load.streams || load.request < 1)
        return 2;
    if (load.end_s == 0)
        load.end_s = (long)time(NULL);
    struct worker *workers = xcalloc((size_t)load.connections, sizeof(*workers));
    pthread_t threads[CONNECTIONS_MAX];
    for (long i = 0; i < load.connections; i++)
        worker_init(&workers[i], &load, i);
    double start = now_s();
    for (long i = 0; i < load.connections; i++)
        if (pthread_create(&threads[i], NULL, worker_run, &workers[i]) != 0)
            return 1;
    for (long i = 0; i < load.connections; i++)
        pthread_join(threads[i], NULL);
    double wall_s = now_s() - start;
    for (long i = 0; i < load.connections; i++)
        if (workers[i].out)
            fclose(workers[i].out);
    return report(workers, load.connections, wall_s);
}
