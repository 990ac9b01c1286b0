// links: storage
/*
 * fuzz_compressed_block.c - packing any text, and unpacking any bytes.
 *
 * The first byte says what the rest is: a text that must come back, or (its low bits: the
 * size of the digits) a mark, digits and a rest to unpack.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "storage/compress.h"
#include "storage/hex_pack.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(struct slice text)
{
    struct error err = {0};
    struct buffer block;
    buffer_init(&block, 1 << 22);
    char *out = xmalloc(text.size + 1);
    if (!compress_block(text, COMPRESS_HOT, &block, &err) ||
        !decompress_block(buffer_slice(&block), out, text.size, &err) ||
        (text.size > 0 && memcmp(out, text.data, text.size) != 0))
        abort();
    free(out);
    buffer_done(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 1 << 16)
        return 0;
    struct slice rest = slice_of(data + 1, size - 1);
    if (data[0] & 128) {
        round_trip(rest);
        return 0;
    }
    size_t digits = data[0] < rest.size ? data[0] : rest.size;
    char *out = xmalloc(4096);
    hex_unpack(slice_skip(rest, digits), slice_sub(rest, 0, digits), data[1], out, 4096);
    free(out);
    struct error err = {0};
    char *plain = xmalloc(300);
    if (!decompress_block(rest, plain, 300, &err) && err.code == ERR_NONE)
        abort();
    free(plain);
    return 0;
}
