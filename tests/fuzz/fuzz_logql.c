// links: query
/*
 * fuzz_logql.c - LogQL texts: what is accepted prints, and the print means the same,
 * which shows when it is parsed and printed again.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "query/query.h"

#include <stdint.h>

enum { TEXT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    AUTO(buffer_done) struct buffer first;
    AUTO(buffer_done) struct buffer second;
    buffer_init(&first, TEXT_MAX);
    buffer_init(&second, TEXT_MAX);
    bool is_log;
    if (!query_print(QUERY_LOGQL, slice_of(data, size), 0, &first, &err))
        return 0;
    if (!query_print(QUERY_LOGQL, buffer_slice(&first), 0, &second, &err) &&
        err.code != ERR_LIMIT) {
        fprintf(stderr, "%.*s: %s\n", SLICE_ARG(buffer_slice(&first)), err.message);
        __builtin_trap();
    }
    if (err.code == ERR_NONE && !slice_equal(buffer_slice(&first), buffer_slice(&second))) {
        fprintf(stderr, "%.*s\n%.*s\n", SLICE_ARG(buffer_slice(&first)),
                SLICE_ARG(buffer_slice(&second)));
        __builtin_trap();
    }
    if (!query_check(QUERY_LOGQL, slice_of(data, size), 0, &is_log, &err) &&
        err.code == ERR_INTERNAL)
        __builtin_trap();
    return 0;
}
