/*
 * ip_match.c - addresses, blocks and ranges (see ip_match.h).
 *
 * Scanning a line looks for runs of address characters at places where an
 * address may start: a digit with a dot within the next three bytes, or a hex
 * digit or colon with a colon within the next four.
 */
#include "query/ip_match.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"

#include <arpa/inet.h>

enum { ADDRESS_TEXT_MAX = 63 };

bool ip_parse(struct slice text, struct ip_address *address)
{
    char copy[ADDRESS_TEXT_MAX + 1];
    if (text.size == 0 || text.size > ADDRESS_TEXT_MAX)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    struct ip_address parsed = {0};
    if (inet_pton(AF_INET, copy, parsed.bytes) != 1) {
        if (inet_pton(AF_INET6, copy, parsed.bytes) != 1)
            return false;
        parsed.v6 = true;
    }
    *address = parsed;
    return true;
}

static size_t address_size(const struct ip_address *address)
{
    return address->v6 ? 16 : 4;
}

static bool parse_block(struct slice text, size_t slash, struct ip_matcher *m)
{
    uint64_t bits;
    if (!ip_parse(slice_sub(text, 0, slash), &m->low) ||
        !slice_parse_u64(slice_skip(text, slash + 1), &bits) || bits > address_size(&m->low) * 8)
        return false;
    m->high = m->low;
    for (size_t i = 0; i < address_size(&m->low); i++) {
        size_t fixed = bits > i * 8 ? bits - i * 8 : 0;
        unsigned open = fixed >= 8 ? 0U : 0xffU >> fixed;
        m->low.bytes[i] = (uint8_t)(m->low.bytes[i] & ~open);
        m->high.bytes[i] = (uint8_t)(m->high.bytes[i] | open);
    }
    return true;
}

static bool parse_set(struct slice text, struct ip_matcher *m)
{
    size_t slash = slice_find_byte(text, '/', 0);
    if (slash != SLICE_NOT_FOUND)
        return parse_block(text, slash, m);
    size_t dash = slice_find_byte(text, '-', 0);
    if (dash != SLICE_NOT_FOUND)
        return ip_parse(slice_sub(text, 0, dash), &m->low) &&
               ip_parse(slice_skip(text, dash + 1), &m->high) && m->low.v6 == m->high.v6 &&
               memcmp(m->low.bytes, m->high.bytes, sizeof(m->low.bytes)) <= 0;
    if (!ip_parse(text, &m->low))
        return false;
    m->high = m->low;
    return true;
}

const struct ip_matcher *ip_matcher_new(struct arena *arena, struct slice text, struct error *err)
{
    struct ip_matcher *m = arena_calloc(arena, 1, sizeof(*m));
    if (m == NULL)
        return error_null(err, ERR_LIMIT, "ip: pattern is too large");
    if (!parse_set(text, m))
        return error_null(err, ERR_INVALID, "ip: invalid pattern: \"%.*s\"",
                          SLICE_ARG(slice_sub(text, 0, 100)));
    return m;
}

bool ip_matcher_test(const struct ip_matcher *m, const struct ip_address *address)
{
    size_t size = address_size(address);
    return m->low.v6 == address->v6 && memcmp(address->bytes, m->low.bytes, size) >= 0 &&
           memcmp(address->bytes, m->high.bytes, size) <= 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool has_near(struct slice line, size_t at, size_t distance, char c)
{
    struct slice near = slice_sub(line, at + 1, distance);
    return slice_find_byte(near, c, 0) != SLICE_NOT_FOUND;
}

static size_t run_of(struct slice line, size_t at, bool v6)
{
    size_t end = at;
    while (end < line.size) {
        char c = line.data[end];
        if (c != '.' && !(v6 ? is_hex(c) || c == ':' : is_digit(c)))
            break;
        end++;
    }
    return end - at;
}

bool ip_matcher_scan(const struct ip_matcher *m, struct slice line)
{
    for (size_t at = 0; at < line.size; at++) {
        char c = line.data[at];
        bool v4 = is_digit(c) && has_near(line, at, 3, '.');
        bool v6 = !v4 && (is_hex(c) || c == ':') && has_near(line, at, 4, ':');
        if (!v4 && !v6)
            continue;
        size_t size = run_of(line, at, v6);
        struct ip_address address;
        if (ip_parse(slice_sub(line, at, size), &address) && ip_matcher_test(m, &address))
            return true;
        at += size;
    }
    return false;
}
