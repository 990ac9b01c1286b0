/*
 * call.c - see call.h.
 */
#include "server/call.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "server/routes.h"
#include "storage/store.h"

#include <stdarg.h>
#include <stdio.h>

/* Bodies that are forms, and nothing else, carry parameters. */
static bool body_is_form(const struct http_request *request)
{
    struct slice type = http_request_header(request, "Content-Type");
    size_t semicolon = slice_find_byte(type, ';', 0);
    if (semicolon != SLICE_NOT_FOUND)
        type = slice_sub(type, 0, semicolon);
    return slice_equal_ignore_case(slice_trim(type), SLICE("application/x-www-form-urlencoded"));
}

static bool read_parameters(struct call *call, struct error *err)
{
    struct http_request *request = call->request;
    bool form = request->body.size > 0 && !call->route->is_push && body_is_form(request);
    return (!form || form_parse(&call->form, request->body, err)) &&
           form_parse(&call->form, request->query, err) &&
           url_decode(call->arena, call->name, false, &call->name, err);
}

static bool tenant_is_valid(struct slice tenant)
{
    if (tenant.size == 0 || tenant.size > TENANT_NAME_MAX)
        return false;
    for (size_t i = 0; i < tenant.size; i++) {
        char c = tenant.data[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-';
        if (!good)
            return false;
    }
    return true;
}

/* A query may name several, "a|b"; one that is only repeated is one. */
static bool read_tenants(struct call *call, struct slice header, struct error *err)
{
    struct slice rest = header, first = {NULL, 0}, name;
    bool several = false;
    while (slice_split(&rest, '|', &name)) {
        if (!tenant_is_valid(name))
            return error_set(err, ERR_INVALID,
                             "X-Scope-OrgID: \"%.*s\" is not a tenant name, which has 1 to %d "
                             "letters, digits, '_' and '-'",
                             SLICE_ARG(slice_sub(name, 0, 80)), TENANT_NAME_MAX);
        several = several || (first.size > 0 && !slice_equal(name, first));
        first = name;
    }
    call->tenant = several ? header : first;
    return true;
}

static bool read_tenant(struct call *call, struct error *err)
{
    struct slice header = http_request_header(call->request, "X-Scope-OrgID");
    if (header.size == 0)
        header = SLICE("default");
    if (!call->route->pooled && slice_find_byte(header, '|', 0) < header.size)
        return error_set(err, ERR_INVALID,
                         "X-Scope-OrgID: \"%.*s\" names several tenants, which only queries may",
                         SLICE_ARG(slice_sub(header, 0, 80)));
    return read_tenants(call, header, err);
}

struct call *call_new(struct server *server, struct http_request *request,
                      const struct route *route, struct slice name)
{
    struct call *call = xcalloc(1, sizeof(*call));
    call->server = server;
    call->request = request;
    call->route = route;
    call->name = name;
    call->arena = arena_new_in_budget(CALL_ARENA_MAX);
    call->damage = store_damage_new();
    call->now_ns = clock_now_ns(NULL);
    form_init(&call->form, call->arena);
    struct error err = {0};
    if (read_parameters(call, &err) && read_tenant(call, &err))
        return call;
    call_fail(call, &err);
    call_free(call);
    return NULL;
}

void call_free(struct call *call)
{
    if (!call)
        return;
    if (call->free_state)
        call->free_state(call->state);
    store_damage_free(call->damage);
    arena_free(call->arena);
    free(call);
}

struct buffer *call_body(struct call *call)
{
    return &call->request->response.body;
}

/* ---- errors ----------------------------------------------------------- */

/* How each kind of error looks from outside; text errors have no type. */
static const struct error_form {
    int prometheus;
    const char *type;
    int loki;
} error_forms[] = {
    [ERR_NONE] = {500, "internal", 500},
    [ERR_INVALID] = {400, "bad_data", 400},
    [ERR_LIMIT] = {422, "execution", 400},
    [ERR_TOO_LARGE] = {413, "bad_data", 413},
    [ERR_NOT_FOUND] = {404, "not_found", 404},
    [ERR_UNSUPPORTED] = {400, "bad_data", 400},
    [ERR_EXECUTION] = {422, "execution", 400},
    [ERR_TIMEOUT] = {503, "timeout", 504},
    [ERR_CANCELED] = {STATUS_CLIENT_GONE, "canceled", STATUS_CLIENT_GONE},
    [ERR_RATE] = {429, "too_many_requests", 429},
    [ERR_UNAVAILABLE] = {503, "unavailable", 503},
    [ERR_IO] = {500, "internal", 500},
    [ERR_CORRUPT] = {500, "internal", 500},
    [ERR_BUSY] = {503, "unavailable", 503},
    [ERR_INTERNAL] = {500, "internal", 500},
};

int status_of_error(enum api_family family, enum error_code code)
{
    const struct error_form *form =
        &error_forms[(size_t)code < COUNT_OF(error_forms) ? code : ERR_INTERNAL];
    return family == API_PROMETHEUS ? form->prometheus : form->loki;
}

static const char *type_of_error(enum error_code code)
{
    return error_forms[(size_t)code < COUNT_OF(error_forms) ? code : ERR_INTERNAL].type;
}

void call_fail(struct call *call, const struct error *err)
{
    struct http_response *response = &call->request->response;
    enum api_family family = call->route->family;
    int status = status_of_error(family, err->code);
    if (family != API_PROMETHEUS) {
        http_response_text(response, status, "%s", err->message);
    } else {
        struct json_writer w;
        buffer_clear(&response->body);
        json_writer_init(&w, &response->body);
        json_write_object_begin(&w);
        json_write_key(&w, SLICE("status"));
        json_write_string(&w, SLICE("error"));
        json_write_key(&w, SLICE("errorType"));
        json_write_string(&w, slice_from_text(type_of_error(err->code)));
        json_write_key(&w, SLICE("error"));
        json_write_string(&w, slice_from_text(err->message));
        json_write_object_end(&w);
        response->status = status;
        response->content_type = "application/json";
    }
    if (err->code == ERR_UNAVAILABLE || err->code == ERR_RATE || err->code == ERR_BUSY)
        response->retry_after_s = 5;
}

void call_fail_text(struct call *call, enum error_code code, const char *format, ...)
{
    struct error err = {.code = code};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err.message, sizeof(err.message), format, arguments);
    va_end(arguments);
    call_fail(call, &err);
}

/* ---- answers ---------------------------------------------------------- */

void call_answer_json(struct call *call)
{
    call->request->response.status = 200;
    call->request->response.content_type =
        call->route->family == API_LOKI ? "application/json; charset=UTF-8" : "application/json";
}

void call_answer_text(struct call *call, int status, const char *text)
{
    http_response_text(&call->request->response, status, "%s", text);
}

bool call_has_one_tenant(struct call *call)
{
    if (slice_find_byte(call->tenant, '|', 0) >= call->tenant.size)
        return true;
    call_fail_text(call, ERR_INVALID,
                   "X-Scope-OrgID: \"%.*s\" names several tenants, which only queries may",
                   SLICE_ARG(slice_sub(call->tenant, 0, 80)));
    return false;
}

void call_answer_nothing(struct call *call)
{
    call->request->response.status = 204;
}

void call_json_begin(struct call *call, struct json_writer *w)
{
    json_writer_init(w, call_body(call));
    json_write_object_begin(w);
    json_write_key(w, SLICE("status"));
    json_write_string(w, SLICE("success"));
    json_write_key(w, SLICE("data"));
}

void call_json_end(struct call *call, struct json_writer *w)
{
    json_write_object_end(w);
    call_answer_json(call);
}
