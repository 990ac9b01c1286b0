// links: agents
/*
 * fuzz_log_lines.c - any bytes as a piece of a log file; the first byte is the format.
 *
 * What the agent builds of them must decode as a push request, with as many
 * entries as it says.
 */
#include "agents/log_batch.h"
#include "base/error.h"
#include "wire/ingest.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t find(void *context, struct slice key)
{
    (void)context;
    (void)key;
    return INGEST_UNKNOWN;
}

static int64_t define(void *context, struct slice key, struct label *labels, size_t count)
{
    (void)context;
    (void)key;
    (void)labels;
    return count > 0 ? 0 : INGEST_SKIP;
}

static bool entry(void *context, uint32_t series, int64_t time_ns, struct slice line,
                  struct label *metadata, size_t count)
{
    size_t *entries = context;
    (void)series;
    (void)time_ns;
    (void)line;
    (void)metadata;
    assert(count == 0);
    ++*entries;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct log_encoder encoder;
    struct buffer request;
    struct error err = {0};
    size_t entries = 0;
    int64_t time_ns = 1;

    if (size == 0)
        return 0;
    struct slice bytes = slice_of(data + 1, size - 1);
    enum log_format format =
        data[0] % 4 == 0 ? log_format_detect(bytes) : (enum log_format)(data[0] % 4);
    log_encoder_init(&encoder, NULL, 0);
    buffer_init(&request, 16 * 1024 * 1024);
    size_t lines = log_encoder_append(&encoder, "/var/log/pods/ns_pod_uid/app/0.log", format, bytes,
                                      &time_ns, &request);
    struct log_sink sink = {.context = &entries, .find = find, .define = define, .entry = entry};
    assert(!request.failed);
    assert(loki_push_decode(buffer_slice(&request), &sink, &err));
    assert(entries == lines);
    buffer_done(&request);
    log_encoder_done(&encoder);
    return 0;
}
