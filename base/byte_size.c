/* byte_size.c - sizes in bytes as text (see byte_size.h). */
#include "base/byte_size.h"

#include "base/buffer.h"
#include "base/number.h"

#include <math.h>

enum { NUMBER_TEXT_MAX = 64 };

static bool unit_factor(struct slice unit, double *factor)
{
    static const char letters[] = "kmgtpe";
    if (unit.size == 0 || slice_equal_ignore_case(unit, SLICE("b"))) {
        *factor = 1;
        return true;
    }
    char first = unit.data[0] | 0x20;
    const char *at = first ? strchr(letters, first) : NULL;
    struct slice rest = slice_skip(unit, 1);
    if (at == NULL || *at == '\0')
        return false;
    bool binary =
        slice_equal_ignore_case(rest, SLICE("ib")) || slice_equal_ignore_case(rest, SLICE("i"));
    if (!binary && rest.size > 0 && !slice_equal_ignore_case(rest, SLICE("b")))
        return false;
    *factor = pow(binary ? 1024 : 1000, (double)(at - letters + 1));
    return true;
}

bool byte_size_parse(struct slice text, uint64_t *bytes)
{
    char digits[NUMBER_TEXT_MAX];
    size_t size = 0, at = 0;
    for (; at < text.size; at++) {
        char c = text.data[at];
        bool digit = (c >= '0' && c <= '9') || c == '.';
        if (!digit && c != ',')
            break;
        if (digit && size == sizeof(digits))
            return false;
        if (digit)
            digits[size++] = c;
    }
    double number, factor;
    if (size == 0 || !slice_parse_double(slice_of(digits, size), false, &number) ||
        !unit_factor(slice_trim(slice_skip(text, at)), &factor))
        return false;
    number *= factor;
    if (!(number < 18446744073709551616.0))
        return false;
    *bytes = (uint64_t)number;
    return true;
}

void buffer_append_byte_size(struct buffer *b, uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    if (bytes < 10) {
        buffer_append_u64(b, bytes);
        buffer_append_text(b, "B");
        return;
    }
    double exponent = floor(log((double)bytes) / log(1000));
    double value = floor((double)bytes / pow(1000, exponent) * 10 + 0.5) / 10;
    buffer_printf(b, value < 10 ? "%.1f%s" : "%.0f%s", value, units[(size_t)exponent]);
}
