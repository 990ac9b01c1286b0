// links: wire
/* fuzz_loki_protobuf.c - any bytes as Loki's push request in its protobuf form. */
#include "log_sink.h"
#include "wire/loki_push.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t series = 0;
    struct error err = {0};
    struct log_sink sink = fuzz_log_sink(&series);
    if (!loki_push_decode(slice_of(data, size), &sink, &err) && err.code == ERR_INVALID)
        assert(err.position > 0 && (size_t)err.position <= size + 1);
    return 0;
}
