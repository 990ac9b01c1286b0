// links: wire
/*
 * fuzz_body.c - any bytes as a body; the first byte chooses the encoding.
 *
 * What unpacks must stay within the limit, and must unpack again after packing.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "wire/body.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 256 * 1024 };

static void pack_and_unpack(enum body_encoding encoding, struct slice body)
{
    AUTO(buffer_done) struct buffer packed, scratch;
    struct slice again;
    struct error err = {0};
    buffer_init(&packed, 4 * LIMIT);
    buffer_init(&scratch, LIMIT);
    assert(body_encode(encoding, body, &packed, &err));
    assert(body_decode(encoding, buffer_slice(&packed), &scratch, &again, &err));
    assert(slice_equal(body, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum body_encoding encoding = (enum body_encoding)(data[0] % (BODY_ZSTD + 1));
    AUTO(buffer_done) struct buffer scratch;
    struct slice out;
    struct error err = {0};
    buffer_init(&scratch, LIMIT);
    bool ok = body_decode(encoding, slice_of(data + 1, size - 1), &scratch, &out, &err);
    assert(scratch.capacity <= LIMIT);
    assert(ok || err.code == ERR_INVALID || err.code == ERR_TOO_LARGE);
    if (ok && encoding != BODY_IDENTITY)
        pack_and_unpack(encoding, out);
    return 0;
}
