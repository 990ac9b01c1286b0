// links: base
/*
 * fuzz_number.c - numbers, durations and times from any text.
 *
 * What was read and is written again must read as the same value.
 */
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "base/number.h"

#include <math.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        __builtin_trap();
}

static void check_double(struct slice text)
{
    double v;
    double back;
    char out[DOUBLE_TEXT_MAX];
    if (!slice_parse_double(text, true, &v))
        return;
    for (const char *form = "fegj"; *form; form++) {
        size_t size = double_format(out, v, *form);
        require(size < sizeof(out));
        require(slice_parse_double(slice_of(out, size), false, &back));
        require(isnan(v) ? isnan(back) : double_bits(v) == double_bits(back));
    }
}

static void check_durations(struct slice text)
{
    int64_t ns;
    int64_t back;
    struct buffer b;
    buffer_init(&b, 1000);
    if (duration_parse_go(text, &ns)) {
        buffer_append_duration_go(&b, ns);
        require(duration_parse_go(buffer_slice(&b), &back));
        require(back == ns);
    }
    buffer_clear(&b);
    if (duration_parse_prometheus(text, &ns)) {
        buffer_append_duration_prometheus(&b, ns);
        require(duration_parse_prometheus(buffer_slice(&b), &back));
        require(back == ns / NS_PER_MS * NS_PER_MS);
    }
    buffer_clear(&b);
    if (time_parse_rfc3339(text, &ns)) {
        buffer_append_rfc3339(&b, ns);
        require(time_parse_rfc3339(buffer_slice(&b), &back));
        require(back == ns);
    }
    buffer_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    uint64_t u;
    int64_t i;
    check_double(text);
    check_durations(text);
    if (slice_parse_u64(text, &u) && u <= INT64_MAX)
        require(slice_parse_i64(text, &i) && i == (int64_t)u);
    return 0;
}
