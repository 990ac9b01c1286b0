/* log_shipper.c - from files to the server (see log_shipper.h). */
#include "agents/log_shipper.h"

#include "agents/log_batch.h"
#include "agents/log_files.h"
#include "agents/options.h"
#include "agents/positions.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/log.h"
#include "wire/body.h"

enum {
    BATCH_RAW_MAX = 256 * 1024, /* lines of a batch, before encoding */
    REQUEST_MAX = 8 * 1024 * 1024,
    SEARCH_EVERY_MS = 5000,
    WAIT_MIN_MS = 250,
    WAIT_MAX_MS = 1000,
    ONCE_GIVE_UP_MS = 30000
};

struct log_shipper {
    const struct agent_options *options;
    struct stop *stop;
    struct sender *sender;
    struct log_files files;
    struct log_encoder encoder;
    struct log_batch batch; /* no ranges: none is under way */
    uint64_t epoch, sequence;
    size_t first; /* where the next round begins, so that no file starves the others */
    bool unsaved; /* offsets moved since the positions were written */
    int64_t searched_ns;
    struct buffer request, packed;
    char positions[4096];
};

static bool prepare(struct log_shipper *s, const char *producer, struct error *err)
{
    struct sender_target target = {"/loki/api/v1/push", "application/x-protobuf", producer};
    int size =
        s->options->positions
            ? snprintf(s->positions, sizeof(s->positions), "%s", s->options->positions)
            : snprintf(s->positions, sizeof(s->positions), "%s/positions", s->options->state);
    if (size < 0 || (size_t)size >= sizeof(s->positions))
        return error_set(err, ERR_INVALID, "the path of the positions is too long");
    s->sender = sender_new(s->options, &target, s->stop, err);
    return s->sender && positions_load(s->positions, &s->files, &s->batch, err);
}

struct log_shipper *log_shipper_new(const struct agent_options *options, const char *producer,
                                    uint64_t epoch, const struct label *base, size_t base_count,
                                    struct stop *stop, struct error *err)
{
    struct log_shipper *s = xcalloc(1, sizeof(*s));
    s->options = options;
    s->stop = stop;
    s->epoch = epoch;
    log_files_init(&s->files, options->log_format);
    log_encoder_init(&s->encoder, base, base_count);
    buffer_init(&s->request, REQUEST_MAX);
    buffer_init(&s->packed, REQUEST_MAX);
    if (!prepare(s, producer, err)) {
        log_shipper_free(s);
        return NULL;
    }
    return s;
}

void log_shipper_free(struct log_shipper *s)
{
    if (s == NULL)
        return;
    sender_free(s->sender);
    log_encoder_done(&s->encoder);
    log_files_done(&s->files);
    array_done(&s->batch.ranges);
    buffer_done(&s->request);
    buffer_done(&s->packed);
    free(s);
}

const struct log_counters *log_shipper_counters(const struct log_shipper *s)
{
    return &s->files.counters;
}

const struct sender_counters *log_shipper_sent(const struct log_shipper *s)
{
    return sender_counters(s->sender);
}

static bool plan_file(struct log_shipper *s, struct log_file *file, uint64_t *end)
{
    struct error err = {0};
    if (log_file_plan(&s->files, file, end, &err))
        return *end > file->offset;
    log_warn("cannot read a log", LOG_ERR(&err));
    return false;
}

static const struct log_range *range_of(const struct log_shipper *s, const struct log_file *file)
{
    for (size_t i = 0; i < s->batch.ranges.count; i++) {
        const struct log_range *range = &s->batch.ranges.items[i];
        if (range->identity.inode == file->identity.inode &&
            range->identity.device == file->identity.device)
            return range;
    }
    return NULL;
}

/* After a rotation the old file's lines go first: is there more of it than the batch has? */
static bool must_wait(struct log_shipper *s, const struct log_file *file)
{
    for (size_t i = 0; i < s->files.known.count; i++) {
        struct log_file *older = &s->files.known.items[i];
        if (!log_file_precedes(older, file))
            continue;
        struct log_file rest = *older;
        const struct log_range *range = range_of(s, older);
        uint64_t end;
        if (range)
            rest.offset = range->end;
        if (plan_file(s, &rest, &end))
            return true;
    }
    return false;
}

/* Choose what goes into the next batch. */
static void plan(struct log_shipper *s)
{
    struct log_file_array *known = &s->files.known;
    uint64_t raw = 0;

    s->batch.ranges.count = 0;
    for (size_t i = 0; i < known->count && raw < BATCH_RAW_MAX; i++) {
        struct log_file *file = &known->items[(s->first + i) % known->count];
        uint64_t end;
        if (!plan_file(s, file, &end) || must_wait(s, file))
            continue;
        struct log_range range = {file->identity, file->offset, end};
        array_push(&s->batch.ranges, range);
        raw += end - file->offset;
    }
    s->first++;
    s->batch.epoch = s->epoch;
    s->batch.time_ns = clock_now_ns(NULL);
    if (s->batch.ranges.count > 0)
        s->batch.sequence = ++s->sequence;
}

/* The batch as a request, from the bytes of its ranges.  Ranges of lost files are left out. */
static bool encode(struct log_shipper *s, uint64_t *lines, struct error *err)
{
    int64_t time_ns = s->batch.time_ns;

    buffer_clear(&s->request);
    buffer_clear(&s->packed);
    *lines = 0;
    for (size_t i = 0; i < s->batch.ranges.count; i++) {
        const struct log_range *range = &s->batch.ranges.items[i];
        struct log_file *file = log_files_find(&s->files, range->identity);
        struct slice bytes;
        if (file == NULL || file->offset != range->start)
            continue;
        if (!log_file_read(&s->files, file, range->start, range->end, &bytes, err))
            return false;
        *lines +=
            log_encoder_append(&s->encoder, file->path, file->format, bytes, &time_ns, &s->request);
    }
    return buffer_check(&s->request, "a batch of lines", err) &&
           body_encode(BODY_SNAPPY, buffer_slice(&s->request), &s->packed, err);
}

static void advance(struct log_shipper *s, uint64_t lines)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->batch.ranges.count; i++) {
        const struct log_range *range = &s->batch.ranges.items[i];
        struct log_file *file = log_files_find(&s->files, range->identity);
        if (file == NULL || file->offset != range->start)
            continue;
        log_file_advance(file, range->end);
        bytes += range->end - range->start;
    }
    s->batch.ranges.count = 0;
    s->unsaved = true;
    atomic_fetch_add(&s->files.counters.lines, lines);
    atomic_fetch_add(&s->files.counters.bytes, bytes);
}

/* Without its positions a batch would not be the same after a crash, so none is sent. */
static bool save(struct log_shipper *s)
{
    struct error err = {0};
    if (!positions_save(s->positions, &s->files, &s->batch, &err)) {
        log_error("cannot write the positions", LOG_ERR(&err));
        return false;
    }
    s->unsaved = false;
    return true;
}

/* Send the batch under way.  False when it is still under way. */
static bool send_batch(struct log_shipper *s)
{
    struct error err = {0};
    uint64_t lines;
    if (!encode(s, &lines, &err)) {
        log_error("cannot build a batch of lines", LOG_ERR(&err));
        return false;
    }
    if (lines > 0 && sender_push(s->sender, s->batch.epoch, s->batch.sequence,
                                 buffer_slice(&s->packed)) == SENT_NOT)
        return false;
    advance(s, lines);
    return true;
}

static void search(struct log_shipper *s)
{
    int64_t now = clock_monotonic_ns();
    if (s->searched_ns != 0 && now - s->searched_ns < SEARCH_EVERY_MS * NS_PER_MS)
        return;
    log_files_search(&s->files, s->options->logs, s->options->log_count);
    s->searched_ns = now;
}

bool log_shipper_run(struct log_shipper *s, bool once)
{
    int64_t wait = WAIT_MIN_MS;
    bool ok = true;

    if (once)
        sender_give_up_after(s->sender, ONCE_GIVE_UP_MS);
    search(s);
    while (ok && !stop_is_set(s->stop)) {
        if (s->batch.ranges.count == 0) {
            search(s);
            plan(s);
            if (s->batch.ranges.count > 0 && !save(s))
                s->batch.ranges.count = 0;
        }
        if (s->batch.ranges.count > 0 && send_batch(s)) {
            wait = WAIT_MIN_MS;
            continue;
        }
        if (once) {
            ok = s->batch.ranges.count == 0;
            break;
        }
        if (s->unsaved)
            save(s);
        stop_wait(s->stop, wait, NULL);
        wait = wait * 2 < WAIT_MAX_MS ? wait * 2 : WAIT_MAX_MS;
    }
    if (s->unsaved && !save(s))
        ok = false;
    return ok;
}
