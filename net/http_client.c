/* http_client.c - the HTTP client on libcurl (see http_client.h). */
#include "net/http_client.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/number.h"

#include <curl/curl.h>
#include <pthread.h>

enum { CONNECT_TIMEOUT_MS = 5000, TIMEOUT_MS = 30000, HEADER_MAX = 8192, SHOWN = 200 };
enum { RETRY_AFTER_MAX_S = 24 * 60 * 60 };

struct http_client {
    CURL *curl;
    char problem[CURL_ERROR_SIZE];
};

/* What the callbacks of one exchange need. */
struct exchange {
    struct http_response *response;
    const atomic_bool *cancel;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start_library(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct http_client *http_client_new(struct error *err)
{
    pthread_once(&once, start_library);
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return error_null(err, ERR_UNAVAILABLE, "no memory for an HTTP client");
    struct http_client *client = xcalloc(1, sizeof(*client));
    client->curl = curl;
    return client;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    free(client);
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    buffer_append(&exchange->response->body, data, size * count);
    return exchange->response->body.failed ? 0 : size * count;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    struct slice line = slice_of(data, size * count), name;
    uint64_t seconds;

    if (slice_split(&line, ':', &name) && slice_equal_ignore_case(name, SLICE("retry-after")) &&
        slice_parse_u64(slice_trim(line), &seconds)) {
        if (seconds > RETRY_AFTER_MAX_S)
            seconds = RETRY_AFTER_MAX_S;
        exchange->response->retry_after_ms = (int64_t)seconds * 1000;
    }
    return size * count;
}

static int look_at_cancel(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct exchange *exchange = context;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return exchange->cancel && atomic_load(exchange->cancel);
}

static void headers_drop(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

static bool has_line_break(struct slice s)
{
    return slice_find_byte(s, '\r', 0) != SLICE_NOT_FOUND ||
           slice_find_byte(s, '\n', 0) != SLICE_NOT_FOUND;
}

static bool add_header(struct curl_slist **list, const struct http_header *header,
                       struct error *err)
{
    char line[HEADER_MAX];
    int size = snprintf(line, sizeof(line), "%s: %.*s", header->name, SLICE_ARG(header->value));
    if (size < 0 || (size_t)size >= sizeof(line) || has_line_break(slice_of(line, (size_t)size)))
        return error_set(err, ERR_INVALID, "header %s is too long or holds a line break",
                         header->name);
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL)
        return error_set(err, ERR_UNAVAILABLE, "no memory for the headers of a request");
    *list = longer;
    return true;
}

static bool explain(const struct http_client *client, CURLcode code,
                    const struct http_request *request, const struct http_response *response,
                    struct error *err)
{
    const char *why = client->problem[0] ? client->problem : curl_easy_strerror(code);
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return error_set(err, ERR_INVALID, "%.*s: %s", SHOWN, request->url, why);
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(err, ERR_TIMEOUT, "%.*s: %s", SHOWN, request->url, why);
    case CURLE_ABORTED_BY_CALLBACK:
        return error_set(err, ERR_CANCELED, "%.*s: canceled", SHOWN, request->url);
    case CURLE_WRITE_ERROR:
        return error_set(err, ERR_TOO_LARGE,
                         "%.*s: the response has more than %zu bytes, the limit", SHOWN,
                         request->url, response->body.size_max);
    default:
        return error_set(err, ERR_UNAVAILABLE, "%.*s: %s", SHOWN, request->url, why);
    }
}

static void set_options(CURL *curl, const struct http_request *request, struct exchange *exchange,
                        struct curl_slist *headers)
{
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(
        curl, CURLOPT_CONNECTTIMEOUT_MS,
        (long)(request->connect_timeout_ms ? request->connect_timeout_ms : CONNECT_TIMEOUT_MS));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                     (long)(request->timeout_ms ? request->timeout_ms : TIMEOUT_MS));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_at_cancel);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 16384L);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    if (request->body.size > 0 || request->method == NULL) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.data ? request->body.data : "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    }
    if (request->method)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

bool http_client_send(struct http_client *client, const struct http_request *request,
                      struct http_response *response, struct error *err)
{
    static const struct http_header none[] = {{"Expect", {"", 0}}}; /* no 100-continue dance */
    AUTO(headers_drop) struct curl_slist *headers = NULL;
    struct exchange exchange = {.response = response, .cancel = request->cancel};

    if (!add_header(&headers, &none[0], err))
        return false;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!add_header(&headers, &request->headers[i], err))
            return false;
    }
    buffer_clear(&response->body);
    response->status = 0;
    response->retry_after_ms = -1;

    CURL *curl = client->curl;
    curl_easy_reset(curl); /* keeps the connection */
    client->problem[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->problem);
    set_options(curl, request, &exchange, headers);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response->status);
    bool ok = code == CURLE_OK || explain(client, code, request, response, err);
    curl_easy_reset(curl); /* nothing of this call's stays behind */
    return ok;
}
