/*
 * line_grams.c - minimizers of lines and needles (see line_index.h).
 *
 * Lines are folded into one text with a byte 0xFF between them, which no window holds.  A word's
 * element is its 4-gram times an odd number (a bijection, so the hash is the element), an id's the
 * hash of its 8-gram.  The AVX2 way looks at 32 windows at a time and goes on by itself only where
 * the choice changes; a table of what was met lately drops most repeats.
 */
#include "storage/line_grams.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AVX2_CODE 1
#else
#define HAVE_AVX2_CODE 0
#endif

enum {
    WORD_GRAM = 4,
    WORD_WINDOW = 4,
    WORD_SPAN = WORD_GRAM + WORD_WINDOW - 1,
    ID_GRAM = 8,
    ID_WINDOW = 25,
    ID_SPAN = ID_GRAM + ID_WINDOW - 1,
    BREAK = 0xFF,
    PADDING = 96,
    MET_BITS = 12,
    COMPACT_EVERY = 4096
};

static const uint32_t word_factor = 0x9e3779b1u;

static bool plain_only;

void line_grams_plain(bool plain)
{
    plain_only = plain;
}

void line_grams_done(struct line_grams *grams)
{
    array_done(&grams->words);
    array_done(&grams->ids);
}

/* ---- folding ------------------------------------------------------------------------ */

/* Appends `text` folded; never longer than it. */
static size_t fold(const uint8_t *text, size_t size, uint8_t *out)
{
    uint8_t high = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = text[i];
        out[i] = (uint8_t)(c + ((uint8_t)(c - 'A') < 26 ? 32 : 0));
        high |= c;
    }
    if (high < 0x80)
        return size;
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = text[i];
        if (c == 0xC5 && i + 1 < size && text[i + 1] == 0xBF) {
            out[n++] = 's';
            i++;
        } else if (c == 0xE2 && i + 2 < size && text[i + 1] == 0x84 && text[i + 2] == 0xAA) {
            out[n++] = 'k';
            i += 2;
        } else {
            out[n++] = (uint8_t)(c + ((uint8_t)(c - 'A') < 26 ? 32 : 0));
        }
    }
    return n;
}

/* ---- elements ------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static size_t unique(uint64_t *items, size_t count)
{
    size_t kept = 0;
    if (count > 1)
        qsort(items, count, sizeof(*items), by_value);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || items[i] != items[kept - 1])
            items[kept++] = items[i];
    return kept;
}

/* Are there too many?  Looks only when the list is long. */
static bool too_many(uint64_t *items, size_t *count, size_t max)
{
    if (max == SIZE_MAX || *count < max + COMPACT_EVERY)
        return false;
    *count = unique(items, *count);
    return *count > max;
}

/* What was met lately: a value lies in the slot of its hash. */
struct met {
    uint32_t slots[1 << MET_BITS];
};

static uint32_t met_slot(uint32_t value)
{
    return (value * 0x85ebca6bu) >> (32 - MET_BITS);
}

static void met_init(struct met *met)
{
    memset(met->slots, 0, sizeof(met->slots)); /* 0 is of slot 0 alone: there 1, which is not */
    met->slots[0] = 1;
}

static void add_word(struct line_grams *grams, struct met *met, uint32_t element)
{
    uint32_t *slot = &met->slots[met_slot(element)];
    if (*slot == element)
        return;
    *slot = element;
    array_push(&grams->words, element);
}

static bool breaks_word(uint8_t c)
{
    return (uint8_t)(c - '0') < 10 || c == BREAK;
}

static uint32_t word_rank(const uint8_t *at)
{
    uint32_t gram;
    memcpy(&gram, at, sizeof(gram));
    return gram * word_factor;
}

static void words_plain(struct line_grams *grams, struct met *met, const uint8_t *text, size_t from,
                        size_t size)
{
    size_t run = 0;
    uint32_t last = 0;
    bool any = false;
    for (size_t i = from; i < size; i++) {
        run = breaks_word(text[i]) ? 0 : run + 1;
        if (run < WORD_SPAN) {
            any = false;
            continue;
        }
        uint32_t least = UINT32_MAX;
        for (size_t k = 0; k < WORD_WINDOW; k++) {
            uint32_t rank = word_rank(text + i + 1 - WORD_SPAN + k);
            least = rank < least ? rank : least;
        }
        if (!any || least != last)
            add_word(grams, met, least);
        any = true;
        last = least;
    }
}

#if HAVE_AVX2_CODE
/* One bit per byte from `at` on: it may stand in a word. */
__attribute__((target("avx2"))) static uint32_t word_bytes(const uint8_t *at)
{
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)at);
    __m256i digit = _mm256_sub_epi8(v, _mm256_set1_epi8('0'));
    __m256i is_digit = _mm256_cmpeq_epi8(_mm256_min_epu8(digit, _mm256_set1_epi8(9)), digit);
    __m256i is_break = _mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)BREAK));
    return ~(uint32_t)_mm256_movemask_epi8(_mm256_or_si256(is_digit, is_break));
}

/* The ranks of the 8 grams that start at `at` and behind. */
__attribute__((target("avx2"))) static __m256i word_ranks(const uint8_t *at)
{
    const __m256i grams = _mm256_setr_epi8(0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6, 4, 5, 6,
                                           7, 5, 6, 7, 8, 6, 7, 8, 9, 7, 8, 9, 10);
    __m256i bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)at));
    return _mm256_mullo_epi32(_mm256_shuffle_epi8(bytes, grams),
                              _mm256_set1_epi32((int)word_factor));
}

/* `text` has PADDING bytes BREAK behind it. */
__attribute__((target("avx2"))) static bool words_avx2(struct line_grams *grams, struct met *met,
                                                       const uint8_t *text, size_t size)
{
    const __m256i rotate = _mm256_setr_epi32(7, 0, 1, 2, 3, 4, 5, 6);
    __m256i before = _mm256_setzero_si256(); /* lane 0: the choice of the window before */
    uint64_t bytes = word_bytes(text);
    uint32_t carry = 0; /* was the window before one? */
    for (size_t i = 0; i < size; i += 32) {
        bytes |= (uint64_t)word_bytes(text + i + 32) << 32;
        uint64_t two = bytes & bytes >> 1, four = two & two >> 2;
        uint32_t windows = (uint32_t)(four & four >> 3);
        uint32_t same = 0, choice[32];
        for (size_t k = 0; k < 32; k += 8) {
            __m256i least = _mm256_min_epu32(
                _mm256_min_epu32(word_ranks(text + i + k), word_ranks(text + i + k + 1)),
                _mm256_min_epu32(word_ranks(text + i + k + 2), word_ranks(text + i + k + 3)));
            __m256i rotated = _mm256_permutevar8x32_epi32(least, rotate);
            __m256i equal = _mm256_cmpeq_epi32(least, _mm256_blend_epi32(rotated, before, 1));
            before = rotated;
            same |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(equal)) << k;
            _mm256_storeu_si256((__m256i *)(void *)(choice + k), least);
        }
        uint32_t fresh = windows & ~(same & (windows << 1 | carry));
        carry = windows >> 31;
        bytes >>= 32;
        while (fresh != 0) {
            add_word(grams, met, choice[__builtin_ctz(fresh)]);
            fresh &= fresh - 1;
        }
        if (too_many(grams->words.items, &grams->words.count, grams->count_max))
            return false;
    }
    return true;
}
#endif

/* `size` bytes of folded text with PADDING bytes BREAK behind it. */
static bool find_words(struct line_grams *grams, const uint8_t *text, size_t size)
{
    struct met met;
    met_init(&met);
#if HAVE_AVX2_CODE
    if (!plain_only && __builtin_cpu_supports("avx2")) {
        if (!words_avx2(grams, &met, text, size))
            return false;
        grams->words.count = unique(grams->words.items, grams->words.count);
        return grams->words.count <= grams->count_max;
    }
#endif
    words_plain(grams, &met, text, 0, size);
    grams->words.count = unique(grams->words.items, grams->words.count);
    return grams->words.count <= grams->count_max;
}

/* ---- ids --------------------------------------------------------------------------------- */

static bool in_id(uint8_t c)
{
    return (uint8_t)(c - '0') < 10 || (uint8_t)(c - 'a') < 6 || c == '-';
}

static uint64_t id_rank(const uint8_t *at)
{
    uint64_t gram;
    memcpy(&gram, at, sizeof(gram));
    gram = (gram ^ gram >> 31) * 0xff51afd7ed558ccdu;
    return (gram ^ gram >> 33) >> 1;
}

/* One run of id bytes. */
static void run_ids(struct line_grams *grams, const uint8_t *run, size_t size)
{
    uint64_t ranks[ID_WINDOW];
    uint64_t last = UINT64_MAX;
    for (size_t i = 0; i + ID_GRAM <= size; i++) {
        ranks[i % ID_WINDOW] = id_rank(run + i);
        if (i + 1 < ID_WINDOW)
            continue;
        uint64_t least = UINT64_MAX;
        for (size_t k = 0; k < ID_WINDOW; k++)
            least = ranks[k] < least ? ranks[k] : least;
        if (least != last)
            array_push(&grams->ids, least);
        last = least;
    }
}

/* A run that is long enough covers a multiple of its least size. */
static bool find_ids(struct line_grams *grams, const uint8_t *text, size_t size)
{
    size_t done = 0;
    for (size_t at = 0; at < size; at += ID_SPAN) {
        if (at < done || !in_id(text[at]))
            continue;
        size_t from = at, to = at + 1;
        while (from > done && in_id(text[from - 1]))
            from--;
        while (to < size && in_id(text[to]))
            to++;
        done = to;
        if (to - from >= ID_SPAN)
            run_ids(grams, text + from, to - from);
        if (too_many(grams->ids.items, &grams->ids.count, grams->count_max))
            return false;
    }
    grams->ids.count = unique(grams->ids.items, grams->ids.count);
    return grams->ids.count <= grams->count_max;
}

/* ---- lines and needles --------------------------------------------------------------------- */

bool line_grams_of_lines(struct line_grams *grams, const struct slice *lines, size_t count,
                         size_t text)
{
    AUTO(memory_drop) uint8_t *folded = xmalloc(text + count + PADDING);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (lines[i].size > 0)
            n += fold((const uint8_t *)lines[i].data, lines[i].size, folded + n);
        folded[n++] = BREAK;
    }
    memset(folded + n, BREAK, PADDING);
    return find_words(grams, folded, n) && find_ids(grams, folded, n);
}

/*
 * Bytes at the ends that may be a part of a code point which folds to ASCII in the text stay out;
 * of a needle in any case all bytes beyond ASCII do.
 */
static void break_ends(uint8_t *folded, size_t size, struct slice needle, bool any_case)
{
    for (size_t i = 0; any_case && i < size; i++)
        if (folded[i] >= 0x80)
            folded[i] = BREAK;
    for (size_t i = 0; i < size && folded[i] >= 0x80 && folded[i] < 0xC0; i++)
        folded[i] = BREAK;
    uint8_t last = (uint8_t)needle.data[needle.size - 1];
    if (last == 0xC5 || last == 0xE2)
        folded[size - 1] = BREAK;
    if (last == 0x84 && size >= 2)
        folded[size - 1] = folded[size - 2] = BREAK;
}

void line_grams_of_needle(struct line_grams *grams, struct slice needle, bool any_case)
{
    if (needle.size == 0)
        return;
    AUTO(memory_drop) uint8_t *folded = xmalloc(needle.size + PADDING);
    size_t size = fold((const uint8_t *)needle.data, needle.size, folded);
    break_ends(folded, size, needle, any_case);
    memset(folded + size, BREAK, PADDING);
    (void)(find_words(grams, folded, size) && find_ids(grams, folded, size));
}
