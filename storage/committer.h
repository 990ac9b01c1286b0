/*
 * committer.h - the WAL writer: the one thread that writes the log and applies it.
 *
 * Batches queue up; the thread takes all that wait as one group, so one sync
 * covers everything that arrived during the sync before.  There is no timer.
 */
#ifndef STORAGE_COMMITTER_H
#define STORAGE_COMMITTER_H

#include "base/compiler.h"

#include <stdbool.h>

struct batch;
struct committer; /* opaque: fields in committer.c */
struct error;
struct store;

/* Takes batches into its queue from now on. */
struct committer *committer_new(struct store *store);

/* After replay and committer_roll(): starts the thread. */
bool committer_start(struct committer *committer, struct error *err) MUST_CHECK;

/* Instead, when it cannot be started: refuses what has queued up, and all that comes. */
void committer_refuse(struct committer *committer, const struct error *cause);

/* Waits until the queue is empty and ends the thread.  `abandon`: drops the queue instead. */
void committer_stop(struct committer *committer, bool abandon);
void committer_free(struct committer *committer); /* NULL is fine */

/* False when the store takes no writes: then the batch was not taken. */
bool committer_enqueue(struct committer *committer, struct batch *batch, struct error *err);

/* Does the log take writes?  After a full disk one try a second is let through. */
bool committer_writable(struct committer *committer, struct error *err);

/* Has the last write failed?  True fills `err`. */
bool committer_problem(struct committer *committer, struct error *err);

/* While the thread does not run: start an empty segment, so that all others may go. */
bool committer_roll(struct committer *committer, struct error *err) MUST_CHECK;

#endif
