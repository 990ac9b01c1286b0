// links: server
/* fuzz_log_level.c - any bytes as a log line whose level is looked for. */
#include "server/log_level.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1); /* its own allocation: reading past the end shows */
    if (!line)
        return 0;
    char *exact = realloc(line, size ? size : 1);
    if (size > 0)
        memcpy(exact, data, size);
    struct slice level = log_level_of_line(slice_of(exact, size));
    assert(level.size > 0);
    free(exact);
    return 0;
}
