/*
 * call.h - one API request on its way: its parameters, its tenant, its answer.
 *
 * A call is made when the body is in and dies when the answer is sent.  Its
 * arena holds decoded parameters and whatever the handler needs meanwhile.
 * How an error looks is the family's: JSON for Prometheus' endpoints, plain text
 * for Loki's and for pushes.
 */
#ifndef SERVER_CALL_H
#define SERVER_CALL_H

#include "base/compiler.h"
#include "base/error.h"
#include "base/slice.h"
#include "server/form.h"
#include "server/http_server.h"
#include "server/server.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct json_writer;
struct route;

/* The Loki whose API this is. */
#define LOKI_API_VERSION "3.5.0"

enum api_family { API_PLAIN, API_PROMETHEUS, API_LOKI };

enum { CALL_ARENA_MAX = 64 * 1024 * 1024, STATUS_CLIENT_GONE = 499 };

struct call {
    struct server *server;
    struct http_request *request;
    const struct route *route;
    struct arena *arena;
    struct form form;
    struct slice name;           /* what stands for {} in the route's path, decoded */
    struct slice tenant;         /* from X-Scope-OrgID */
    int64_t now_ns;              /* when it came, time of day */
    int64_t queued_ns;           /* how long it waited for a thread */
    struct store_damage *damage; /* what reading names and series had to leave out */
    bool *handed_over; /* a push that runs on a pool thread tells here that it was committed */
    void *state;       /* a push keeps its own here, freed by `free_state` */
    void (*free_state)(void *state);
};

/*
 * Make the call: parse the parameters of URL and body and the tenant.  On failure
 * the response is filled and NULL returned.
 */
struct call *call_new(struct server *server, struct http_request *request,
                      const struct route *route, struct slice name) MUST_CHECK;
void call_free(struct call *call); /* NULL is fine */

struct buffer *call_body(struct call *call);

/* Answer with the error in the family's form. */
void call_fail(struct call *call, const struct error *err);
void call_fail_text(struct call *call, enum error_code code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Status codes of errors, by family. */
int status_of_error(enum api_family family, enum error_code code);

/* A good answer whose body is in call_body(). */
void call_answer_json(struct call *call);
void call_answer_text(struct call *call, int status, const char *text);
void call_answer_nothing(struct call *call); /* 204 */

/* True unless the call names several tenants, which is answered: only queries may. */
bool call_has_one_tenant(struct call *call);

/* {"status":"success","data": ... } around what the caller writes between. */
void call_json_begin(struct call *call, struct json_writer *w);
void call_json_end(struct call *call, struct json_writer *w);

#endif
