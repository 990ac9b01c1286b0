/*
 * ip_match.h - ip("...") of line and label filters: one address, a CIDR block or
 * a range a-b, IPv4 or IPv6.
 */
#ifndef QUERY_IP_MATCH_H
#define QUERY_IP_MATCH_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct error;

struct ip_address {
    bool v6;
    uint8_t bytes[16]; /* network order; IPv4 in the first four */
};

struct ip_matcher {
    struct ip_address low, high; /* both included, of one family */
};

/* In `arena`; NULL and ERR_INVALID for a text that is none of the three. */
const struct ip_matcher *ip_matcher_new(struct arena *arena, struct slice text, struct error *err)
    MUST_CHECK;

bool ip_parse(struct slice text, struct ip_address *address);

/* Is the address in the set? */
bool ip_matcher_test(const struct ip_matcher *m, const struct ip_address *address);

/* Does the line hold a text that looks like an address and is in the set? */
bool ip_matcher_scan(const struct ip_matcher *m, struct slice line);

#endif
