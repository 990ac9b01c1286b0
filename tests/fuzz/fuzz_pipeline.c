// links: query
/* fuzz_pipeline.c - a query on the first line of the input, log lines on the others. */
#include "pipeline_input.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice query, lines = slice_of(data, size);
    if (slice_split(&lines, '\n', &query))
        run_lines(query, lines);
    return 0;
}
