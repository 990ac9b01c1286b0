/*
 * start_page.c - GET /: the page of web/index.html, which the build embeds.
 */
#include "base/buffer.h"
#include "server/api.h"
#include "server/call.h"
#include "web/page.h"

void page_start(struct call *call)
{
    struct http_response *response = &call->request->response;
    buffer_append_slice(&response->body, web_page());
    response->status = 200;
    response->content_type = "text/html; charset=utf-8";
    http_response_header(response, "Cache-Control", "no-cache");
    http_response_header(response, "Content-Security-Policy",
                         "default-src 'none'; style-src 'unsafe-inline'; script-src "
                         "'unsafe-inline'; connect-src 'self'; img-src data:");
    http_response_header(response, "X-Content-Type-Options", "nosniff");
}
