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
    ID_RING = 32,
    ID_SPAN = ID_GRAM + ID_WINDOW - 1,
    BREAK = 0xFF,
    PADDING = 96,
    FOUND_BITS = 13,
    FOUND_MAX = 6000, /* the table stays airy */
    LATELY_BITS = 10
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

#if HAVE_AVX2_CODE
__attribute__((target("avx2"))) static size_t lower_avx2(const uint8_t *text, size_t size,
                                                         uint8_t *out, uint8_t *high)
{
    __m256i all = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 32 <= size; i += 32) {
        __m256i c = _mm256_loadu_si256((const __m256i *)(const void *)(text + i));
        __m256i place = _mm256_sub_epi8(c, _mm256_set1_epi8('A'));
        __m256i upper = _mm256_cmpeq_epi8(_mm256_min_epu8(place, _mm256_set1_epi8(25)), place);
        c = _mm256_add_epi8(c, _mm256_and_si256(upper, _mm256_set1_epi8(32)));
        all = _mm256_or_si256(all, c);
        _mm256_storeu_si256((__m256i *)(void *)(out + i), c);
    }
    *high = _mm256_movemask_epi8(all) != 0 ? 0x80 : 0;
    return i;
}
#endif

/* ASCII letters to lower case; was there nothing beyond ASCII? */
static bool lower(const uint8_t *text, size_t size, uint8_t *out)
{
    uint8_t high = 0;
    size_t i = 0;
#if HAVE_AVX2_CODE
    if (!plain_only && __builtin_cpu_supports("avx2"))
        i = lower_avx2(text, size, out, &high);
#endif
    for (; i < size; i++) {
        uint8_t c = text[i];
        out[i] = (uint8_t)(c + ((uint8_t)(c - 'A') < 26 ? 32 : 0));
        high |= c;
    }
    return high < 0x80;
}

/* Appends `text` folded; never longer than it. */
static size_t fold(const uint8_t *text, size_t size, uint8_t *out)
{
    if (lower(text, size, out))
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

/* The words found so far: a slot holds an element, or 0; the element 0 itself is noted apart. */
struct found {
    uint32_t slots[1 << FOUND_BITS];
    bool zero;
};

/* False: too many for the table, or for the list. */
static bool add_word(struct line_grams *grams, struct found *found, uint32_t element)
{
    uint32_t at = (element * 0x85ebca6bu) >> (32 - FOUND_BITS);
    while (found->slots[at] != element && found->slots[at] != 0)
        at = (at + 1) & ((1u << FOUND_BITS) - 1);
    if (element == 0 ? found->zero : found->slots[at] == element)
        return true;
    found->zero |= element == 0;
    found->slots[at] = element;
    if (grams->words.count >= grams->count_max || grams->words.count >= FOUND_MAX)
        return false;
    array_push(&grams->words, element);
    return true;
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

static bool words_plain(struct line_grams *grams, struct found *found, const uint8_t *text,
                        size_t size)
{
    size_t run = 0;
    uint32_t last = 0;
    bool any = false;
    for (size_t i = 0; i < size; i++) {
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
        if ((!any || least != last) && !add_word(grams, found, least))
            return false;
        any = true;
        last = least;
    }
    return true;
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
__attribute__((target("avx2"))) static bool
words_avx2(struct line_grams *grams, struct found *found, const uint8_t *text, size_t size)
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
            if (!add_word(grams, found, choice[__builtin_ctz(fresh)]))
                return false;
            fresh &= fresh - 1;
        }
    }
    return true;
}
#endif

/* `size` bytes of folded text with PADDING bytes BREAK behind it. */
static bool find_words(struct line_grams *grams, const uint8_t *text, size_t size)
{
    struct found found;
    memset(&found, 0, sizeof(found));
#if HAVE_AVX2_CODE
    if (!plain_only && __builtin_cpu_supports("avx2"))
        return words_avx2(grams, &found, text, size);
#endif
    return words_plain(grams, &found, text, size);
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
    return gram * 0xff51afd7ed558ccdu >> 1;
}

/* Drops most of what comes again soon. */
struct lately {
    uint64_t slots[1 << LATELY_BITS];
};

static void add_id(struct line_grams *grams, struct lately *lately, uint64_t element)
{
    uint64_t *slot = &lately->slots[element & ((1 << LATELY_BITS) - 1)];
    if (*slot == element + 1)
        return;
    *slot = element + 1; /* below 2^63 + 1: 0 is nobody's */
    array_push(&grams->ids, element);
}

/* One run of id bytes.  The least of a window is looked for again only when it left. */
static void run_ids(struct line_grams *grams, struct lately *lately, const uint8_t *run,
                    size_t size)
{
    uint64_t ranks[ID_RING], least = UINT64_MAX;
    size_t least_at = 0;
    for (size_t i = 0; i + ID_GRAM <= size; i++) {
        uint64_t rank = ranks[i % ID_RING] = id_rank(run + i);
        bool fresh = i + 1 == ID_WINDOW;
        if (rank < least) {
            least = rank;
            least_at = i;
            fresh = true;
        } else if (least_at + ID_WINDOW == i) {
            least = UINT64_MAX;
            for (size_t k = i + 1 - ID_WINDOW; k <= i; k++)
                if (ranks[k % ID_RING] < least) {
                    least = ranks[k % ID_RING];
                    least_at = k;
                }
            fresh = true;
        }
        if (fresh && i + 1 >= ID_WINDOW)
            add_id(grams, lately, least);
    }
}

/* A run that is long enough covers a multiple of its least size. */
static bool find_ids(struct line_grams *grams, const uint8_t *text, size_t size)
{
    size_t done = 0;
    struct lately lately;
    memset(&lately, 0, sizeof(lately));
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
            run_ids(grams, &lately, text + from, to - from);
        if (grams->ids.count > grams->count_max)
            return false;
    }
    return true;
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
