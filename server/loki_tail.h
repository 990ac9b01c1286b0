/*
 * loki_tail.h - the live tails of a server: /loki/api/v1/tail over WebSocket.
 */
#ifndef SERVER_LOKI_TAIL_H
#define SERVER_LOKI_TAIL_H

struct tails; /* opaque: fields in loki_tail.c */

struct tails *tails_new(void);

/* End every tail and wait for its thread; new ones are refused.  Before the HTTP server drains. */
void tails_stop(struct tails *tails);
void tails_free(struct tails *tails); /* after tails_stop, or without any tail; NULL is fine */

#endif
