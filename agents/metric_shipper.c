/* metric_shipper.c - see metric_shipper.h. */
#include "agents/metric_shipper.h"

#include "agents/options.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/log.h"
#include "wire/body.h"

enum { SPOOL_MAX = 64 * 1024 * 1024, BATCH_MAX = 8 * 1024 * 1024 };
enum { WAIT_MS = 5000, ONCE_GIVE_UP_MS = 30000 };

bool metric_shipper_open(struct metric_shipper *m, const struct agent_options *options,
                         const char *producer, struct stop *stop, struct error *err)
{
    struct sender_target target = {"/api/v1/write", "application/x-protobuf", producer};
    char directory[4096];
    *m = (struct metric_shipper){.stop = stop};
    int size = snprintf(directory, sizeof(directory), "%s/metrics", options->state);
    if (size < 0 || (size_t)size >= sizeof(directory))
        return error_set(err, ERR_INVALID, "--state %s is too long", options->state);
    if (!spool_open(&m->spool, directory, SPOOL_MAX, err))
        return false;
    m->sender = sender_new(options, &target, stop, err);
    if (m->sender)
        return true;
    spool_close(&m->spool);
    return false;
}

void metric_shipper_close(struct metric_shipper *m)
{
    sender_free(m->sender);
    m->sender = NULL;
    spool_close(&m->spool);
}

bool metric_shipper_put(struct metric_shipper *m, struct spool_key key, struct slice request,
                        struct error *err)
{
    AUTO(buffer_done) struct buffer packed;
    buffer_init(&packed, BATCH_MAX);
    if (!body_encode(BODY_SNAPPY, request, &packed, err) ||
        !spool_put(&m->spool, key, buffer_slice(&packed), err))
        return false;
    stop_ring(m->stop);
    return true;
}

/* Send the oldest batch.  False when there is none, or it could not be decided. */
static bool send_oldest(struct metric_shipper *m, struct buffer *batch, bool *failed)
{
    struct spool_key key;
    struct error err = {0};

    *failed = false;
    if (!spool_oldest(&m->spool, &key, batch, &err)) {
        if (err.code != ERR_NOT_FOUND)
            log_error("cannot read the spool", LOG_ERR(&err));
        return false;
    }
    if (sender_push(m->sender, key.epoch, key.sequence, buffer_slice(batch)) == SENT_NOT) {
        *failed = true;
        return false;
    }
    if (!spool_remove(&m->spool, key, &err)) {
        log_error("cannot remove a batch from the spool", LOG_ERR(&err));
        *failed = true;
        return false;
    }
    return true;
}

bool metric_shipper_run(struct metric_shipper *m, bool once)
{
    AUTO(buffer_done) struct buffer batch;
    uint64_t rings = 0;
    bool failed = false;

    buffer_init(&batch, BATCH_MAX);
    if (once)
        sender_give_up_after(m->sender, ONCE_GIVE_UP_MS);
    while (!stop_is_set(m->stop)) {
        if (send_oldest(m, &batch, &failed))
            continue;
        if (once)
            break;
        stop_wait(m->stop, WAIT_MS, &rings);
    }
    return !failed;
}
