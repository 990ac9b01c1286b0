/* store_model.c - what must be in the store (see store_model.h). */
#include "tests/faults/store_model.h"

#include "base/compiler.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"

static char long_line[3000];

void model_init(struct model *model)
{
    memset(model, 0, sizeof(*model));
    memset(long_line, 'l', sizeof(long_line));
    model->cutoff_ns = INT64_MIN;
    model->window_ns[STORE_METRIC] = 30 * NS_PER_MINUTE;
    model->window_ns[STORE_LOG] = NS_PER_HOUR;
    for (unsigned t = 0; t < MODEL_TENANTS; t++) {
        for (unsigned k = 0; k < STORE_KINDS; k++) {
            for (unsigned s = 0; s < MODEL_SERIES; s++) {
                model->series[t][k][s].states[0].last_ns = INT64_MIN;
                model->series[t][k][s].state_count = 1;
            }
        }
    }
}

void model_done(struct model *model)
{
    for (unsigned t = 0; t < MODEL_TENANTS; t++) {
        for (unsigned k = 0; k < STORE_KINDS; k++) {
            for (unsigned s = 0; s < MODEL_SERIES; s++)
                array_done(&model->series[t][k][s].entries);
        }
    }
    array_done(&model->batches);
}

/* ---- names and contents ------------------------------------------------ */

struct slice model_tenant(unsigned tenant)
{
    return tenant == 0 ? SLICE("one") : SLICE("two");
}

struct slice model_line(uint64_t number)
{
    static const struct slice lines[MODEL_LINES - 1] = {{"", 0},
                                                        {"a line", 6},
                                                        {"another line", 12},
                                                        {"nul \0 in it", 11},
                                                        {"\xff\xfe", 2},
                                                        {"level=error x=1", 15},
                                                        {"\n", 1}};
    return number < MODEL_LINES - 1 ? lines[number] : slice_of(long_line, sizeof(long_line));
}

size_t model_metadata(unsigned number, struct label *items)
{
    items[0] = (struct label){SLICE("a"), SLICE("1")};
    items[1] = (struct label){SLICE("trace"), SLICE("xyz")};
    return number % MODEL_METADATA;
}

size_t model_labels(enum store_kind kind, unsigned series, struct label *items)
{
    static const char apps[] = "abcdef";
    size_t count = 0;
    if (kind == STORE_METRIC)
        items[count++] = (struct label){LABEL_NAME_METRIC, series < 4 ? SLICE("m") : SLICE("n")};
    items[count++] = (struct label){SLICE("app"), slice_of(apps + series, 1)};
    if (series % 3 != 0)
        items[count++] = (struct label){SLICE("zone"), series % 3 == 1 ? SLICE("z1") : SLICE("z2")};
    return count;
}

/* ---- deciding ---------------------------------------------------------- */

static int decide(const struct model *model, enum store_kind kind, const struct model_state *state,
                  int64_t time_ns, uint64_t bits)
{
    if (state->last_ns == INT64_MIN || time_ns > state->last_ns)
        return MODEL_STORED;
    if (time_ns == state->last_ns)
        return kind == STORE_LOG || bits == state->bits ? MODEL_STORED : REFUSED_DUPLICATE;
    return time_ns < state->last_ns - model->window_ns[kind] ? REFUSED_OUT_OF_ORDER : MODEL_STORED;
}

bool model_may_refuse(const struct model *model, enum store_kind kind,
                      const struct model_series *series, int64_t time_ns, uint64_t bits)
{
    for (unsigned i = 0; i < series->state_count; i++) {
        if (decide(model, kind, &series->states[i], time_ns, bits) != MODEL_STORED)
            return true;
    }
    return false;
}

static void add_state(struct model_series *series, struct model_state state)
{
    for (unsigned i = 0; i < series->state_count; i++) {
        if (series->states[i].last_ns == state.last_ns && series->states[i].bits == state.bits)
            return;
    }
    if (series->state_count == MODEL_STATES)
        abort();
    series->states[series->state_count++] = state;
}

/* Keep the states that explain the outcome, as they are after the entry. */
static bool advance(const struct model *model, enum store_kind kind, struct model_series *series,
                    const struct model_entry *entry, int outcome)
{
    struct model_state before[MODEL_STATES];
    unsigned count = series->state_count;
    memcpy(before, series->states, sizeof(before));
    series->state_count = 0;
    for (unsigned i = 0; i < count; i++) {
        if (decide(model, kind, &before[i], entry->time_ns, entry->bits) != outcome)
            continue;
        struct model_state state = before[i];
        if (outcome == MODEL_STORED && entry->time_ns > state.last_ns)
            state = (struct model_state){entry->time_ns, kind == STORE_LOG ? 0 : entry->bits};
        add_state(series, state);
    }
    return series->state_count > 0;
}

/* ---- storing ----------------------------------------------------------- */

/* Index behind the last entry that is not later than `time_ns`. */
static size_t place(const struct model_series *series, int64_t time_ns)
{
    size_t at = series->entries.count;
    while (at > 0 && series->entries.items[at - 1].time_ns > time_ns)
        at--;
    return at;
}

static void insert(struct model_series *series, size_t at, const struct model_entry *entry)
{
    array_push(&series->entries, *entry);
    struct model_entry *items = series->entries.items;
    memmove(items + at + 1, items + at, (series->entries.count - 1 - at) * sizeof(*items));
    items[at] = *entry;
    items[at].epoch = series->epoch;
}

static void store_sample(struct model_series *series, const struct model_entry *entry)
{
    size_t at = place(series, entry->time_ns);
    if (at == 0 || series->entries.items[at - 1].time_ns != entry->time_ns) {
        insert(series, at, entry);
        series->entries.items[at].values[0] = entry->bits;
        series->entries.items[at].value_count = 1;
        return;
    }
    struct model_entry *old = &series->entries.items[at - 1];
    bool known = false;
    for (unsigned i = 0; i < old->value_count; i++)
        known = known || old->values[i] == entry->bits;
    if (!known && old->value_count < MODEL_VALUES)
        old->values[old->value_count++] = entry->bits;
    old->loose = old->loose || (old->epoch != series->epoch && old->value_count > 1);
    old->epoch = series->epoch;
    old->bits = entry->bits;
}

static void store_entry(struct model_series *series, const struct model_entry *entry)
{
    size_t at = place(series, entry->time_ns);
    bool loose = false;
    for (size_t i = at; i-- > 0 && series->entries.items[i].time_ns == entry->time_ns;) {
        struct model_entry *old = &series->entries.items[i];
        loose = loose || old->epoch != series->epoch;
        if (old->bits == entry->bits && old->metadata == entry->metadata) {
            old->repeated = true;
            old->loose = old->loose || old->epoch != series->epoch;
            return;
        }
    }
    insert(series, at, entry);
    series->entries.items[at].loose = loose;
}

bool model_write(struct model *model, unsigned tenant, enum store_kind kind, unsigned number,
                 const struct model_entry *entry, int outcome)
{
    struct model_series *series = &model->series[tenant][kind][number];
    if (!advance(model, kind, series, entry, outcome))
        return false;
    if (outcome != MODEL_STORED)
        return true;
    if (kind == STORE_METRIC)
        store_sample(series, entry);
    else
        store_entry(series, entry);
    return true;
}

bool model_batch(struct model *model, const struct model_batch_id *id)
{
    for (size_t i = 0; i < model->batches.count; i++) {
        const struct model_batch_id *old = &model->batches.items[i];
        if (old->tenant == id->tenant && old->kind == id->kind && old->sequence == id->sequence)
            return true;
    }
    array_push(&model->batches, *id);
    return false;
}

/* ---- restart and retention --------------------------------------------- */

static void reopen_series(struct model_series *series, bool clean, bool sealed)
{
    if (clean)
        series->state_count = 0;
    if (clean || sealed) {
        add_state(series, (struct model_state){INT64_MIN, 0});
        series->epoch++;
    }
}

void model_reopen(struct model *model, bool clean)
{
    for (unsigned t = 0; t < MODEL_TENANTS; t++) {
        for (unsigned k = 0; k < STORE_KINDS; k++) {
            for (unsigned s = 0; s < MODEL_SERIES; s++)
                reopen_series(&model->series[t][k][s], clean, model->sealed);
        }
    }
    model->sealed = false;
}

void model_retention(struct model *model, int64_t cutoff_ns)
{
    model->cutoff_ns = cutoff_ns;
    for (unsigned t = 0; t < MODEL_TENANTS; t++) {
        for (unsigned k = 0; k < STORE_KINDS; k++) {
            for (unsigned s = 0; s < MODEL_SERIES; s++) {
                struct model_series *series = &model->series[t][k][s];
                size_t old = place(series, cutoff_ns - 1);
                if (old == 0)
                    continue;
                series->entries.count -= old;
                memmove(series->entries.items, series->entries.items + old,
                        series->entries.count * sizeof(*series->entries.items));
            }
        }
    }
}

/* ---- deletes ------------------------------------------------------------- */

static const struct {
    enum matcher_type type;
    const char *name, *value;
} matcher_pool[] = {
    {MATCH_EQUAL, "app", "a"},      {MATCH_NOT_EQUAL, "app", "b"},
    {MATCH_REGEX, "app", "a|c|e"},  {MATCH_NOT_REGEX, "app", "[a-c]"},
    {MATCH_EQUAL, "zone", ""},      {MATCH_NOT_EQUAL, "zone", ""},
    {MATCH_REGEX, "zone", "z1|"},   {MATCH_NOT_REGEX, "zone", "z.*"},
    {MATCH_REGEX, "zone", "z.+"},   {MATCH_EQUAL, "__name__", "m"},
    {MATCH_NOT_EQUAL, "none", "x"}, {MATCH_REGEX, "app", ".*"},
};

void model_matcher(uint64_t number, struct matcher *matcher)
{
    struct error err = {0};
    size_t pick = number % COUNT_OF(matcher_pool);
    if (!matcher_init(matcher, matcher_pool[pick].type, slice_from_text(matcher_pool[pick].name),
                      slice_from_text(matcher_pool[pick].value), &err))
        abort();
}

static void delete_range(struct model_series *series, enum store_kind kind, int64_t start_ns,
                         int64_t end_ns)
{
    struct model_state before[MODEL_STATES];
    unsigned count = series->state_count;
    size_t kept = 0;
    for (size_t i = 0; i < series->entries.count; i++) {
        int64_t time = series->entries.items[i].time_ns;
        if (time < start_ns || time > end_ns)
            series->entries.items[kept++] = series->entries.items[i];
    }
    series->entries.count = kept;
    memcpy(before, series->states, sizeof(before));
    series->state_count = 0;
    for (unsigned i = 0; i < count; i++) {
        bool inside = before[i].last_ns >= start_ns && before[i].last_ns <= end_ns;
        if (inside && before[i].last_ns != INT64_MIN) {
            before[i].last_ns = start_ns - (kind == STORE_METRIC && start_ns != INT64_MIN ? 1 : 0);
            before[i].bits = 0;
        }
        add_state(series, before[i]);
    }
}

void model_delete(struct model *model, unsigned tenant, enum store_kind kind,
                  const struct matcher *matcher, int64_t start_ns, int64_t end_ns)
{
    for (unsigned s = 0; s < MODEL_SERIES; s++) {
        struct label items[MODEL_LABELS_MAX];
        struct error err = {0};
        struct labels labels = {items, model_labels(kind, s, items)};
        if (matchers_test(matcher, 1, labels, &err) == 1)
            delete_range(&model->series[tenant][kind][s], kind, start_ns, end_ns);
    }
}

void model_delete_entry(struct model *model, unsigned tenant, unsigned number,
                        const struct model_entry *entry)
{
    struct model_series *series = &model->series[tenant][STORE_LOG][number];
    size_t kept = 0;
    for (size_t i = 0; i < series->entries.count; i++) {
        const struct model_entry *old = &series->entries.items[i];
        if (old->time_ns != entry->time_ns || old->bits != entry->bits ||
            old->metadata % MODEL_METADATA != entry->metadata % MODEL_METADATA)
            series->entries.items[kept++] = *old;
    }
    series->entries.count = kept;
}
