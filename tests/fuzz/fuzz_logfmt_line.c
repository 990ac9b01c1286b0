// links: query
/* fuzz_logfmt_line.c - log lines as logfmt, in all its modes. */
#include "pipeline_input.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice lines = slice_of(data, size);
    run_lines(SLICE("{app=\"t\"} | logfmt"), lines);
    run_lines(SLICE("{app=\"t\"} | logfmt --strict --keep-empty"), lines);
    run_lines(SLICE("{app=\"t\"} | logfmt a, b=\"c\""), lines);
    return 0;
}
