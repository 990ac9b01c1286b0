/*
 * hex_pack.c - cutting out hexadecimal numbers and putting them back (see hex_pack.h).
 *
 * The mark is a byte that the text does not have.  `mark n` with an even n of 16 to 64 stands
 * for the next n digits; `mark 1` and two bytes (little-endian d) for the digits of the number that
 * came d before the newest one.  Every run of 16 digits covers a place that is a multiple of 16
 * minus 1, so looking at each 16th byte finds them all and passes over most text quickly.  Runs of
 * decimal digits alone stay: a compressor does better with those.
 */
#include "storage/hex_pack.h"

#include "base/array.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/table.h"

enum {
    RUN_MIN = 16,
    RUN_MAX = 64,
    REPEAT = 1,
    DISTANCE_MAX = UINT16_MAX,
    PAYS_ABOVE = 64 /* one byte of digits in so many of text */
};

/* Bytes that text has seldom or never. */
static const uint8_t marks[] = {0x01, 0xff, 0xfe, 0xc0, 0xc1, 0xf8, 0xf9, 0xfa,
                                0xfb, 0xfc, 0xfd, 0x02, 0x03, 0x05, 0x06, 0x0e};

/* One more than the value of a digit, 0 for what is none. */
static const uint8_t digit_values[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};

static inline bool is_digit(char c)
{
    return digit_values[(uint8_t)c] > 0;
}

static inline unsigned digit_value(char c)
{
    return digit_values[(uint8_t)c] - 1u;
}

/* ---- packing ------------------------------------------------------------------------- */

/* The numbers seen so far, in the order of their first use. */
struct numbers {
    ARRAY(struct slice) items; /* in the text */
    struct table table;
};

static bool number_equal(const void *items, uint32_t index, const void *key)
{
    return slice_equal(((const struct slice *)items)[index], *(const struct slice *)key);
}

static void number_put(struct numbers *numbers, struct slice number, uint8_t mark,
                       struct buffer *rest, struct buffer *digits)
{
    uint64_t hash = hash64(number.data, number.size, 0);
    uint32_t found = table_find(&numbers->table, hash, number_equal, numbers->items.items, &number);
    size_t distance = found == TABLE_NONE ? SIZE_MAX : numbers->items.count - 1 - found;
    buffer_put8(rest, mark);
    if (distance <= DISTANCE_MAX) {
        buffer_put8(rest, REPEAT);
        buffer_put8(rest, (uint8_t)distance);
        buffer_put8(rest, (uint8_t)(distance >> 8));
        return;
    }
    buffer_put8(rest, (uint8_t)number.size);
    uint8_t *to = (uint8_t *)buffer_reserve(digits, number.size / 2);
    for (size_t i = 0; to != NULL && i < number.size; i += 2)
        to[i / 2] = (uint8_t)(digit_value(number.data[i]) << 4 | digit_value(number.data[i + 1]));
    buffer_advance(digits, to != NULL ? number.size / 2 : 0);
    if (found == TABLE_NONE)
        table_insert(&numbers->table, hash, (uint32_t)numbers->items.count);
    array_push(&numbers->items, number);
}

static bool mark_find(struct slice text, uint8_t *mark)
{
    for (size_t i = 0; i < sizeof(marks); i++) {
        if (memchr(text.data, marks[i], text.size) == NULL) {
            *mark = marks[i];
            return true;
        }
    }
    return false;
}

static bool has_letter(const char *digits, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (digits[i] > '9')
            return true;
    return false;
}

static void runs_cut(struct slice text, struct numbers *numbers, uint8_t mark, struct buffer *rest,
                     struct buffer *digits)
{
    size_t done = 0;
    for (size_t probe = RUN_MIN - 1; probe < text.size;) {
        if (!is_digit(text.data[probe])) {
            probe += RUN_MIN;
            continue;
        }
        size_t start = probe, end = probe + 1;
        while (start > done && probe - start < RUN_MAX && is_digit(text.data[start - 1]))
            start--;
        while (end < text.size && end - start < RUN_MAX && is_digit(text.data[end]))
            end++;
        size_t size = (end - start) / 2 * 2;
        if (size >= RUN_MIN && has_letter(text.data + start, size)) {
            buffer_append(rest, text.data + done, start - done);
            number_put(numbers, slice_of(text.data + start, size), mark, rest, digits);
            done = start + size;
        }
        probe = end + RUN_MIN - 1;
    }
    buffer_append(rest, text.data + done, text.size - done);
}

bool hex_pack(struct slice text, uint8_t *mark, struct buffer *rest, struct buffer *digits)
{
    struct numbers numbers = {0};
    size_t rest_start = rest->size, digits_start = digits->size;
    if (text.size < RUN_MIN || !mark_find(text, mark))
        return false;
    runs_cut(text, &numbers, *mark, rest, digits);
    table_done(&numbers.table);
    array_done(&numbers.items);
    if (!rest->failed && !digits->failed && (digits->size - digits_start) * PAYS_ABOVE >= text.size)
        return true;
    rest->failed = digits->failed = false;
    buffer_truncate(rest, rest_start);
    buffer_truncate(digits, digits_start);
    return false;
}

/* ---- unpacking ----------------------------------------------------------------------- */

struct unpacked {
    const char *at;
    size_t size;
};

static void digits_write(const uint8_t *bytes, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

bool hex_unpack(struct slice rest, struct slice digits, uint8_t mark, char *out, size_t size)
{
    struct reader in = reader_of(rest), bytes = reader_of(digits);
    ARRAY(struct unpacked) numbers = {0};
    size_t at = 0;
    bool ok = true;
    while (ok && reader_left(&in) > 0) {
        const uint8_t *next = memchr(in.at, mark, reader_left(&in));
        size_t plain = next != NULL ? (size_t)(next - in.at) : reader_left(&in);
        if (plain > size - at) {
            ok = false;
            break;
        }
        memcpy(out + at, in.at, plain);
        at += plain;
        in.at += plain;
        if (next == NULL)
            break;
        read8(&in);
        size_t count = read8(&in);
        if (count == REPEAT) {
            size_t distance = read16(&in);
            ok = !in.failed && distance < numbers.count;
            struct unpacked number =
                ok ? numbers.items[numbers.count - 1 - distance] : (struct unpacked){0};
            ok = ok && number.size <= size - at;
            if (ok)
                memcpy(out + at, number.at, number.size);
            at += ok ? number.size : 0;
            continue;
        }
        struct slice half = read_bytes(&bytes, count / 2);
        ok = count >= RUN_MIN && count <= RUN_MAX && count % 2 == 0 && !in.failed &&
             !bytes.failed && count <= size - at;
        if (!ok)
            break;
        digits_write((const uint8_t *)half.data, half.size, out + at);
        array_push(&numbers, ((struct unpacked){out + at, count}));
        at += count;
    }
    array_done(&numbers);
    return ok && at == size && reader_left(&bytes) == 0;
}
