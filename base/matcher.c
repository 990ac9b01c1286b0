/* matcher.c - testing label values (see matcher.h). */
#include "base/matcher.h"

#include "base/error.h"
#include "base/regex.h"

bool matcher_init(struct matcher *m, enum matcher_type type, struct slice name, struct slice value,
                  struct error *err)
{
    struct regex *regex = NULL;
    if (type == MATCH_REGEX || type == MATCH_NOT_REGEX) {
        regex = regex_new(value, REGEX_ANCHORED | REGEX_DOT_NEWLINE, err);
        if (regex == NULL)
            return false;
    }
    *m = (struct matcher){type, name, value, regex};
    return true;
}

void matcher_done(struct matcher *m)
{
    regex_free(m->regex);
    m->regex = NULL;
}

int matcher_test(const struct matcher *m, struct slice value, struct error *err)
{
    if (m->type == MATCH_EQUAL)
        return slice_equal(m->value, value);
    if (m->type == MATCH_NOT_EQUAL)
        return !slice_equal(m->value, value);
    int hit = regex_match(m->regex, value, err);
    if (hit < 0)
        return -1;
    return m->type == MATCH_REGEX ? hit : !hit;
}

int matchers_test(const struct matcher *matchers, size_t count, struct labels labels,
                  struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        int hit = matcher_test(&matchers[i], labels_get(labels, matchers[i].name), err);
        if (hit <= 0)
            return hit;
    }
    return 1;
}

bool matcher_matches_empty(const struct matcher *m)
{
    switch (m->type) {
    case MATCH_EQUAL:
        return m->value.size == 0;
    case MATCH_NOT_EQUAL:
        return m->value.size != 0;
    case MATCH_REGEX:
        return regex_matches_empty(m->regex);
    case MATCH_NOT_REGEX:
        return !regex_matches_empty(m->regex);
    }
    return false;
}

const char *matcher_operator(enum matcher_type type)
{
    static const char *const texts[] = {"=", "!=", "=~", "!~"};
    return texts[type];
}
