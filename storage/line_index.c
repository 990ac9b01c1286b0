/* line_index.c - minimizers of lines in a Bloom filter (see line_index.h). */
#include "storage/line_index.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/predicate.h"
#include "base/regex.h"
#include "storage/line_grams.h"

#include <stdlib.h>

enum {
    SCHEME = 1,
    BUCKET_SIZE = 64,
    BUCKET_HEAD = 2, /* its checksum */
    BUCKET_BITS = 8 * (BUCKET_SIZE - BUCKET_HEAD),
    PROBES = 6,
    WORD_BITS = 12, /* of the filter per element: one window must tell much */
    ID_BITS = 8,
    TEXT_MIN = 4096,
    PERCENT_MAX = 3
};

static const uint64_t second_hash = 0x632be59bd9b4e019u;

/* ---- the filter ------------------------------------------------------------------ */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
    return x ^ (x >> 32);
}

static size_t bucket_of(uint64_t element, size_t buckets)
{
    return (size_t)(((mix(element) >> 32) * buckets) >> 32);
}

static size_t probe_bit(uint64_t bits, int probe)
{
    return BUCKET_HEAD * 8 + ((((bits >> (9 * probe)) & 511) * BUCKET_BITS) >> 9);
}

/* The place is a part of it, so that a damaged head moves no bucket unseen. */
static uint16_t bucket_check(const char *bucket, size_t number, size_t words)
{
    return (uint16_t)hash64(bucket + BUCKET_HEAD, BUCKET_SIZE - BUCKET_HEAD,
                            (uint64_t)words << 32 | number);
}

static uint16_t head_check(size_t words, size_t ids)
{
    return (uint16_t)(mix((uint64_t)words << 32 | ids) >> 16);
}

static size_t buckets_for(size_t elements, size_t bits)
{
    return (elements * bits + BUCKET_BITS - 1) / BUCKET_BITS;
}

static void filter_fill(const uint64_t *elements, size_t count, char *buckets, size_t bucket_count)
{
    for (size_t i = 0; i < count; i++) {
        char *bucket = buckets + bucket_of(elements[i], bucket_count) * BUCKET_SIZE;
        uint64_t bits = mix(elements[i] + second_hash);
        for (int probe = 0; probe < PROBES; probe++) {
            size_t bit = probe_bit(bits, probe);
            bucket[bit / 8] = (char)(bucket[bit / 8] | 1 << bit % 8);
        }
    }
}

static void filter_put(const struct line_grams *grams, size_t words, size_t ids, struct buffer *out)
{
    size_t size = (words + ids) * BUCKET_SIZE;
    buffer_put8(out, SCHEME);
    buffer_put_varint(out, words);
    buffer_put_varint(out, ids);
    buffer_put16(out, head_check(words, ids));
    char *buckets = buffer_reserve(out, size);
    if (buckets == NULL || size == 0)
        return;
    memset(buckets, 0, size);
    filter_fill(grams->words.items, grams->words.count, buckets, words);
    filter_fill(grams->ids.items, grams->ids.count, buckets + words * BUCKET_SIZE, ids);
    for (size_t i = 0; i < words + ids; i++)
        bytes_put16(buckets + i * BUCKET_SIZE, bucket_check(buckets + i * BUCKET_SIZE, i, words));
    buffer_advance(out, size);
}

void line_index_build(const struct slice *lines, size_t count, struct buffer *out)
{
    size_t text = 0;
    for (size_t i = 0; i < count; i++)
        text += lines[i].size;
    size_t size_max = text * PERCENT_MAX / 100;
    size_t elements_max = size_max * 8 / ID_BITS;
    struct line_grams grams = {.count_max = elements_max};
    if (text >= TEXT_MIN && line_grams_of_lines(&grams, lines, count, text)) {
        size_t words = buckets_for(grams.words.count, WORD_BITS);
        size_t ids = buckets_for(grams.ids.count, ID_BITS);
        if ((words + ids) * BUCKET_SIZE <= size_max)
            filter_put(&grams, words, ids, out);
    }
    line_grams_done(&grams);
}

/* ---- asking ------------------------------------------------------------------------ */

/* Words and ids are told apart by the lowest bit of an element. */
static void add_elements(struct line_index_query *query, struct slice text, bool fold)
{
    struct line_grams grams = {.count_max = SIZE_MAX};
    line_grams_of_needle(&grams, text, fold);
    for (size_t i = 0; i < grams.ids.count; i++)
        array_push(&query->elements, grams.ids.items[i] << 1 | 1);
    for (size_t i = 0; i < grams.words.count; i++)
        array_push(&query->elements, grams.words.items[i] << 1);
    line_grams_done(&grams);
}

/* One more alternative of a condition; false: it can always hold. */
static bool add_alternative(struct line_index_query *query, struct slice text, bool fold)
{
    size_t before = query->elements.count;
    add_elements(query, text, fold);
    array_push(&query->alternatives, (uint32_t)query->elements.count);
    return query->elements.count > before;
}

static bool add_text(struct line_index_query *query, const struct line_text *text)
{
    if (text->regex == NULL)
        return add_alternative(query, text->literal, false);
    const struct regex_literal *items;
    size_t count = regex_alternatives(text->regex, &items);
    for (size_t i = 0; i < count; i++)
        if (!add_alternative(query, items[i].text, items[i].fold))
            return false;
    return count > 0;
}

static void add_condition(struct line_index_query *query, const struct line_condition *condition)
{
    size_t elements = query->elements.count, alternatives = query->alternatives.count;
    bool known = !condition->negated && condition->count > 0;
    for (size_t i = 0; known && i < condition->count; i++)
        known = add_text(query, &condition->texts[i]);
    if (known) {
        array_push(&query->conditions, (uint32_t)query->alternatives.count);
        return;
    }
    query->elements.count = elements;
    query->alternatives.count = alternatives;
}

void line_index_query_make(const struct predicate *predicate, struct line_index_query *query)
{
    *query = (struct line_index_query){0};
    for (size_t i = 0; predicate && i < predicate->count; i++)
        add_condition(query, &predicate->items[i]);
}

void line_index_query_done(struct line_index_query *query)
{
    array_done(&query->elements);
    array_done(&query->alternatives);
    array_done(&query->conditions);
}

struct filter {
    const char *buckets; /* of words, then of ids */
    size_t words, ids;
};

static bool filter_open(struct slice bytes, struct filter *filter)
{
    struct reader r = reader_of(bytes);
    uint8_t scheme = read8(&r);
    uint64_t words = read_varint(&r), ids = read_varint(&r);
    uint16_t check = read16(&r);
    if (r.failed || scheme != SCHEME || words > bytes.size || ids > bytes.size ||
        check != head_check((size_t)words, (size_t)ids) ||
        (words + ids) * BUCKET_SIZE != reader_left(&r))
        return false;
    *filter =
        (struct filter){bytes.data + (bytes.size - reader_left(&r)), (size_t)words, (size_t)ids};
    return true;
}

static bool element_there(const struct filter *f, uint64_t tagged)
{
    uint64_t element = tagged >> 1;
    size_t first = tagged & 1 ? f->words : 0, count = tagged & 1 ? f->ids : f->words;
    if (count == 0)
        return false;
    size_t number = first + bucket_of(element, count);
    const char *bucket = f->buckets + number * BUCKET_SIZE;
    uint64_t bits = mix(element + second_hash);
    for (int probe = 0; probe < PROBES; probe++) {
        size_t bit = probe_bit(bits, probe);
        if (!((uint8_t)bucket[bit / 8] >> bit % 8 & 1))
            return bucket_check(bucket, number, f->words) != bytes_get16(bucket);
    }
    return true;
}

static bool alternative_there(const struct filter *f, const struct line_index_query *query,
                              size_t alternative)
{
    size_t at = alternative > 0 ? query->alternatives.items[alternative - 1] : 0;
    for (; at < query->alternatives.items[alternative]; at++)
        if (!element_there(f, query->elements.items[at]))
            return false;
    return true;
}

bool line_index_may_hold(struct slice bytes, const struct line_index_query *query)
{
    struct filter filter;
    if (query->conditions.count == 0 || !filter_open(bytes, &filter))
        return true;
    for (size_t i = 0, at = 0; i < query->conditions.count; i++) {
        bool any = false;
        for (; at < query->conditions.items[i]; at++)
            any = any || alternative_there(&filter, query, at);
        if (!any)
            return false;
    }
    return true;
}
