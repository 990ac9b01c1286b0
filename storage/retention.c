/*
 * retention.c - see retention.h.
 */
#include "storage/retention.h"

#include "base/duration.h"
#include "base/hash.h"
#include "base/matcher.h"

static const struct store_tenant_options *tenant_options(const struct store_options *options,
                                                         struct slice tenant)
{
    for (size_t i = 0; i < options->tenant_count; i++)
        if (slice_equal(options->tenants[i].tenant, tenant))
            return &options->tenants[i];
    return NULL;
}

int64_t retention_window(const struct store_options *options, struct slice tenant,
                         enum store_kind kind)
{
    const struct store_tenant_options *own = tenant_options(options, tenant);
    return own && own->out_of_order_ns[kind] != 0 ? own->out_of_order_ns[kind]
                                                  : options->out_of_order_ns[kind];
}

static int64_t retention_plain(const struct store_options *options, struct slice tenant)
{
    const struct store_tenant_options *own = tenant_options(options, tenant);
    return own && own->retention_ns != 0 ? own->retention_ns : options->retention_ns;
}

/* A tenant's own rules, then everybody's: rule number `i`, NULL behind the last. */
static const struct store_rule *rule_at(const struct store_options *options, struct slice tenant,
                                        size_t i)
{
    const struct store_tenant_options *own = tenant_options(options, tenant);
    size_t own_count = own ? own->rule_count : 0;
    if (i < own_count)
        return &own->rules[i];
    /* Rules of its own stand for everybody's, as Loki's overrides do. */
    return own_count == 0 && i < options->rule_count ? &options->rules[i] : NULL;
}

static bool is_for(const struct store_rule *rule, enum store_kind kind)
{
    return rule->kinds == 0 || (rule->kinds >> kind & 1u) != 0;
}

int64_t retention_longest(const struct store_options *options, struct slice tenant,
                          enum store_kind kind)
{
    int64_t longest = retention_plain(options, tenant);
    const struct store_rule *rule;
    for (size_t i = 0; longest >= 0 && (rule = rule_at(options, tenant, i)) != NULL; i++) {
        if (!is_for(rule, kind))
            continue;
        if (rule->period_ns < 0 || rule->period_ns > longest)
            longest = rule->period_ns;
    }
    return longest;
}

bool retention_reaches(const struct store_options *options, struct slice tenant,
                       enum store_kind kind, int64_t start_ns, int64_t now_ns)
{
    bool found = false;
    int64_t shortest = retention_plain(options, tenant);
    const struct store_rule *rule;
    for (size_t i = 0; (rule = rule_at(options, tenant, i)) != NULL; i++) {
        if (!is_for(rule, kind))
            continue;
        found = true;
        if (rule->period_ns >= 0 && (shortest < 0 || rule->period_ns < shortest))
            shortest = rule->period_ns;
    }
    return found && shortest >= 0 && ns_sub(now_ns, shortest) > start_ns;
}

/* The rule that decides for a series; NULL: none.  False: a regex could not decide. */
static bool choose(const struct store_options *options, struct slice tenant, enum store_kind kind,
                   struct labels labels, const struct store_rule **chosen, struct error *err)
{
    const struct store_rule *rule;
    *chosen = NULL;
    for (size_t i = 0; (rule = rule_at(options, tenant, i)) != NULL; i++) {
        const struct store_rule *best = *chosen;
        bool better = best == NULL || rule->priority > best->priority ||
                      (rule->priority == best->priority && rule->period_ns >= 0 &&
                       (best->period_ns < 0 || rule->period_ns < best->period_ns));
        if (!is_for(rule, kind) || !better)
            continue;
        int hit = matchers_test(rule->matchers, rule->matcher_count, labels, err);
        if (hit < 0)
            return false;
        if (hit > 0)
            *chosen = rule;
    }
    return true;
}

bool retention_hides(const struct store_options *options, struct slice tenant, enum store_kind kind,
                     struct labels labels, int64_t now_ns, struct hides *hides, struct error *err)
{
    const struct store_rule *rule;
    if (rule_at(options, tenant, 0) == NULL)
        return true;
    if (!choose(options, tenant, kind, labels, &rule, err))
        return false;
    int64_t period = rule ? rule->period_ns : retention_plain(options, tenant);
    int64_t cutoff = ns_sub(now_ns, period);
    if (period < 0 || cutoff == INT64_MIN)
        return true;
    struct hide hide = {INT64_MIN, cutoff - 1, UINT64_MAX, NULL};
    array_push(hides, hide);
    return true;
}

uint64_t retention_state(const struct store_options *options, struct slice tenant,
                         enum store_kind kind, int32_t day, int64_t now_ns)
{
    uint64_t state = 1;
    bool any = false;
    int64_t end = (day + 1) * NS_PER_DAY;
    const struct store_rule *rule;
    for (size_t i = 0; (rule = rule_at(options, tenant, i)) != NULL; i++) {
        if (!is_for(rule, kind))
            continue;
        bool due = rule->period_ns >= 0 && ns_sub(now_ns, rule->period_ns) >= end;
        int64_t facts[3] = {rule->priority, rule->period_ns, due};
        any = any || due;
        state = hash64(facts, sizeof(facts), state);
        for (size_t k = 0; k < rule->matcher_count; k++) {
            const struct matcher *m = &rule->matchers[k];
            state = hash64(m->name.data, m->name.size, state + m->type);
            state = hash64(m->value.size ? m->value.data : "", m->value.size, state);
        }
    }
    int64_t plain = retention_plain(options, tenant);
    if (rule_at(options, tenant, 0) && plain >= 0 && ns_sub(now_ns, plain) >= end) {
        any = true;
        state++;
    }
    return any && state != 0 ? state : 0;
}
