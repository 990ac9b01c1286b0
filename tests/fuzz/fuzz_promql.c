// links: query
/*
 * fuzz_promql.c - what the PromQL parser accepts prints to a text that it accepts again
 * and that prints the same.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "query/query.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX_SIZE = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct buffer once, again;
    buffer_init(&once, TEXT_MAX_SIZE);
    buffer_init(&again, TEXT_MAX_SIZE);
    struct slice text = slice_of(data, size);
    if (query_print(QUERY_PROMQL, text, QUERY_FEATURES_ALL, &once, &err)) {
        if (!query_print(QUERY_PROMQL, buffer_slice(&once), QUERY_FEATURES_ALL, &again, &err) &&
            err.code != ERR_LIMIT)
            abort();
        if (err.code == ERR_NONE && !slice_equal(buffer_slice(&once), buffer_slice(&again)))
            abort();
    }
    buffer_done(&once);
    buffer_done(&again);
    return 0;
}
