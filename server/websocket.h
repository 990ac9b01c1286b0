/*
 * websocket.h - the server's side of RFC 6455, as bytes: handshake and frames, no sockets.
 *
 * The server only sends text, pongs and one close; from clients it takes pings
 * and the close and throws their messages away, within a limit.
 */
#ifndef SERVER_WEBSOCKET_H
#define SERVER_WEBSOCKET_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

enum {
    WEBSOCKET_ACCEPT_MAX = 29,      /* the answer to a key, NUL included */
    WEBSOCKET_INPUT_MAX = 64 * 1024 /* the largest frame of a client */
};

enum websocket_opcode {
    WEBSOCKET_CONTINUE = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10
};

enum websocket_status {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_TOO_BIG = 1009,
    WEBSOCKET_FAILED = 1011
};

/* Do these headers ask for version 13?  Then `accept` is what Sec-WebSocket-Accept says. */
bool websocket_accept(struct slice upgrade, struct slice connection, struct slice version,
                      struct slice key, char accept[WEBSOCKET_ACCEPT_MAX]);

/* Append one whole frame of the server. */
void websocket_append(struct buffer *out, enum websocket_opcode opcode, struct slice payload);
/* A close with its status and reason (cut to 123 bytes). */
void websocket_append_close(struct buffer *out, enum websocket_status status, const char *reason);

enum websocket_event {
    WEBSOCKET_MORE,    /* the frame is not complete */
    WEBSOCKET_MESSAGE, /* data of the client, or a pong: nothing to do */
    WEBSOCKET_PINGED,  /* send a pong with `payload` */
    WEBSOCKET_CLOSED,  /* the client closes: send a close and end */
    WEBSOCKET_WRONG    /* against the protocol: close with `status` */
};

struct websocket_frame {
    size_t size;                /* of the frame; 0 when it is not complete */
    unsigned char payload[125]; /* of control frames, unmasked */
    size_t payload_size;
    enum websocket_status status;
};

/* Look at the first frame of what came in; `frame->size` bytes of it are used up. */
enum websocket_event websocket_read(struct slice input, struct websocket_frame *frame);

#endif
