/*
 * overrides.c - see overrides.h.
 */
#include "server/overrides.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/json_reader.h"
#include "base/number.h"
#include "query/query.h"

#include <string.h>

enum { OVERRIDE_MEMORY_MAX = 64 << 20 };

struct rules ARRAY_BODY(struct store_rule);

struct tenant {
    struct store_tenant_options options;
    struct rules rules;
};

struct overrides {
    struct arena *arena;
    struct rules rules;
    ARRAY(struct tenant) tenants;
    struct store_tenant_options *list; /* of the tenants, when all are read */
};

struct reading {
    struct overrides *to;
    struct json_reader json;
    const char *setting;
    struct error *err;
};

static bool fail(struct reading *r, const char *what)
{
    return error_set(r->err, ERR_INVALID, "%s: %s", r->setting, what);
}

/* The current event as text: YAML has no other scalars. */
static bool read_text(struct reading *r, struct slice *out)
{
    if (r->json.event == JSON_NUMBER) {
        *out = r->json.value;
        return true;
    }
    if (r->json.event != JSON_STRING)
        return fail(r, "a single value is expected");
    struct slice text;
    if (!json_text(&r->json, r->to->arena, &text, r->err))
        return false;
    *out = arena_copy(r->to->arena, text);
    return arena_check(r->to->arena, r->setting, r->err);
}

/* 0 is written for "for ever" and "no limit", as in the settings for all. */
static bool read_duration(struct reading *r, bool zero_is_none, int64_t *ns)
{
    struct slice text;
    if (!read_text(r, &text))
        return false;
    if (!duration_parse_prometheus(text, ns) || *ns < 0)
        return error_set(r->err, ERR_INVALID, "%s: \"%.*s\" is no duration such as 15d or 1h30m",
                         r->setting, SLICE_ARG(text));
    if (*ns == 0)
        *ns = zero_is_none ? -1 : 1;
    return true;
}

/* ---- rules -------------------------------------------------------------------- */

static bool read_rule_member(struct reading *r, struct store_rule *rule, bool *has_period)
{
    struct slice name, text;
    if (!json_text(&r->json, r->to->arena, &name, r->err))
        return false;
    json_next(&r->json);
    if (slice_equal(name, SLICE("period"))) {
        *has_period = true;
        return read_duration(r, true, &rule->period_ns);
    }
    if (!read_text(r, &text))
        return false;
    if (slice_equal(name, SLICE("selector"))) {
        struct matcher *matchers;
        if (rule->matchers)
            return fail(r, "a rule has two selectors");
        if (!query_parse_selector(QUERY_LOGQL, text, &matchers, &rule->matcher_count, r->to->arena,
                                  r->err))
            return error_prefix(r->err, "%s: selector %.*s", r->setting, SLICE_ARG(text));
        rule->matchers = matchers;
        return true;
    }
    if (slice_equal(name, SLICE("priority"))) {
        uint64_t priority;
        if (!slice_parse_u64(text, &priority) || priority > INT32_MAX)
            return fail(r, "a priority is a whole number from 0 on");
        rule->priority = (int64_t)priority;
        return true;
    }
    if (!slice_equal(name, SLICE("kind")))
        return error_set(r->err, ERR_INVALID,
                         "%s: a rule has selector, priority, period and kind, not \"%.*s\"",
                         r->setting, SLICE_ARG(name));
    if (slice_equal(text, SLICE("metric")))
        rule->kinds = 1u << STORE_METRIC;
    else if (slice_equal(text, SLICE("log")))
        rule->kinds = 1u << STORE_LOG;
    else
        return fail(r, "the kind of a rule is metric or log");
    return true;
}

static bool read_rule(struct reading *r, struct rules *rules)
{
    struct store_rule rule = {.priority = 0};
    bool has_period = false, ok = true;
    if (r->json.event != JSON_OBJECT_BEGIN)
        return fail(r, "a list of rules with selector and period is expected");
    while (ok && json_next(&r->json) == JSON_KEY)
        ok = read_rule_member(r, &rule, &has_period);
    if (rule.matchers)
        array_push(rules, rule); /* also when it fails: to be freed */
    if (!ok || r->json.event != JSON_OBJECT_END)
        return ok ? fail(r, "malformed JSON") : false;
    if (rule.matchers == NULL || !has_period)
        return fail(r, "a rule needs selector and period");
    return rules->count <= OVERRIDE_RULES_MAX || fail(r, "too many rules");
}

static bool read_rules(struct reading *r, struct rules *rules)
{
    if (r->json.event != JSON_ARRAY_BEGIN)
        return fail(r, "a list of rules is expected");
    while (json_next(&r->json) != JSON_ARRAY_END)
        if (!read_rule(r, rules))
            return false;
    return true;
}

/* ---- tenants ------------------------------------------------------------------ */

static bool read_tenant_member(struct reading *r, struct tenant *tenant);

/* What is nested below `metrics` and `logs`. */
static bool read_kind(struct reading *r, struct tenant *tenant, enum store_kind kind)
{
    if (r->json.event != JSON_OBJECT_BEGIN)
        return fail(r, "below metrics and logs stands out_of_order");
    while (json_next(&r->json) == JSON_KEY) {
        if (!json_is(&r->json, SLICE("out_of_order")))
            return fail(r, "below metrics and logs stands out_of_order and nothing else");
        json_next(&r->json);
        if (!read_duration(r, false, &tenant->options.out_of_order_ns[kind]))
            return false;
    }
    return r->json.event == JSON_OBJECT_END || fail(r, "malformed JSON");
}

static bool read_tenant_member(struct reading *r, struct tenant *tenant)
{
    struct slice name;
    if (!json_text(&r->json, r->to->arena, &name, r->err))
        return false;
    json_next(&r->json);
    if (slice_equal(name, SLICE("retention")))
        return read_duration(r, true, &tenant->options.retention_ns);
    if (slice_equal(name, SLICE("metrics")))
        return read_kind(r, tenant, STORE_METRIC);
    if (slice_equal(name, SLICE("logs")))
        return read_kind(r, tenant, STORE_LOG);
    if (slice_equal(name, SLICE("retention_stream")))
        return read_rules(r, &tenant->rules);
    return error_set(r->err, ERR_INVALID,
                     "%s: a tenant has retention, metrics.out_of_order, logs.out_of_order and "
                     "retention_stream, not \"%.*s\"",
                     r->setting, SLICE_ARG(name));
}

static bool read_tenant(struct reading *r)
{
    struct tenant tenant = {.options = {.retention_ns = 0}};
    struct slice name;
    if (!json_text(&r->json, r->to->arena, &name, r->err))
        return false;
    tenant.options.tenant = arena_copy(r->to->arena, name);
    if (name.size == 0 || name.size > TENANT_NAME_MAX)
        return fail(r, "a tenant's name has 1 to 64 characters");
    if (json_next(&r->json) != JSON_OBJECT_BEGIN)
        return fail(r, "what a tenant has of its own is expected behind its name");
    bool ok = true;
    while (ok && json_next(&r->json) == JSON_KEY)
        ok = read_tenant_member(r, &tenant);
    array_push(&r->to->tenants, tenant);
    if (ok && r->json.event != JSON_OBJECT_END)
        return fail(r, "malformed JSON");
    return ok && (r->to->tenants.count <= OVERRIDE_TENANTS_MAX || fail(r, "too many tenants"));
}

static bool read_tenants(struct reading *r)
{
    if (r->json.event != JSON_OBJECT_BEGIN)
        return fail(r, "tenants with what they have of their own are expected");
    while (json_next(&r->json) == JSON_KEY)
        if (!read_tenant(r))
            return false;
    return r->json.event == JSON_OBJECT_END || fail(r, "malformed JSON");
}

/* ---- all ------------------------------------------------------------------------ */

static bool read_setting(struct overrides *to, const char *setting, const char *text, bool tenants,
                         struct error *err)
{
    struct reading r = {.to = to, .setting = setting, .err = err};
    if (text == NULL || text[0] == '\0')
        return true;
    json_reader_init(&r.json, slice_from_text(text), JSON_UTF8_REFUSE);
    json_next(&r.json);
    if (!(tenants ? read_tenants(&r) : read_rules(&r, &to->rules)))
        return false;
    return json_next(&r.json) == JSON_END || fail(&r, "malformed JSON");
}

struct overrides *overrides_read(const char *rules, const char *tenants, struct error *err)
{
    struct overrides *o = xcalloc(1, sizeof(*o));
    o->arena = arena_new(OVERRIDE_MEMORY_MAX);
    if (!read_setting(o, "retention_stream", rules, false, err) ||
        !read_setting(o, "tenants", tenants, true, err)) {
        overrides_free(o);
        return NULL;
    }
    o->list = xcalloc(o->tenants.count, sizeof(*o->list));
    for (size_t i = 0; i < o->tenants.count; i++) {
        o->list[i] = o->tenants.items[i].options;
        o->list[i].rules = o->tenants.items[i].rules.items;
        o->list[i].rule_count = o->tenants.items[i].rules.count;
    }
    return o;
}

static void rules_done(struct rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        struct store_rule *rule = &rules->items[i];
        query_selector_free((struct matcher *)(uintptr_t)rule->matchers, rule->matcher_count);
    }
    array_done(rules);
}

void overrides_free(struct overrides *o)
{
    if (o == NULL)
        return;
    for (size_t i = 0; i < o->tenants.count; i++)
        rules_done(&o->tenants.items[i].rules);
    rules_done(&o->rules);
    array_done(&o->tenants);
    free(o->list);
    arena_free(o->arena);
    free(o);
}

void overrides_for_store(const struct overrides *o, struct store_options *out)
{
    if (o == NULL)
        return;
    out->rules = o->rules.items;
    out->rule_count = o->rules.count;
    out->tenants = o->list;
    out->tenant_count = o->tenants.count;
}
