/* text_search.c - a needle's two rarest bytes, 32 places at a time (see text_search.h). */
#include "base/text_search.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AVX2_CODE 1
#else
#define HAVE_AVX2_CODE 0
#endif

static bool is_letter(uint8_t c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static uint8_t fold_byte(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* How rare a byte is in logs, roughly: what stands behind in this list is rarer. */
static size_t rareness(uint8_t c, bool fold)
{
    static const char common[] = " e0t1ai2on3s\"r45l6d7c8=9-:/u.pm,gfhbvy_w[]{}()kxqjz";
    const char *at = c == '\0' ? NULL : strchr(common, fold_byte(c));
    size_t place = at ? (size_t)(at - common) : sizeof(common);
    return !fold && c >= 'A' && c <= 'Z' ? place + sizeof(common) / 2 : place;
}

struct needle needle_of(struct slice text, bool fold)
{
    struct needle n = {.text = text, .fold = fold};
    if (text.size == 0)
        return n;
    size_t first = 0, second = text.size - 1;
    for (size_t i = 1; i < text.size; i++)
        if (rareness((uint8_t)text.data[i], fold) > rareness((uint8_t)text.data[first], fold))
            first = i;
    if (second == first)
        second = 0;
    for (size_t i = 0; i < text.size; i++)
        if (i != first && text.data[i] != text.data[first] &&
            rareness((uint8_t)text.data[i], fold) > rareness((uint8_t)text.data[second], fold))
            second = i;
    size_t places[2] = {first < second ? first : second, first < second ? second : first};
    for (int k = 0; k < 2; k++) {
        n.at[k] = (uint32_t)places[k];
        n.byte[k] = (uint8_t)text.data[places[k]];
        n.other[k] = fold && is_letter(n.byte[k]) ? 0x20 : 0;
    }
    return n;
}

static bool needle_at(const struct needle *n, const char *place)
{
    if (!n->fold)
        return memcmp(place, n->text.data, n->text.size) == 0;
    for (size_t i = 0; i < n->text.size; i++)
        if (fold_byte((uint8_t)place[i]) != (uint8_t)n->text.data[i])
            return false;
    return true;
}

size_t needle_find_plain(const struct needle *n, struct slice text, size_t from)
{
    if (from > text.size || n->text.size > text.size - from)
        return SLICE_NOT_FOUND;
    if (!n->fold || n->text.size == 0)
        return slice_find(text, n->text, from);
    size_t last = text.size - n->text.size;
    for (size_t i = from; i <= last; i++)
        if ((((uint8_t)text.data[i + n->at[0]]) | n->other[0]) == n->byte[0] &&
            needle_at(n, text.data + i))
            return i;
    return SLICE_NOT_FOUND;
}

#if HAVE_AVX2_CODE
__attribute__((target("avx2"))) static size_t find_avx2(const struct needle *n, struct slice text,
                                                        size_t from)
{
    const char *data = text.data;
    size_t end = text.size - n->text.size + 1; /* places are below it */
    const __m256i first = _mm256_set1_epi8((char)n->byte[0]);
    const __m256i second = _mm256_set1_epi8((char)n->byte[1]);
    const __m256i first_other = _mm256_set1_epi8((char)n->other[0]);
    const __m256i second_other = _mm256_set1_epi8((char)n->other[1]);
    size_t i = from;
    for (; i + 32 <= end; i += 32) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(data + i + n->at[0]));
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(data + i + n->at[1]));
        __m256i hits =
            _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_or_si256(a, first_other), first),
                             _mm256_cmpeq_epi8(_mm256_or_si256(b, second_other), second));
        uint32_t mask = (uint32_t)_mm256_movemask_epi8(hits);
        while (mask != 0) {
            size_t place = i + (size_t)__builtin_ctz(mask);
            if (needle_at(n, data + place))
                return place;
            mask &= mask - 1;
        }
    }
    return needle_find_plain(n, text, i);
}
#endif

size_t needle_find(const struct needle *n, struct slice text, size_t from)
{
    if (from > text.size || n->text.size > text.size - from)
        return SLICE_NOT_FOUND;
#if HAVE_AVX2_CODE
    if (n->text.size > 0 && __builtin_cpu_supports("avx2"))
        return find_avx2(n, text, from);
#endif
    return needle_find_plain(n, text, from);
}

bool text_has_odd_folds(struct slice text)
{
    struct needle long_s = needle_of(SLICE("\xC5\xBF"), false);
    struct needle kelvin = needle_of(SLICE("\xE2\x84\xAA"), false);
    return needle_find(&long_s, text, 0) != SLICE_NOT_FOUND ||
           needle_find(&kelvin, text, 0) != SLICE_NOT_FOUND;
}
