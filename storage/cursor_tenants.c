/*
 * cursor_tenants.c - reading several tenants as one: "a|b" where a request names a tenant.
 *
 * Each tenant keeps its own cursor, view and answers; here they stand behind one another, and
 * every series gets the label __tenant_id__ (a label of that name in the data is moved to
 * original___tenant_id__).  Matchers on __tenant_id__ choose among the tenants.
 */
#include "storage/cursor_internal.h"

#include "base/matcher.h"

struct tenant_list {
    struct slice items[STORE_TENANTS_MAX];
    size_t count;
};

static const struct slice tenant_label = {"__tenant_id__", 13};
static const struct slice tenant_label_moved = {"original___tenant_id__", 22};

bool names_many_tenants(struct slice tenant)
{
    return slice_find_byte(tenant, '|', 0) < tenant.size;
}

static bool on_tenant(const struct matcher *matcher)
{
    return slice_equal(matcher->name, tenant_label);
}

/* The tenants that the matchers leave, each once, in order. */
static bool choose_tenants(struct slice text, const struct matcher *matchers, size_t count,
                           struct tenant_list *list, struct error *err)
{
    struct slice name;
    list->count = 0;
    while (slice_split(&text, '|', &name)) {
        bool wanted = true;
        for (size_t i = 0; i < list->count; i++)
            wanted = wanted && !slice_equal(list->items[i], name);
        for (size_t i = 0; wanted && i < count; i++) {
            if (!on_tenant(&matchers[i]))
                continue;
            int hit = matcher_test(&matchers[i], name, err);
            if (hit < 0)
                return false;
            wanted = hit > 0;
        }
        if (!wanted)
            continue;
        if (list->count == STORE_TENANTS_MAX)
            return error_set(err, ERR_LIMIT, "a request reads at most %d tenants",
                             STORE_TENANTS_MAX);
        list->items[list->count++] = name;
    }
    return true;
}

/* Without those on the tenant; the same array when there are none. */
static const struct matcher *other_matchers(struct arena *arena, const struct matcher *matchers,
                                            size_t *count)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++)
        kept += !on_tenant(&matchers[i]);
    if (kept == *count)
        return matchers;
    struct matcher *others = arena_calloc(arena, *count, sizeof(*others));
    kept = 0;
    for (size_t i = 0; others && i < *count; i++) {
        if (!on_tenant(&matchers[i]))
            others[kept++] = matchers[i];
    }
    *count = kept;
    return others;
}

/* ---- views ------------------------------------------------------------------------------------
 */

static struct store_view *open_views(struct store *store, const struct view_request *request,
                                     struct error *err)
{
    struct tenant_list tenants;
    if (!choose_tenants(request->tenant, NULL, 0, &tenants, err))
        return NULL;
    struct store_view *view = xcalloc(1, sizeof(*view));
    view->of_tenants = xcalloc(tenants.count, sizeof(struct store_view *));
    for (size_t i = 0; i < tenants.count; i++) {
        struct view_request one = *request;
        one.tenant = tenants.items[i];
        view->of_tenants[i] = view_take(store, &one, err);
        if (view->of_tenants[i] == NULL) {
            store_view_close(view);
            return NULL;
        }
        view->tenant_count++;
    }
    return view;
}

struct store_view *store_view_open(struct store *store, struct slice tenant, enum store_kind kind,
                                   const struct view_selector *selectors, size_t count,
                                   size_t memory_max, const bool *cancel, struct error *err)
{
    struct view_request request = {.tenant = tenant,
                                   .kind = kind,
                                   .selectors = selectors,
                                   .count = count,
                                   .start_ns = INT64_MIN,
                                   .end_ns = INT64_MAX,
                                   .memory_max = memory_max ? memory_max : SIZE_MAX,
                                   .cancel = cancel};
    return names_many_tenants(tenant) ? open_views(store, &request, err)
                                      : view_take(store, &request, err);
}

/* The tenant's part of a view of many: its place among all that the request names. */
static const struct store_view *view_of(const struct store_view *view, struct slice text,
                                        struct slice tenant)
{
    struct tenant_list all;
    struct error ignored; /* the view was opened for the same names */
    if (view == NULL || !choose_tenants(text, NULL, 0, &all, &ignored))
        return NULL;
    for (size_t i = 0; i < all.count && i < view->tenant_count; i++) {
        if (slice_equal(all.items[i], tenant))
            return view->of_tenants[i];
    }
    return NULL;
}

/* ---- cursors ----------------------------------------------------------------------------------
 */

static int compare_tenant_series(const void *a, const void *b)
{
    const struct tenant_series *left = a;
    const struct tenant_series *right = b;
    return labels_compare(left->labels, right->labels);
}

static int compare_label_names(const void *a, const void *b)
{
    return slice_compare(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static struct labels with_tenant(struct arena *arena, struct labels labels, struct slice tenant)
{
    struct label *items = arena_calloc(arena, labels.count + 1, sizeof(*items));
    size_t count = 0;
    for (size_t i = 0; items && i < labels.count; i++) {
        items[count] = labels.items[i];
        if (slice_equal(items[count].name, tenant_label))
            items[count].name = tenant_label_moved;
        count++;
    }
    if (items == NULL)
        return (struct labels){NULL, 0};
    items[count++] = (struct label){tenant_label, tenant};
    qsort(items, count, sizeof(*items), compare_label_names);
    return (struct labels){items, count};
}

static bool add_tenant(struct cursor *cursor, struct slice tenant,
                       const struct cursor_request *request, struct error *err)
{
    struct cursor_request one = *request;
    one.tenant = tenant;
    one.view = view_of(request->view, cursor->request.tenant, tenant);
    struct cursor *sub = cursor_open_one(cursor->store, &one, err);
    if (sub == NULL)
        return false;
    uint32_t number = (uint32_t)cursor->tenant_count++;
    cursor->of_tenants[number] = sub;
    for (size_t i = 0; i < sub->series.count; i++) {
        struct tenant_series series = {
            .labels = with_tenant(cursor->arena, sub->series.items[i].labels, tenant),
            .tenant = number,
            .series = (uint32_t)i};
        array_push(&cursor->tenant_series, series);
    }
    size_t limit = request->series_max;
    if (limit > 0 && cursor->tenant_series.count > limit)
        return error_set(err, ERR_LIMIT, "the selector matches more than %zu series, the limit",
                         limit);
    return arena_check(cursor->arena, "the selected series", err);
}

static struct cursor *open_cursors(struct store *store, const struct cursor_request *request,
                                   struct error *err)
{
    struct tenant_list tenants;
    if (!choose_tenants(request->tenant, request->matchers, request->matcher_count, &tenants, err))
        return NULL;
    struct cursor *cursor = cursor_new(store, request);
    cursor->of_tenants = xcalloc(tenants.count + 1, sizeof(struct cursor *));
    cursor->request.tenant = arena_copy(cursor->arena, request->tenant);
    struct cursor_request others = *request;
    others.matchers = other_matchers(cursor->arena, request->matchers, &others.matcher_count);
    bool ok = others.matchers != NULL || request->matcher_count == 0;
    for (size_t i = 0; ok && i < tenants.count; i++)
        ok = add_tenant(cursor, arena_copy(cursor->arena, tenants.items[i]), &others, err);
    if (!ok) {
        cursor_close(cursor);
        return NULL;
    }
    if (cursor->tenant_series.count > 1)
        qsort(cursor->tenant_series.items, cursor->tenant_series.count,
              sizeof(*cursor->tenant_series.items), compare_tenant_series);
    return cursor;
}

struct cursor *cursor_open(struct store *store, const struct cursor_request *request,
                           struct error *err)
{
    return names_many_tenants(request->tenant) ? open_cursors(store, request, err)
                                               : cursor_open_one(store, request, err);
}

size_t cursor_series_count(const struct cursor *cursor)
{
    return cursor->of_tenants ? cursor->tenant_series.count : cursor->series.count;
}

struct labels cursor_labels(const struct cursor *cursor, size_t series)
{
    return cursor->of_tenants ? cursor->tenant_series.items[series].labels
                              : cursor->series.items[series].labels;
}

struct cursor_reader *reader_for_series(struct cursor_reader *reader, size_t *series)
{
    struct cursor *cursor = reader->cursor;
    if (cursor->of_tenants == NULL)
        return reader;
    const struct tenant_series *place = &cursor->tenant_series.items[*series];
    if (reader->of_tenants == NULL)
        reader->of_tenants = xcalloc(cursor->tenant_count, sizeof(struct cursor_reader *));
    struct cursor_reader **own = &reader->of_tenants[place->tenant];
    if (*own == NULL)
        *own = cursor_reader_new(cursor->of_tenants[place->tenant]);
    *series = place->series;
    return *own;
}

/* ---- names ------------------------------------------------------------------------------------
 */

struct name_list ARRAY_BODY(struct slice);

static bool add_names(struct store *store, const struct names_request *request, struct arena *arena,
                      struct name_list *all, struct error *err)
{
    struct slice *names;
    size_t count;
    bool truncated;
    if (!names_of_one(store, request, arena, &names, &count, &truncated, err))
        return false;
    for (size_t i = 0; i < count; i++)
        array_push(all, names[i]);
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static bool names_of_many(struct store *store, const struct names_request *request,
                          struct arena *arena, struct name_list *all, struct error *err)
{
    struct tenant_list tenants;
    if (!choose_tenants(request->tenant, request->matchers, request->matcher_count, &tenants, err))
        return false;
    struct names_request one = *request;
    one.matchers = other_matchers(arena, request->matchers, &one.matcher_count);
    bool ids = slice_equal(request->label, tenant_label);
    for (size_t i = 0; i < tenants.count; i++) {
        one.tenant = tenants.items[i];
        if (ids)
            array_push(all, arena_copy(arena, tenants.items[i]));
        else if (!add_names(store, &one, arena, all, err))
            return false;
    }
    if (request->label.size == 0 && all->count > 0)
        array_push(all, tenant_label);
    return true;
}

bool store_names(struct store *store, const struct names_request *request, struct arena *arena,
                 struct slice **names, size_t *count, bool *truncated, struct error *err)
{
    if (!names_many_tenants(request->tenant))
        return names_of_one(store, request, arena, names, count, truncated, err);
    struct name_list all = {0};
    bool ok = names_of_many(store, request, arena, &all, err);
    if (all.count > 1)
        qsort(all.items, all.count, sizeof(*all.items), compare_names);
    struct slice *list = arena_calloc(arena, all.count, sizeof(*list));
    *count = 0;
    *truncated = false;
    for (size_t i = 0; ok && list && i < all.count; i++) {
        if (*count > 0 && slice_equal(list[*count - 1], all.items[i]))
            continue;
        *truncated = request->limit > 0 && *count == request->limit;
        if (*truncated)
            break;
        list[(*count)++] = all.items[i];
    }
    *names = list;
    array_done(&all);
    return ok && arena_check(arena, "names", err);
}
