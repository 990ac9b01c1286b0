/*
 * http_client.h - sending HTTP requests.
 *
 * A client holds one connection for reuse and is used by one thread at a time.
 * Only http and https are spoken and redirects are not followed, so that a
 * push never goes where nobody configured it to.  libcurl does the work and is
 * seen in http_client.c only.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/buffer.h"
#include "base/compiler.h"
#include "base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct http_client; /* opaque: fields in http_client.c */

struct http_header {
    const char *name;
    struct slice value; /* must hold no line break */
};

struct http_request {
    const char *method; /* NULL: POST */
    const char *url;
    const struct http_header *headers;
    size_t header_count;
    struct slice body;
    int64_t connect_timeout_ms; /* 0: 5 s */
    int64_t timeout_ms;         /* of the whole exchange; 0: 30 s */
    const atomic_bool *cancel;  /* NULL: never; looked at once a second at least */
};

struct http_response {
    long status;
    int64_t retry_after_ms; /* from Retry-After in seconds; -1: none */
    struct buffer body;     /* its size_max is the limit: init it before the first call */
};

struct http_client *http_client_new(struct error *err) MUST_CHECK;
void http_client_free(struct http_client *client); /* NULL is fine */

/*
 * Send and wait for the whole response.  True for every status.  Fails with
 * ERR_INVALID for a bad URL or header, ERR_TIMEOUT, ERR_CANCELED, ERR_TOO_LARGE when the response
 * is over its limit, ERR_UNAVAILABLE for everything that the network does.
 */
bool http_client_send(struct http_client *client, const struct http_request *request,
                      struct http_response *response, struct error *err) MUST_CHECK;

#endif
