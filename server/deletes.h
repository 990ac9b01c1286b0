/*
 * deletes.h - requests to delete logs: durable, listed, done one after the other.
 *
 * A request is a note in the store before it is answered, and so survives a restart: it is
 * run again then, from its start.  One thread runs what has a pipeline; a plain selector is done
 * before the answer.  Any thread may call the functions below.
 */
#ifndef SERVER_DELETES_H
#define SERVER_DELETES_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deletes; /* opaque: deletes.c */
struct error;
struct store;

enum { DELETE_ID_SIZE = 9, DELETES_PENDING_MAX = 100, DELETES_LISTED_MAX = 1000 };

/* Reads the notes and starts the thread. */
struct deletes *deletes_start(struct store *store, struct error *err) MUST_CHECK;
/* Gives up what runs: it goes on at the next start.  NULL is fine. */
void deletes_stop(struct deletes *deletes);

struct delete_order {
    struct slice tenant, query;
    int64_t start_ns, end_ns; /* both included */
    int64_t created_ns;
};
/* ERR_INVALID for a query that cannot delete, ERR_RATE over DELETES_PENDING_MAX of the tenant. */
bool deletes_add(struct deletes *deletes, const struct delete_order *order, struct error *err)
    MUST_CHECK;

struct delete_state {
    char id[DELETE_ID_SIZE];
    struct delete_order order; /* texts as long as the visit lasts */
    bool processed;
    unsigned percent; /* 0: not begun */
};
/* All of a tenant in the order of their creation. */
void deletes_visit(struct deletes *deletes, struct slice tenant,
                   void (*visit)(void *context, const struct delete_state *state), void *context);

/*
 * Take back a request that is not done; what it has deleted stays deleted.  ERR_NOT_FOUND, or
 * ERR_INVALID when it runs or is done, unless `force`.
 */
bool deletes_cancel(struct deletes *deletes, struct slice tenant, struct slice id, bool force,
                    struct error *err) MUST_CHECK;

#endif
