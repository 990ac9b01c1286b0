// links: query
/* fuzz_json_line.c - log lines as JSON: all fields, paths, and unpack. */
#include "pipeline_input.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice lines = slice_of(data, size);
    run_lines(SLICE("{app=\"t\"} | json"), lines);
    run_lines(SLICE("{app=\"t\"} | json a=\"a.b[0]\", b=\"[\\\"c d\\\"]\", c=\"[1]\""), lines);
    run_lines(SLICE("{app=\"t\"} | unpack | json"), lines);
    return 0;
}
