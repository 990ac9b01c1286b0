/*
 * batches.c - filling batches ahead and handing them on in order (see batches.h).
 *
 * Batches are numbered; number n lives in slot n % slots.  A slot goes from FREE
 * (claimed by whoever fills it) over FILLING to READY, and to FREE again once the
 * query's thread has handed it on; a batch is claimed only when its slot is free, so
 * memory is bounded by the number of slots.  A helper fills a few batches and then
 * queues up again behind the helpers of other queries: none holds a thread for long.
 * The helpers' pool never runs whole queries, so the query's thread never waits for
 * more than the batches that are being filled.
 */
#include "query/batches.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "query/annotations.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    SHARES = 16,          /* a leaf becomes so many batches, if they are not too small */
    SERIES_MIN = 4,       /* of a batch */
    WORK_MIN = 64 * 1024, /* less is done before a helper is awake */
    HELPER_BATCHES = 4,   /* that a helper fills before it queues up again */
    SLOTS_PER_THREAD = 2,
    THREADS_MAX = 64
};

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_READY };

struct slot {
    enum slot_state state; /* stream.lock */
    bool ok;               /* what follows belongs to who fills it, and then to the query */
    struct evaluation ev;
    struct query_stats stats;
    struct annotations annotations;
    struct arena *notes; /* texts of the annotations */
    struct column_batch batch;
    struct error err;
};

struct stream {
    struct evaluation *ev;   /* for the query's thread alone */
    struct evaluation start; /* as it was at the start: helpers copy it */
    const struct batch_source *source;
    size_t batch_series, batches, slot_count, helpers_max;
    struct slot *slots;
    struct pool_group group;

    pthread_mutex_t lock;
    pthread_cond_t filled;      /* a slot became READY */
    size_t claimed;             /* lock: batches below this have been claimed */
    size_t handed;              /* lock: batches below this have been handed on */
    size_t helpers;             /* lock: queued or running */
    void *workers[THREADS_MAX]; /* lock: those that nobody uses now */
    size_t worker_count;        /* lock */
    bool stop;                  /* atomic: nothing more is wanted */
};

/* ---- filling ------------------------------------------------------------------------- */

/* With the lock: is there a batch to fill, and room for it? */
static bool may_claim(const struct stream *s)
{
    return !__atomic_load_n(&s->stop, __ATOMIC_RELAXED) && s->claimed < s->batches &&
           s->claimed < s->handed + s->slot_count;
}

static void slot_begin(struct stream *s, struct slot *slot)
{
    if (slot->batch.arena == NULL) {
        slot->batch.arena = eval_arena(&s->start);
        slot->notes = eval_arena(&s->start);
    }
    arena_reset(slot->batch.arena);
    slot->batch = (struct column_batch){.arena = slot->batch.arena};
    slot->stats = (struct query_stats){0};
    for (int level = 0; level < ANNOTATION_LEVELS; level++)
        slot->annotations.count[level] = 0;
    slot->annotations.arena = slot->notes;
    slot->annotations.text = s->start.text;
    slot->ev = s->start;
    slot->ev.arena = slot->batch.arena;
    slot->ev.stats = &slot->stats;
    slot->ev.annotations = &slot->annotations;
    slot->ev.samples_held = 0;
    slot->ev.until_check = 0;
    slot->ev.stop = &s->stop;
    slot->err = (struct error){0};
    if (s->start.step_samples) /* over the limit: not counted */
        slot->ev.step_samples = arena_calloc(slot->notes, s->source->steps, sizeof(uint64_t));
}

/* Called and returns with the lock held, gives it up meanwhile. */
static void fill_next(struct stream *s)
{
    size_t number = s->claimed++;
    struct slot *slot = &s->slots[number % s->slot_count];
    void *worker = s->worker_count > 0 ? s->workers[--s->worker_count] : NULL;
    slot->state = SLOT_FILLING;
    pthread_mutex_unlock(&s->lock);
    if (worker == NULL)
        worker = s->source->open(s->source->leaf);
    size_t first = number * s->batch_series, end = first + s->batch_series;
    slot_begin(s, slot);
    slot->ok =
        s->source->fill(worker, &slot->ev, first, end < s->source->series ? end : s->source->series,
                        &slot->batch, &slot->err);
    pthread_mutex_lock(&s->lock);
    s->workers[s->worker_count++] = worker;
    slot->state = SLOT_READY;
    pthread_cond_broadcast(&s->filled);
}

static void help(void *argument);

/* With the lock: as many helpers as there is work for. */
static void call_helpers(struct stream *s)
{
    while (s->helpers < s->helpers_max && may_claim(s) && s->batches - s->claimed > s->helpers) {
        if (!pool_submit(s->start.request->helpers, &s->group, help, s))
            return;
        s->helpers++;
    }
}

static void help(void *argument)
{
    struct stream *s = argument;
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < HELPER_BATCHES && may_claim(s); i++)
        fill_next(s);
    s->helpers--;
    call_helpers(s);
    pthread_mutex_unlock(&s->lock);
}

/* ---- handing on ------------------------------------------------------------------------ */

/* Wait until batch `number` is ready; fill what is to be filled meanwhile. */
static struct slot *await(struct stream *s, size_t number)
{
    struct slot *slot = &s->slots[number % s->slot_count];
    pthread_mutex_lock(&s->lock);
    call_helpers(s);
    while (s->claimed <= number || slot->state != SLOT_READY) {
        if (may_claim(s))
            fill_next(s);
        else
            pthread_cond_wait(&s->filled, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return slot;
}

/* What one thread would have noted, at the same place. */
static bool settle(struct evaluation *ev, struct slot *slot, size_t steps, struct error *err)
{
    ev->stats->samples += slot->stats.samples;
    ev->stats->lines += slot->stats.lines;
    ev->stats->line_bytes += slot->stats.line_bytes;
    ev->stats->lines_after_filter += slot->stats.lines_after_filter;
    ev->varies = ev->varies || slot->ev.varies;
    annotations_merge(ev->annotations, &slot->annotations);
    for (size_t i = 0; ev->step_samples && slot->ev.step_samples && i < steps; i++)
        ev->step_samples[i] += slot->ev.step_samples[i];
    arena_reset(slot->notes);
    int64_t peak = (int64_t)slot->stats.peak_samples;
    if (!eval_hold(ev, peak, err) || !eval_hold(ev, -peak, err))
        return false;
    if (slot->ok)
        return true;
    *err = slot->err;
    return false;
}

static bool hand_on(struct stream *s, struct sink *sink, struct error *err)
{
    for (size_t number = 0; number < s->batches; number++) {
        struct slot *slot = await(s, number);
        if (!settle(s->ev, slot, s->source->steps, err) || !eval_tick(s->ev, CHECK_SAMPLES, err) ||
            ((slot->batch.count > 0 || slot->batch.partial) &&
             !sink->take(sink, &slot->batch, err)))
            return false;
        pthread_mutex_lock(&s->lock);
        slot->state = SLOT_FREE;
        s->handed = number + 1;
        pthread_mutex_unlock(&s->lock);
    }
    return true;
}

/* ---- the stream -------------------------------------------------------------------------- */

static void stream_open(struct stream *s)
{
    const struct batch_source *source = s->source;
    const struct query_request *request = s->ev->request;
    size_t share = (source->series + SHARES - 1) / SHARES;
    s->batch_series = share < SERIES_MIN ? SERIES_MIN : share;
    if (s->batch_series > source->batch_max)
        s->batch_series = source->batch_max;
    s->batches = (source->series + s->batch_series - 1) / s->batch_series;
    uint64_t work_min = request->helpers_from > 0 ? request->helpers_from : WORK_MIN;
    size_t threads = request->helpers && source->work >= work_min ? request->threads : 1;
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    if (threads > s->batches)
        threads = s->batches;
    s->helpers_max = threads > 1 ? threads - 1 : 0;
    s->slot_count = s->helpers_max > 0 ? threads * SLOTS_PER_THREAD : 1;
    s->start = *s->ev;
    s->slots = xcalloc(s->slot_count, sizeof(*s->slots));
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->filled, NULL);
}

static void stream_close(struct stream *s)
{
    __atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
    if (s->helpers_max > 0)
        pool_wait(s->start.request->helpers, &s->group);
    for (size_t i = 0; i < s->worker_count; i++)
        s->source->close(s->workers[i]);
    for (size_t i = 0; i < s->slot_count; i++) {
        arena_free(s->slots[i].batch.arena);
        arena_free(s->slots[i].notes);
    }
    free(s->slots);
    pthread_cond_destroy(&s->filled);
    pthread_mutex_destroy(&s->lock);
}

bool batches_stream(struct evaluation *ev, const struct batch_source *source, struct sink *sink,
                    struct error *err)
{
    if (source->series == 0)
        return true;
    struct stream s = {.ev = ev, .source = source};
    stream_open(&s);
    bool ok = hand_on(&s, sink, err);
    stream_close(&s);
    return ok;
}
