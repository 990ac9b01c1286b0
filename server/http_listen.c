/*
 * http_listen.c - see http_listen.h.
 */
#include "server/http_listen.h"

#include "base/error.h"
#include "base/number.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 511, HOST_MAX = 256 };

/* Cut `text` at its last colon; brackets around a v6 address go. */
static bool split_address(const char *text, char host[HOST_MAX], const char **port)
{
    const char *colon = strrchr(text, ':');
    uint64_t number; /* getaddrinfo() would cut a larger one to 16 bits */
    if (!colon || !slice_parse_u64(slice_from_text(colon + 1), &number) || number > UINT16_MAX)
        return false;
    size_t size = (size_t)(colon - text);
    const char *from = text;
    if (size >= 2 && text[0] == '[' && colon[-1] == ']') {
        from++;
        size -= 2;
    } else if (memchr(text, ':', size)) {
        return false; /* a bare v6 address is ambiguous */
    }
    if (size >= HOST_MAX)
        return false;
    memcpy(host, from, size);
    host[size] = '\0';
    *port = colon + 1;
    return true;
}

static int bind_one(const struct addrinfo *at)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (at->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static void print_address(int fd, char address[HTTP_ADDRESS_MAX])
{
    struct sockaddr_storage at;
    socklen_t size = sizeof(at);
    char host[200] = "?", port[16] = "?";
    if (getsockname(fd, (struct sockaddr *)&at, &size) == 0)
        getnameinfo((struct sockaddr *)&at, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV);
    if (strchr(host, ':'))
        snprintf(address, HTTP_ADDRESS_MAX, "[%s]:%s", host, port);
    else
        snprintf(address, HTTP_ADDRESS_MAX, "%s:%s", host, port);
}

int http_listen(const char *text, char address[HTTP_ADDRESS_MAX], struct error *err)
{
    char host[HOST_MAX];
    const char *port;
    if (!split_address(text, host, &port)) {
        error_set(err, ERR_INVALID,
                  "listen address \"%s\" is not host:port with a port of at most 65535", text);
        return -1;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    int code = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (code != 0) {
        error_set(err, ERR_INVALID, "listen address \"%s\": %s", text, gai_strerror(code));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = bind_one(at);
    int reason = errno;
    freeaddrinfo(found);
    if (fd < 0) {
        error_set(err, ERR_IO, "listening on %s: %s", text, strerror(reason));
        return -1;
    }
    print_address(fd, address);
    return fd;
}
