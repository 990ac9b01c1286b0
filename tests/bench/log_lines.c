/* log_lines.c - the lines of the log benches (see log_lines.h). */
#include "tests/bench/log_lines.h"

#include "base/compiler.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct writer {
    char *at, *end;
    uint64_t random;
};

static uint64_t random_next(struct writer *w)
{
    w->random += 0x9e3779b97f4a7c15u;
    uint64_t z = w->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t below(struct writer *w, uint64_t limit)
{
    return (uint64_t)(((unsigned __int128)random_next(w) * limit) >> 64);
}

static void put(struct writer *w, const char *text)
{
    size_t size = strlen(text);
    if (size > (size_t)(w->end - w->at))
        size = (size_t)(w->end - w->at);
    memcpy(w->at, text, size);
    w->at += size;
}

static void put_number(struct writer *w, uint64_t number)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(w, digits + at);
}

static void put_hex(struct writer *w, size_t digits)
{
    char text[40];
    uint64_t bits = 0;
    for (size_t i = 0; i < digits; i++) {
        if (i % 16 == 0)
            bits = random_next(w);
        text[i] = "0123456789abcdef"[bits & 15];
        bits >>= 4;
    }
    text[digits] = '\0';
    put(w, text);
}

#define PICK(w, list) ((list)[below(w, sizeof(list) / sizeof((list)[0]))])

static const char *const verbs[] = {"GET", "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE"};
static const char *const paths[] = {
    "/api/v1/payments", "/api/v1/orders", "/api/v1/users", "/api/v1/cart",   "/api/v2/search",
    "/login",           "/checkout",      "/healthz",      "/static/app.js", "/api/v1/items"};
static const char *const words[] = {"confirm", "refund", "capture", "list",   "detail", "void",
                                    "history", "export", "status",  "update", "cancel", "retry"};
static const char *const messages[] = {
    "request handled",
    "cache miss, loading from store",
    "Connection pool exhausted, waiting for a free slot",
    "payment authorised by provider",
    "retrying upstream call after timeout",
    "user session refreshed",
    "slow query took longer than threshold",
    "order state changed from pending to shipped",
    "background job finished without errors",
    "token validated against issuer",
    "message published to topic orders.events",
    "circuit breaker closed again",
};
static const char *const agents[] = {
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Version/17.4 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "okhttp/4.12.0",
    "curl/8.5.0",
    "kube-probe/1.29",
};

static const char *level_of(struct writer *w)
{
    uint64_t n = below(w, 100);
    return n < 70 ? "info" : n < 85 ? "debug" : n < 94 ? "warn" : "error";
}

static uint64_t status_of(struct writer *w)
{
    uint64_t n = below(w, 1000);
    return n < 850 ? 200 : n < 900 ? 201 : n < 950 ? 404 : n < 970 ? 302 : n < 990 ? 500 : 503;
}

static void put_time(struct writer *w, int64_t time_ns, bool access)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm t;
    char text[96];
    gmtime_r(&seconds, &t);
    if (access)
        snprintf(text, sizeof(text), "%02d/%s/%d:%02d:%02d:%02d +0000", t.tm_mday, months[t.tm_mon],
                 t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    else
        snprintf(text, sizeof(text), "%d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900,
                 t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec,
                 (int)(time_ns / 1000000 % 1000));
    put(w, text);
}

static void put_message(struct writer *w, uint64_t needle)
{
    put(w, PICK(w, messages));
    if (needle > 0) {
        put(w, " " LOG_NEEDLE "-");
        put_number(w, needle);
    }
}

static void make_logfmt(struct writer *w, int64_t time_ns, uint64_t needle)
{
    put(w, "ts=");
    put_time(w, time_ns, false);
    put(w, " level=");
    put(w, level_of(w));
    put(w, " component=http-server caller=handler.go:");
    put_number(w, 10 + below(w, 400));
    put(w, " trace_id=");
    put_hex(w, 32);
    put(w, " method=");
    put(w, PICK(w, verbs));
    put(w, " path=");
    put(w, paths[below(w, 6)]);
    put(w, "/");
    put(w, PICK(w, words));
    put(w, " status=");
    put_number(w, status_of(w));
    put(w, " duration=");
    put_number(w, 1 + below(w, 50) * below(w, 50));
    put(w, "ms user=u");
    put_number(w, below(w, 200000));
    put(w, " msg=\"");
    put_message(w, needle);
    put(w, "\"");
}

static void make_json(struct writer *w, int64_t time_ns, uint64_t needle)
{
    put(w, "{\"ts\":\"");
    put_time(w, time_ns, false);
    put(w, "\",\"level\":\"");
    put(w, level_of(w));
    put(w, "\",\"logger\":\"shop.http.server\",\"msg\":\"");
    put_message(w, needle);
    put(w, "\",\"trace_id\":\"");
    put_hex(w, 32);
    put(w, "\",\"user\":{\"id\":");
    put_number(w, below(w, 200000));
    put(w, "},\"duration_ms\":");
    put_number(w, 1 + below(w, 50) * below(w, 50));
    put(w, ".");
    put_number(w, below(w, 10));
    put(w, ",\"status\":");
    put_number(w, status_of(w));
    put(w, ",\"items\":");
    put_number(w, below(w, 12));
    put(w, "}");
}

static void make_access(struct writer *w, int64_t time_ns)
{
    put_number(w, 10 + below(w, 180));
    for (int i = 0; i < 3; i++) {
        put(w, ".");
        put_number(w, below(w, 256));
    }
    put(w, " - - [");
    put_time(w, time_ns, true);
    put(w, "] \"");
    put(w, PICK(w, verbs));
    put(w, " ");
    put(w, PICK(w, paths));
    put(w, "?id=");
    put_number(w, below(w, 1000000));
    put(w, " HTTP/1.1\" ");
    put_number(w, status_of(w));
    put(w, " ");
    put_number(w, 100 + below(w, 60000));
    put(w, " \"-\" \"");
    put(w, PICK(w, agents));
    put(w, "\" 0.");
    put_number(w, 100 + below(w, 900));
}

size_t log_line_make(char *out, uint64_t stream, uint64_t number, int64_t time_ns, uint64_t needle)
{
    struct writer w = {out, out + LOG_LINE_MAX, stream * 0x2545f4914f6cdd1du ^ number << 20};
    random_next(&w);
    uint64_t kind = below(&w, 100);
    if (kind < 40)
        make_logfmt(&w, time_ns, needle);
    else if (kind < 70 || needle > 0)
        make_json(&w, time_ns, needle);
    else
        make_access(&w, time_ns);
    return (size_t)(w.at - out);
}

size_t log_stream_labels(char *out, size_t room, uint64_t stream)
{
    static const char *const apps[] = {"payments", "orders", "users", "cart", "search"};
    int size = snprintf(out, room,
                        "{app=\"%s\",cluster=\"eu-1\",container=\"main\",namespace=\"shop-%ju\","
                        "pod=\"%s-%05ju\"}",
                        apps[stream % COUNT_OF(apps)], (uintmax_t)(stream % 4),
                        apps[stream % COUNT_OF(apps)], (uintmax_t)stream);
    return size > 0 ? (size_t)size : 0;
}
