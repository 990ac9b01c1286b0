// links: query
/* Lines, one per row of the input, go through the pattern miner. */
#include "base/buffer.h"
#include "query/pattern_miner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pattern_miner *miner = pattern_miner_new(0, 10, 4);
    struct slice rest = slice_of(data, size), line;
    struct buffer out;
    buffer_init(&out, 1 << 20);
    for (int64_t i = 0; rest.data && slice_split(&rest, '\n', &line); i++)
        pattern_miner_add(miner, i % 50, line.size % 2 ? SLICE("info") : SLICE(""), line);
    size_t count = pattern_miner_finish(miner);
    for (size_t i = 0; i < count; i++)
        pattern_append_text(miner, i, &out);
    buffer_done(&out);
    pattern_miner_free(miner);
    return 0;
}
