// links: wire
/* fuzz_exposition.c - any bytes as Prometheus' text format. */
#include "base/error.h"
#include "wire/exposition.h"
#include "wire/ingest.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned char touched;

static void touch(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        touched ^= (unsigned char)s.data[i];
}

static bool sample(void *context, struct label *labels, size_t count, double value,
                   const int64_t *time_ms)
{
    (void)context;
    (void)value;
    assert(count > 0 && count <= INGEST_LABELS_MAX && labels[0].value.size > 0);
    for (size_t i = 0; i < count; i++) {
        touch(labels[i].name);
        touch(labels[i].value);
    }
    return time_ms == NULL || *time_ms != 666;
}

static bool metadata(void *context, struct slice family, struct slice type, struct slice help)
{
    (void)context;
    assert(family.size > 0 && (type.data == NULL) != (help.data == NULL));
    touch(family);
    touch(type);
    touch(help);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct exposition_handler handler = {.sample = sample, .metadata = metadata};
    struct error err = {0};
    (void)!exposition_parse(slice_of(data, size), &handler, &err);
    return 0;
}
