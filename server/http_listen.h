/*
 * http_listen.h - a listening socket from text such as 127.0.0.1:9090, [::]:9090 or :9090.
 */
#ifndef SERVER_HTTP_LISTEN_H
#define SERVER_HTTP_LISTEN_H

#include "base/compiler.h"

struct error;

enum { HTTP_ADDRESS_MAX = 300 };

/* The socket, which the caller closes, or -1.  `address` gets what was bound, as host:port. */
int http_listen(const char *text, char address[HTTP_ADDRESS_MAX], struct error *err) MUST_CHECK;

#endif
