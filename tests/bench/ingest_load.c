/*
 * ingest_load.c - sends remote-write requests as fast as a server takes them.
 *
 *     bench-ingest-load --port 9090 --series 50000 --samples 240 ...
 *
 * The series are those of hosts with 300 series each: 60% counters, 25% gauges
 * with two decimals in a random walk, 10% constants, 5% floats of full
 * precision; 201 metric names, 9 to 11 labels.  With `--node 1` they are named as
 * an exporter's: per host 224 series node_* on one instance, 32 of them
 * node_cpu_seconds_total and 4 node_filesystem_avail_bytes, and 76 of an
 * application on another.  A request carries one sample of
 * each of `--batch` series at one scrape's time; each series always travels on
 * the same connection, so its samples arrive in order.  Label bytes are encoded
 * once: what is timed is the server.  Prints one line of JSON.
 */
#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HOST_SERIES = 300,
    NODE_SERIES = 224, /* of a host, with --node */
    NODE_CPU = 32,
    NODE_DISKS = 4,
    NAMES = 201,
    LABELS_SIZE_MAX = 1024,
    CONNECTIONS_MAX = 16,
    AHEAD_MAX = 4, /* scrapes by which one connection may lead another */
    RETRIES_MAX = 200
};

enum shape { COUNTER, GAUGE, CONSTANT, FLOAT };

struct series {
    char *labels; /* encoded label fields */
    uint32_t labels_size;
    enum shape shape;
    int64_t level;
};

struct load {
    const char *address;
    const char *path;
    long port, series_count, samples, batch, connections, step_ms, jitter_ms, start_ms, node;
    struct series *series;
    long done[CONNECTIONS_MAX]; /* scrapes sent by each connection */
    pthread_mutex_t lock;       /* guards done */
    pthread_cond_t moved;
};

struct worker {
    struct load *load;
    long number;
    int fd;
    uint64_t random;
    char *plain, *packed;
    size_t plain_room, packed_room;
    double *latencies_ms;
    size_t latency_count, latency_room;
    uint64_t samples, failed, retries, bytes, plain_bytes;
    char first_failure[512];
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* ---- the series ----------------------------------------------------------------- */

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

static size_t put_label(char *out, const char *name, const char *value)
{
    size_t name_size = strlen(name), value_size = strlen(value), n = 0;
    size_t inner = 2 + name_size + 2 + value_size; /* both shorter than 128 bytes */
    out[n++] = 0x0a;
    n += put_varint(out + n, inner);
    out[n++] = 0x0a;
    n += put_varint(out + n, name_size);
    memcpy(out + n, name, name_size);
    n += name_size;
    out[n++] = 0x12;
    n += put_varint(out + n, value_size);
    memcpy(out + n, value, value_size);
    return n + value_size;
}

static enum shape shape_of(long in_host)
{
    long part = in_host * 100 / HOST_SERIES;
    return part < 60 ? COUNTER : part < 85 ? GAUGE : part < 95 ? CONSTANT : FLOAT;
}

/* Labels sorted by name, as senders do. */
static void series_make(struct series *s, long number)
{
    static const char *const modes[] = {"idle",    "iowait", "irq",    "nice",
                                        "softirq", "steal",  "system", "user"};
    static const char *const kinds[] = {"total", "bytes", "value", "ratio"};
    long host = number / HOST_SERIES, in_host = number % HOST_SERIES;
    char out[LABELS_SIZE_MAX], text[96];
    size_t n = 0;
    s->shape = shape_of(in_host);
    s->level = 100000 + number * 7919 % 1000000;
    snprintf(text, sizeof(text), "node_subsystem%ld_things_%s", in_host % NAMES, kinds[s->shape]);
    n += put_label(out + n, "__name__", text);
    n += put_label(out + n, "cluster", host % 2 ? "eu-1" : "us-1");
    snprintf(text, sizeof(text), "%ld", in_host / NAMES * 8 + in_host % 8);
    n += put_label(out + n, "cpu", text);
    if (in_host % 3 == 0)
        n += put_label(out + n, "device", in_host % 2 ? "nvme0n1" : "eth0");
    n += put_label(out + n, "env", "production");
    snprintf(text, sizeof(text), "host-%05ld.example.internal:9100", host);
    n += put_label(out + n, "instance", text);
    n += put_label(out + n, "job", "node");
    n += put_label(out + n, "mode", modes[in_host % 8]);
    if (in_host % 2 == 0)
        n += put_label(out + n, "rack", host % 4 == 0 ? "r1" : host % 4 == 1 ? "r2" : "r3");
    n += put_label(out + n, "region", host % 2 ? "eu-central" : "us-east");
    n += put_label(out + n, "team", host % 3 ? "platform" : "storage");
    s->labels = xmemdup(out, n);
    s->labels_size = (uint32_t)n;
}

/* The same host as a node exporter and an application would name its series. */
static void series_make_node(struct series *s, long number)
{
    static const char *const modes[] = {"idle",    "iowait", "irq",    "nice",
                                        "softirq", "steal",  "system", "user"};
    static const char *const kinds[] = {"total", "bytes", "value", "ratio"};
    long host = number / HOST_SERIES + 1, in_host = number % HOST_SERIES;
    bool cpu = in_host < NODE_CPU, disk = !cpu && in_host < NODE_CPU + NODE_DISKS;
    bool node = in_host < NODE_SERIES;
    char out[LABELS_SIZE_MAX], name[96], device[32], instance[96], core[16];
    size_t n = 0;
    s->shape = cpu ? COUNTER : disk ? GAUGE : shape_of(in_host);
    s->level = 100000 + number * 7919 % 1000000;
    snprintf(core, sizeof(core), "%ld", in_host / 8);
    snprintf(device, sizeof(device), "/dev/nvme%ldn1", in_host % NODE_DISKS);
    snprintf(instance, sizeof(instance), "host-%04ld.example.internal:%d", host,
             node ? 9100 : 8080);
    snprintf(name, sizeof(name), "%s_subsystem%ld_things_%s", node ? "node" : "app",
             in_host % (NAMES - 2), kinds[s->shape]);
    n += put_label(out + n, "__name__",
                   cpu    ? "node_cpu_seconds_total"
                   : disk ? "node_filesystem_avail_bytes"
                          : name);
    n += put_label(out + n, "cluster", host % 2 ? "eu-1" : "us-1");
    if (cpu)
        n += put_label(out + n, "cpu", core);
    if (disk)
        n += put_label(out + n, "device", device);
    n += put_label(out + n, "env", "production");
    n += put_label(out + n, "instance", instance);
    n += put_label(out + n, "job", node ? "node" : "app");
    if (cpu)
        n += put_label(out + n, "mode", modes[in_host % 8]);
    n += put_label(out + n, "rack", host % 4 == 0 ? "r1" : host % 4 == 1 ? "r2" : "r3");
    n += put_label(out + n, "region", host % 2 ? "eu-central" : "us-east");
    n += put_label(out + n, "team", host % 3 ? "platform" : "storage");
    s->labels = xmemdup(out, n);
    s->labels_size = (uint32_t)n;
}

static double value_next(struct series *s, uint64_t *random)
{
    uint64_t r = random_next(random) >> 20;
    switch (s->shape) {
    case COUNTER:
        s->level += (int64_t)(r % 500);
        return (double)s->level;
    case GAUGE:
        s->level += (int64_t)(r % 401) - 200;
        return (double)s->level / 100;
    case CONSTANT:
        return (double)s->level;
    default:
        return (double)(r & 0xfffffffffffu) / 17592186044416.0 * 100.0 / 3.0;
    }
}

/* ---- HTTP ------------------------------------------------------------------------ */

static bool connection_open(struct worker *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->load->port)};
    inet_pton(AF_INET, w->load->address, &to.sin_addr);
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

/* Read one answer; its status, or 0 when the connection broke.  The body goes to `text`. */
static int answer_read(int fd, char *text, size_t room)
{
    size_t have = 0;
    for (;;) {
        ssize_t n = recv(fd, text + have, room - 1 - have, 0);
        if (n <= 0)
            return 0;
        have += (size_t)n;
        text[have] = '\0';
        char *body = strstr(text, "\r\n\r\n");
        if (body == NULL)
            continue;
        char *length = strcasestr(text, "content-length:");
        size_t wanted = length && length < body ? (size_t)strtoul(length + 15, NULL, 10) : 0;
        if (have >= (size_t)(body + 4 - text) + wanted || have == room - 1)
            return (int)strtol(text + 9, NULL, 10);
    }
}

static int request_send(struct worker *w, size_t size)
{
    char head[512], answer[8192];
    int n = snprintf(head, sizeof(head),
                     "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-protobuf\r\n"
                     "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     w->load->path, size);
    if (!send_all(w->fd, head, (size_t)n) || !send_all(w->fd, w->packed, size))
        return 0;
    int status = answer_read(w->fd, answer, sizeof(answer));
    if (status / 100 != 2 && w->first_failure[0] == '\0')
        snprintf(w->first_failure, sizeof(w->first_failure), "%.500s", answer);
    return status;
}

/* ---- sending --------------------------------------------------------------------- */

static size_t request_make(struct worker *w, long first, long last, int64_t time_ms)
{
    size_t n = 0;
    for (long i = first; i < last; i++) {
        struct series *s = &w->load->series[i];
        double value = value_next(s, &w->random);
        char sample[24];
        size_t sample_size = 0;
        sample[sample_size++] = 0x09;
        memcpy(sample + sample_size, &value, 8);
        sample_size += 8;
        sample[sample_size++] = 0x10;
        sample_size += put_varint(sample + sample_size, (uint64_t)time_ms);
        w->plain[n++] = 0x0a;
        n += put_varint(w->plain + n, s->labels_size + 2 + sample_size);
        memcpy(w->plain + n, s->labels, s->labels_size);
        n += s->labels_size;
        w->plain[n++] = 0x12;
        w->plain[n++] = (char)sample_size;
        memcpy(w->plain + n, sample, sample_size);
        n += sample_size;
    }
    w->plain_bytes += n;
    size_t packed = w->packed_room;
    snappy_compress(w->plain, n, w->packed, &packed);
    return packed;
}

static bool batch_send(struct worker *w, long first, long last, int64_t time_ms)
{
    size_t size = request_make(w, first, last, time_ms);
    for (int attempt = 0; attempt < RETRIES_MAX; attempt++) {
        double start = now_s();
        int status = request_send(w, size);
        if (status / 100 == 2) {
            w->latencies_ms[w->latency_count++] = (now_s() - start) * 1e3;
            w->samples += (uint64_t)(last - first);
            w->bytes += size;
            return true;
        }
        if (status != 503 && status != 429)
            break;
        w->retries++;
        usleep(20000);
    }
    w->failed += (uint64_t)(last - first);
    return false;
}

/* Wait until no connection is far behind. */
static void pace(struct worker *w, long scrape)
{
    struct load *load = w->load;
    pthread_mutex_lock(&load->lock);
    load->done[w->number] = scrape;
    pthread_cond_broadcast(&load->moved);
    for (;;) {
        long least = scrape;
        for (long i = 0; i < load->connections; i++)
            if (load->done[i] < least)
                least = load->done[i];
        if (scrape - least <= AHEAD_MAX)
            break;
        pthread_cond_wait(&load->moved, &load->lock);
    }
    pthread_mutex_unlock(&load->lock);
}

static void *worker_run(void *context)
{
    struct worker *w = context;
    struct load *load = w->load;
    long requests = (load->series_count + load->batch - 1) / load->batch;
    long from = requests * w->number / load->connections;
    long to = requests * (w->number + 1) / load->connections;
    bool ok = connection_open(w);
    for (long scrape = 0; scrape < load->samples && ok; scrape++) {
        for (long r = from; r < to && ok; r++) {
            long first = r * load->batch, last = first + load->batch;
            int64_t time_ms = load->start_ms + scrape * load->step_ms;
            if (load->jitter_ms > 0) /* one per request: what one target's scrape shares */
                time_ms += (int64_t)(random_next(&w->random) % (uint64_t)(2 * load->jitter_ms + 1));
            ok = batch_send(w, first, last < load->series_count ? last : load->series_count,
                            time_ms);
        }
        pace(w, scrape + 1);
    }
    pthread_mutex_lock(&load->lock);
    load->done[w->number] = load->samples + AHEAD_MAX;
    pthread_cond_broadcast(&load->moved);
    pthread_mutex_unlock(&load->lock);
    close(w->fd);
    return NULL;
}

static void worker_init(struct worker *w, struct load *load, long number)
{
    long requests = (load->series_count + load->batch - 1) / load->batch + 1;
    *w = (struct worker){.load = load, .number = number, .fd = -1};
    w->random = 88172645463325252u + (uint64_t)number * 7919;
    w->plain_room = (size_t)load->batch * (LABELS_SIZE_MAX + 64);
    w->plain = xmalloc(w->plain_room);
    w->packed_room = snappy_max_compressed_length(w->plain_room);
    w->packed = xmalloc(w->packed_room);
    w->latency_room = (size_t)requests * (size_t)load->samples;
    w->latencies_ms = xmalloc(w->latency_room * sizeof(double));
}

/* ---- the report ------------------------------------------------------------------- */

static int double_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int report(const struct worker *workers, long count, double wall_s)
{
    size_t n = 0;
    uint64_t samples = 0, failed = 0, retries = 0, bytes = 0, plain = 0;
    for (long i = 0; i < count; i++)
        n += workers[i].latency_count;
    double *all = xmalloc((n + 1) * sizeof(double));
    n = 0;
    for (long i = 0; i < count; i++) {
        const struct worker *w = &workers[i];
        memcpy(all + n, w->latencies_ms, w->latency_count * sizeof(double));
        n += w->latency_count;
        samples += w->samples;
        failed += w->failed;
        retries += w->retries;
        bytes += w->bytes;
        plain += w->plain_bytes;
        if (w->first_failure[0] != '\0')
            fprintf(stderr, "connection %ld: %s\n", i, w->first_failure);
    }
    qsort(all, n, sizeof(double), double_order);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"samples\": %ju, \"failed\": %ju, \"retries\": %ju, \"requests\": %zu, "
           "\"wire_bytes\": %ju, \"plain_bytes\": %ju, \"wall_s\": %.3f, \"p50_ms\": %.3f, "
           "\"p99_ms\": %.3f, \"max_ms\": %.3f, \"client_cpu_s\": %.3f}\n",
           (uintmax_t)samples, (uintmax_t)failed, (uintmax_t)retries, n, (uintmax_t)bytes,
           (uintmax_t)plain, wall_s, n ? all[n / 2] : 0.0, n ? all[n * 99 / 100] : 0.0,
           n ? all[n - 1] : 0.0,
           (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
               (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6);
    free(all);
    return failed == 0 && samples > 0 ? 0 : 1;
}

static bool option_read(struct load *load, const char *name, const char *value)
{
    struct {
        const char *name;
        long *to;
    } numbers[] = {{"--port", &load->port},
                   {"--series", &load->series_count},
                   {"--samples", &load->samples},
                   {"--batch", &load->batch},
                   {"--connections", &load->connections},
                   {"--step-ms", &load->step_ms},
                   {"--jitter-ms", &load->jitter_ms},
                   {"--start-ms", &load->start_ms},
                   {"--node", &load->node}};
    if (strcmp(name, "--path") == 0) {
        load->path = value;
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
    struct load load = {.address = "127.0.0.1",
                        .path = "/api/v1/write",
                        .port = 9090,
                        .series_count = 5000,
                        .samples = 240,
                        .batch = 2000,
                        .connections = 2,
                        .step_ms = 15000};
    for (int i = 1; i < argc; i += 2)
        if (i + 1 >= argc || !option_read(&load, argv[i], argv[i + 1])) {
            fprintf(stderr, "unknown option or missing value: %s\n", argv[i]);
            return 2;
        }
    if (load.connections < 1 || load.connections > CONNECTIONS_MAX || load.series_count < 1 ||
        load.samples < 1 || load.batch < 1)
        return 2;
    if (load.start_ms == 0)
        load.start_ms = ((long)time(NULL) - 60) * 1000 / load.step_ms * load.step_ms -
                        load.samples * load.step_ms;
    pthread_mutex_init(&load.lock, NULL);
    pthread_cond_init(&load.moved, NULL);
    load.series = xcalloc((size_t)load.series_count, sizeof(*load.series));
    for (long i = 0; i < load.series_count; i++)
        (load.node ? series_make_node : series_make)(&load.series[i], i);
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
    return report(workers, load.connections, now_s() - start);
}
