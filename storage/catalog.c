/*
 * catalog.c - DATA/meta.mdb (see catalog.h).
 *
 * Four databases: "meta" (format version, clock), "days" (tenant, kind and day
 * to generation, and a row per tenant), "metadata" (tenant and family to type,
 * help and unit) and "producers".  Tenants and days are read into sorted arrays
 * at open and kept up to date by every change, under `lock`; names live as long
 * as the catalog.
 */
#include "storage/catalog_internal.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"

#include <limits.h>

static const char *const database_names[DB_COUNT] = {"meta",      "days",       "metadata",
                                                     "producers", "tombstones", "notes"};

/* ---- rows --------------------------------------------------------------- */

struct rows {
    const struct row *items;
    size_t count;
};

static int rows_write(MDB_txn *txn, struct lmdb_env *e, void *context, struct error *err)
{
    (void)err;
    const struct rows *rows = context;
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->items[i];
        MDB_dbi dbi = e->databases[row->database];
        int rc;
        if (row->remove) {
            MDB_val key = lmdb_val(row->key);
            rc = mdb_del(txn, dbi, &key, NULL);
            rc = rc == MDB_NOTFOUND ? 0 : rc;
        } else {
            rc = lmdb_put(txn, dbi, row->key, row->value, 0);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

bool rows_commit(struct catalog *c, const struct row *items, size_t count, struct error *err)
{
    struct rows rows = {items, count};
    return count == 0 || lmdb_update(c->env, rows_write, &rows, err);
}

/* ---- tenants and days in memory ------------------------------------------ */

static int tenant_order(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static int day_order(const void *a, const void *b)
{
    const struct catalog_day *x = a, *y = b;
    int order = slice_compare(x->tenant, y->tenant);
    if (order != 0)
        return order;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->day < y->day ? -1 : x->day > y->day;
}

/* Where `day` is or belongs. */
static size_t day_position(const struct catalog *c, const struct catalog_day *day, bool *found)
{
    size_t low = 0, high = c->days.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (day_order(&c->days.items[middle], day) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < c->days.count && day_order(&c->days.items[low], day) == 0;
    return low;
}

static const struct slice *tenant_find(const struct catalog *c, struct slice tenant)
{
    return c->tenants.count == 0
               ? NULL
               : bsearch(&tenant, c->tenants.items, c->tenants.count, sizeof(tenant), tenant_order);
}

static struct slice tenant_insert(struct catalog *c, struct slice tenant)
{
    const struct slice *known = tenant_find(c, tenant);
    if (known != NULL)
        return *known;
    /* Not from an arena that may refuse: a row that memory lacks would cost the day's file. */
    struct slice name = slice_of(xmemdup(tenant.data, tenant.size), tenant.size);
    array_push(&c->tenants, name);
    qsort(c->tenants.items, c->tenants.count, sizeof(name), tenant_order);
    return name;
}

static void day_store(struct catalog *c, struct catalog_day day)
{
    bool found;
    day.tenant = tenant_insert(c, day.tenant);
    size_t at = day_position(c, &day, &found);
    struct catalog_day *items = c->days.items;
    bool stays = day.generation != 0 || day.gone_lsn != 0;
    if (found && stays) {
        items[at] = day;
    } else if (found) {
        memmove(items + at, items + at + 1, (c->days.count - at - 1) * sizeof(day));
        c->days.count--;
    } else if (stays) {
        array_push(&c->days, day);
        items = c->days.items;
        memmove(items + at + 1, items + at, (c->days.count - at - 1) * sizeof(day));
        items[at] = day;
    }
}

/* ---- the days database: tenant NUL [kind, day big-endian] ----------------- */

enum { DAY_TAIL_SIZE = 5, DAY_CLOSED = 1, DAY_ROW_SIZE = 32 };

static struct slice day_key(char key[KEY_SIZE_MAX], const struct catalog_day *day)
{
    size_t n = day->tenant.size;
    memcpy(key, day->tenant.data, n);
    key[n++] = '\0';
    key[n++] = (char)day->kind;
    bytes_put32_big(key + n, (uint32_t)day->day ^ 0x80000000u);
    return slice_of(key, n + 4);
}

static bool day_row_load(struct catalog *c, struct slice key, struct slice value)
{
    size_t end = slice_find_byte(key, '\0', 0);
    if (end == SLICE_NOT_FOUND || end > TENANT_NAME_MAX)
        return false;
    struct slice tenant = slice_sub(key, 0, end);
    if (key.size == end + 1) {
        tenant_insert(c, tenant);
        return true;
    }
    /* 4 and 8 bytes: from format 1 */
    if (key.size != end + 1 + DAY_TAIL_SIZE ||
        (value.size != 4 && value.size != 8 && value.size != DAY_ROW_SIZE) ||
        (unsigned char)key.data[end + 1] >= STORE_KINDS)
        return false;
    struct catalog_day day = {.tenant = tenant,
                              .kind = (enum store_kind)key.data[end + 1],
                              .day = (int32_t)(bytes_get32_big(key.data + end + 2) ^ 0x80000000u),
                              .generation = bytes_get32(value.data)};
    if (value.size >= 8)
        day.closed = bytes_get32(value.data + 4) == DAY_CLOSED;
    if (value.size == DAY_ROW_SIZE) {
        day.clean_lsn = bytes_get64(value.data + 8);
        day.gone_lsn = bytes_get64(value.data + 16);
        day.retained = bytes_get64(value.data + 24);
    }
    day_store(c, day);
    return true;
}

bool rows_visit(struct catalog *c, int database, struct slice prefix, row_visit *visit,
                void *context, struct error *err)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    if (!lmdb_read_begin(c->env, &txn, err))
        return false;
    bool ok = true;
    int rc = mdb_cursor_open(txn, c->env->databases[database], &cursor);
    if (rc == 0) {
        MDB_val key = lmdb_val(prefix), value;
        rc = mdb_cursor_get(cursor, &key, &value, prefix.size ? MDB_SET_RANGE : MDB_FIRST);
        while (rc == 0 && ok && slice_starts_with(lmdb_slice(key), prefix)) {
            ok = visit(context, lmdb_slice(key), lmdb_slice(value), err);
            rc = ok ? mdb_cursor_get(cursor, &key, &value, MDB_NEXT) : 0;
        }
        mdb_cursor_close(cursor);
    }
    lmdb_read_end(c->env, txn);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return lmdb_failed(c->env, rc, "reading", err);
    return ok;
}

static bool day_visit(void *context, struct slice key, struct slice value, struct error *err)
{
    struct catalog *c = context;
    if (day_row_load(c, key, value))
        return true;
    return error_set(err, ERR_CORRUPT, "%s: malformed row of a day", c->env->path);
}

/* ---- open and close ------------------------------------------------------ */

static bool meta_get(struct catalog *c, struct slice name, uint64_t *value, bool *found,
                     struct error *err)
{
    MDB_txn *txn;
    if (!lmdb_read_begin(c->env, &txn, err))
        return false;
    MDB_val key = lmdb_val(name), got;
    int rc = mdb_get(txn, c->env->databases[DB_META], &key, &got);
    *found = rc == 0 && got.mv_size == 8;
    if (*found)
        *value = bytes_get64(got.mv_data);
    lmdb_read_end(c->env, txn);
    return rc == 0 || rc == MDB_NOTFOUND || lmdb_failed(c->env, rc, "reading", err);
}

static bool meta_put(struct catalog *c, struct slice name, uint64_t value, struct error *err)
{
    char bytes[8];
    bytes_put64(bytes, value);
    struct row row = {DB_META, false, name, slice_of(bytes, sizeof(bytes))};
    return rows_commit(c, &row, 1, err);
}

static bool version_check(struct catalog *c, struct error *err)
{
    uint64_t version = 0;
    bool found;
    if (!meta_get(c, SLICE("format"), &version, &found, err))
        return false;
    if (!found)
        return meta_put(c, SLICE("format"),
                        (uint64_t)CATALOG_FORMAT_MAJOR << 32 | CATALOG_FORMAT_MINOR, err);
    if (version >> 32 > CATALOG_FORMAT_MAJOR)
        return error_set(err, ERR_UNSUPPORTED,
                         "%s has format %u.%u, written by a newer version; this one reads up to "
                         "%d.x and leaves the data alone",
                         c->env->path, (unsigned)(version >> 32), (unsigned)version,
                         CATALOG_FORMAT_MAJOR);
    /* From here on an older version would misread it. */
    return version >> 32 == CATALOG_FORMAT_MAJOR ||
           meta_put(c, SLICE("format"), (uint64_t)CATALOG_FORMAT_MAJOR << 32 | CATALOG_FORMAT_MINOR,
                    err);
}

struct catalog *catalog_open(const char *directory, struct error *err)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof(path), "%s/meta.mdb", directory) >= sizeof(path))
        return error_null(err, ERR_INVALID, "the data directory's path is too long");
    struct catalog *c = xcalloc(1, sizeof(*c));
    pthread_mutex_init(&c->lock, NULL);
    c->env = lmdb_env_open(path, database_names, DB_COUNT, MAP_SIZE_MIN, true, err);
    if (c->env != NULL && version_check(c, err) &&
        rows_visit(c, DB_DAYS, (struct slice){0}, day_visit, c, err))
        return c;
    catalog_close(c);
    return NULL;
}

void catalog_close(struct catalog *c)
{
    if (c == NULL)
        return;
    lmdb_env_close(c->env);
    for (size_t i = 0; i < c->tenants.count; i++)
        free((char *)(uintptr_t)c->tenants.items[i].data);
    array_done(&c->tenants);
    array_done(&c->days);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- tenants -------------------------------------------------------------- */

bool tenant_name_is_valid(struct slice tenant)
{
    if (tenant.size == 0 || tenant.size > TENANT_NAME_MAX)
        return false;
    for (size_t i = 0; i < tenant.size; i++) {
        char ch = tenant.data[i];
        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
              ch == '_' || ch == '-'))
            return false;
    }
    return true;
}

bool catalog_has_tenant(struct catalog *c, struct slice tenant)
{
    pthread_mutex_lock(&c->lock);
    bool has = tenant_find(c, tenant) != NULL;
    pthread_mutex_unlock(&c->lock);
    return has;
}

bool catalog_add_tenant(struct catalog *c, struct slice tenant, size_t tenants_max,
                        struct error *err)
{
    if (!tenant_name_is_valid(tenant))
        return error_set(err, ERR_INVALID,
                         "tenant name must be 1 to %d of the characters A-Z, a-z, 0-9, _ and -",
                         TENANT_NAME_MAX);
    pthread_mutex_lock(&c->lock);
    bool known = tenant_find(c, tenant) != NULL;
    size_t count = c->tenants.count;
    pthread_mutex_unlock(&c->lock);
    if (known)
        return true;
    if (tenants_max != 0 && count >= tenants_max)
        return error_set(err, ERR_RATE, "there are %zu tenants already, the limit is %zu", count,
                         tenants_max);
    char key[KEY_SIZE_MAX] = {0};
    memcpy(key, tenant.data, tenant.size);
    struct row row = {DB_DAYS, false, slice_of(key, tenant.size + 1), SLICE("")};
    if (!rows_commit(c, &row, 1, err))
        return false;
    pthread_mutex_lock(&c->lock);
    tenant_insert(c, tenant);
    pthread_mutex_unlock(&c->lock);
    return true;
}

bool catalog_tenants(struct catalog *c, struct arena *arena, struct slice **tenants, size_t *count,
                     struct error *err)
{
    pthread_mutex_lock(&c->lock);
    struct slice *names = arena_calloc(arena, c->tenants.count + 1, sizeof(*names));
    for (size_t i = 0; names != NULL && i < c->tenants.count; i++)
        names[i] = arena_copy(arena, c->tenants.items[i]);
    *count = c->tenants.count;
    pthread_mutex_unlock(&c->lock);
    *tenants = names;
    return arena_check(arena, "the list of tenants", err);
}

/* ---- days ----------------------------------------------------------------- */

bool catalog_find_day(struct catalog *c, struct slice tenant, enum store_kind kind, int32_t day,
                      struct catalog_day *out)
{
    struct catalog_day wanted = {.tenant = tenant, .kind = kind, .day = day};
    bool found;
    pthread_mutex_lock(&c->lock);
    size_t at = day_position(c, &wanted, &found);
    found = found && c->days.items[at].generation != 0;
    if (found)
        *out = c->days.items[at];
    pthread_mutex_unlock(&c->lock);
    return found;
}

uint64_t catalog_gone_lsn(struct catalog *c, struct slice tenant, enum store_kind kind, int32_t day)
{
    struct catalog_day wanted = {.tenant = tenant, .kind = kind, .day = day};
    bool found;
    pthread_mutex_lock(&c->lock);
    size_t at = day_position(c, &wanted, &found);
    uint64_t lsn = found ? c->days.items[at].gone_lsn : 0;
    pthread_mutex_unlock(&c->lock);
    return lsn;
}

uint32_t catalog_generation(struct catalog *c, struct slice tenant, enum store_kind kind,
                            int32_t day)
{
    struct catalog_day found;
    return catalog_find_day(c, tenant, kind, day, &found) ? found.generation : 0;
}

static bool days_copy(struct catalog *c, size_t from, size_t to, struct arena *arena,
                      struct catalog_day **days, size_t *count, struct error *err)
{
    struct catalog_day *copy = arena_calloc(arena, to - from + 1, sizeof(*copy));
    size_t kept = 0;
    for (size_t i = from; copy != NULL && i < to; i++) {
        if (c->days.items[i].generation != 0)
            copy[kept++] = c->days.items[i]; /* names live as long as the catalog */
    }
    *days = copy;
    *count = kept;
    return arena_check(arena, "the list of days", err);
}

bool catalog_days(struct catalog *c, struct slice tenant, enum store_kind kind, int32_t first,
                  int32_t last, struct arena *arena, struct catalog_day **days, size_t *count,
                  struct error *err)
{
    struct catalog_day low = {.tenant = tenant, .kind = kind, .day = first};
    struct catalog_day high = {.tenant = tenant, .kind = kind, .day = last};
    bool found;
    if (first > last) {
        *days = NULL;
        *count = 0;
        return true;
    }
    pthread_mutex_lock(&c->lock);
    size_t from = day_position(c, &low, &found);
    size_t to = day_position(c, &high, &found) + (found ? 1 : 0);
    bool ok = days_copy(c, from, to, arena, days, count, err);
    pthread_mutex_unlock(&c->lock);
    return ok;
}

bool catalog_all_days(struct catalog *c, struct arena *arena, struct catalog_day **days,
                      size_t *count, struct error *err)
{
    pthread_mutex_lock(&c->lock);
    bool ok = days_copy(c, 0, c->days.count, arena, days, count, err);
    pthread_mutex_unlock(&c->lock);
    return ok;
}

bool catalog_set_day(struct catalog *c, const struct catalog_day *day, struct error *err)
{
    char key[KEY_SIZE_MAX], value[DAY_ROW_SIZE];
    if (!tenant_name_is_valid(day->tenant))
        return error_set(err, ERR_INVALID, "bad tenant name");
    struct catalog_day stored = *day;
    uint64_t gone = catalog_gone_lsn(c, day->tenant, day->kind, day->day);
    if (gone > stored.gone_lsn)
        stored.gone_lsn = gone;
    bytes_put32(value, stored.generation);
    bytes_put32(value + 4, stored.closed ? DAY_CLOSED : 0);
    bytes_put64(value + 8, stored.clean_lsn);
    bytes_put64(value + 16, stored.gone_lsn);
    bytes_put64(value + 24, stored.retained);
    struct row row = {DB_DAYS, stored.generation == 0 && stored.gone_lsn == 0, day_key(key, day),
                      slice_of(value, sizeof(value))};
    if (!rows_commit(c, &row, 1, err))
        return false;
    pthread_mutex_lock(&c->lock);
    day_store(c, stored);
    pthread_mutex_unlock(&c->lock);
    return true;
}

bool catalog_forget_gone(struct catalog *c, uint64_t lsn, struct error *err)
{
    ARRAY(struct catalog_day) old = {0};
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->days.count; i++) {
        const struct catalog_day *day = &c->days.items[i];
        if (day->generation == 0 && day->gone_lsn <= lsn)
            array_push(&old, *day);
    }
    pthread_mutex_unlock(&c->lock);
    struct row *rows = xcalloc(old.count, sizeof(*rows));
    char(*keys)[KEY_SIZE_MAX] = xcalloc(old.count, sizeof(*keys));
    for (size_t i = 0; i < old.count; i++)
        rows[i] = (struct row){DB_DAYS, true, day_key(keys[i], &old.items[i]), {0}};
    bool ok = rows_commit(c, rows, old.count, err);
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; ok && i < old.count; i++) {
        old.items[i].gone_lsn = 0;
        day_store(c, old.items[i]);
    }
    pthread_mutex_unlock(&c->lock);
    free(rows);
    free(keys);
    array_done(&old);
    return ok;
}

/* ---- metadata: tenant NUL family -> type, help, unit (each sized) ---------- */

static struct slice named_key(char key[KEY_SIZE_MAX], struct slice tenant, struct slice name)
{
    memcpy(key, tenant.data, tenant.size);
    key[tenant.size] = '\0';
    if (name.size > 0)
        memcpy(key + tenant.size + 1, name.data, name.size);
    return slice_of(key, tenant.size + 1 + name.size);
}

static struct slice cut(struct slice s)
{
    return slice_sub(s, 0, CATALOG_TEXT_SIZE_MAX);
}

bool catalog_put_metadata(struct catalog *c, struct slice tenant,
                          const struct metric_metadata *items, size_t count, struct error *err)
{
    AUTO(memory_drop) struct row *rows = xcalloc(count + 1, sizeof(*rows));
    struct arena *arena = arena_new(count * (KEY_SIZE_MAX + 16) + 4096);
    AUTO(buffer_done) struct buffer values;
    buffer_init(&values, (count + 1) * (3 * CATALOG_TEXT_SIZE_MAX + 64));
    AUTO(memory_drop) size_t *ends = xcalloc(count + 1, sizeof(*ends));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (items[i].family.size == 0 || items[i].family.size > CATALOG_FAMILY_SIZE_MAX)
            continue;
        char key[KEY_SIZE_MAX];
        rows[kept] = (struct row){.database = DB_METADATA};
        rows[kept].key = arena_copy(arena, named_key(key, tenant, items[i].family));
        buffer_put_sized(&values, cut(items[i].type));
        buffer_put_sized(&values, cut(items[i].help));
        buffer_put_sized(&values, cut(items[i].unit));
        ends[kept++] = values.size;
    }
    for (size_t i = 0; i < kept; i++) {
        size_t from = i > 0 ? ends[i - 1] : 0;
        rows[i].value = slice_of(values.data + from, ends[i] - from);
    }
    bool ok = arena_check(arena, "metric metadata", err) &&
              buffer_check(&values, "metric metadata", err) && rows_commit(c, rows, kept, err);
    arena_free(arena);
    return ok;
}

struct metadata_list {
    struct arena *arena;
    struct metric_metadata *items;
    size_t count, capacity, key_prefix;
    struct slice only;
};

static bool metadata_visit(void *context, struct slice key, struct slice value, struct error *err)
{
    struct metadata_list *list = context;
    struct slice family = slice_skip(key, list->key_prefix);
    if (list->only.size > 0 && !slice_equal(family, list->only))
        return true;
    struct metric_metadata *items = arena_grow(list->arena, list->items, list->count,
                                               &list->capacity, list->count + 1, sizeof(*items));
    if (items == NULL)
        return arena_check(list->arena, "metric metadata", err);
    list->items = items;
    struct reader r = reader_of(value);
    struct metric_metadata *m = &items[list->count++];
    m->family = arena_copy(list->arena, family);
    m->type = arena_copy(list->arena, read_sized(&r));
    m->help = arena_copy(list->arena, read_sized(&r));
    m->unit = arena_copy(list->arena, read_sized(&r));
    if (r.failed)
        return error_set(err, ERR_CORRUPT, "malformed metadata of %.*s", SLICE_ARG(family));
    return arena_check(list->arena, "metric metadata", err);
}

bool catalog_metadata(struct catalog *c, struct slice tenant, struct slice family,
                      struct arena *arena, struct metric_metadata **items, size_t *count,
                      struct error *err)
{
    *items = NULL;
    *count = 0;
    if (!tenant_name_is_valid(tenant) || family.size > CATALOG_FAMILY_SIZE_MAX)
        return true;
    char key[KEY_SIZE_MAX];
    struct metadata_list list = {.arena = arena, .key_prefix = tenant.size + 1, .only = family};
    if (!rows_visit(c, DB_METADATA, named_key(key, tenant, family), metadata_visit, &list, err))
        return false;
    *items = list.items;
    *count = list.count;
    return true;
}

/* ---- producers: tenant NUL kind producer -> epoch, seen, sequences --------- */

static struct slice producer_key(char key[KEY_SIZE_MAX], const struct catalog_producer *p)
{
    char name[CATALOG_PRODUCER_SIZE_MAX + 1];
    name[0] = (char)p->kind;
    memcpy(name + 1, p->producer.data, p->producer.size);
    return named_key(key, p->tenant, slice_of(name, p->producer.size + 1));
}

static void producer_value(const struct catalog_producer *p, struct buffer *out)
{
    buffer_put64(out, p->epoch);
    buffer_put64(out, (uint64_t)p->seen_ns);
    size_t count = p->count < CATALOG_SEQUENCES_MAX ? p->count : CATALOG_SEQUENCES_MAX;
    buffer_put32(out, (uint32_t)count);
    uint64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        buffer_put_zigzag(out, (int64_t)(p->sequences[i] - before));
        before = p->sequences[i];
    }
}

bool catalog_put_producers(struct catalog *c, const struct catalog_producer *producers,
                           size_t count, struct error *err)
{
    AUTO(memory_drop) struct row *rows = xcalloc(count + 1, sizeof(*rows));
    struct arena *arena = arena_new(count * (KEY_SIZE_MAX + ROW_SIZE_MAX) + 4096);
    AUTO(buffer_done) struct buffer value;
    buffer_init(&value, ROW_SIZE_MAX);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct catalog_producer *p = &producers[i];
        if (p->producer.size == 0 || p->producer.size > CATALOG_PRODUCER_SIZE_MAX)
            continue;
        char key[KEY_SIZE_MAX];
        buffer_clear(&value);
        producer_value(p, &value);
        rows[kept].database = DB_PRODUCERS;
        rows[kept].key = arena_copy(arena, producer_key(key, p));
        rows[kept++].value = arena_copy(arena, buffer_slice(&value));
    }
    bool ok = arena_check(arena, "producers", err) && rows_commit(c, rows, kept, err);
    arena_free(arena);
    return ok;
}

struct producer_list {
    struct arena *arena;
    struct catalog_producer *items;
    size_t count, capacity;
};

static bool producer_read(struct slice key, struct slice value, struct arena *arena,
                          struct catalog_producer *p)
{
    size_t end = slice_find_byte(key, '\0', 0);
    struct reader r = reader_of(value);
    p->epoch = read64(&r);
    p->seen_ns = (int64_t)read64(&r);
    p->count = read32(&r);
    if (end == SLICE_NOT_FOUND || key.size < end + 2 || r.failed ||
        p->count > CATALOG_SEQUENCES_MAX || (unsigned char)key.data[end + 1] >= STORE_KINDS)
        return false;
    p->tenant = arena_copy(arena, slice_sub(key, 0, end));
    p->kind = (enum store_kind)key.data[end + 1];
    p->producer = arena_copy(arena, slice_skip(key, end + 2));
    uint64_t *sequences = arena_calloc(arena, p->count + 1, sizeof(*sequences));
    uint64_t before = 0;
    for (size_t i = 0; sequences != NULL && i < p->count; i++)
        before = sequences[i] = before + (uint64_t)read_zigzag(&r);
    p->sequences = sequences;
    return !r.failed;
}

static bool producer_visit(void *context, struct slice key, struct slice value, struct error *err)
{
    struct producer_list *list = context;
    struct catalog_producer *items = arena_grow(list->arena, list->items, list->count,
                                                &list->capacity, list->count + 1, sizeof(*items));
    if (items == NULL)
        return arena_check(list->arena, "producers", err);
    list->items = items;
    if (!producer_read(key, value, list->arena, &items[list->count]))
        return error_set(err, ERR_CORRUPT, "malformed row of a producer");
    list->count++;
    return arena_check(list->arena, "producers", err);
}

bool catalog_producers(struct catalog *c, int64_t expired_ns, struct arena *arena,
                       struct catalog_producer **producers, size_t *count, struct error *err)
{
    struct producer_list list = {.arena = arena};
    if (!rows_visit(c, DB_PRODUCERS, (struct slice){0}, producer_visit, &list, err))
        return false;
    ARRAY(struct row) expired = {0};
    size_t kept = 0;
    for (size_t i = 0; i < list.count; i++) {
        if (list.items[i].seen_ns >= expired_ns) {
            list.items[kept++] = list.items[i];
            continue;
        }
        char key[KEY_SIZE_MAX];
        struct slice copy = arena_copy(arena, producer_key(key, &list.items[i]));
        array_push(&expired, ((struct row){DB_PRODUCERS, true, copy, {0}}));
    }
    bool ok =
        arena_check(arena, "producers", err) && rows_commit(c, expired.items, expired.count, err);
    array_done(&expired);
    *producers = list.items;
    *count = kept;
    return ok;
}

/* ---- clock ----------------------------------------------------------------- */

int64_t catalog_clock(struct catalog *c)
{
    uint64_t value = 0;
    bool found;
    return meta_get(c, SLICE("clock"), &value, &found, NULL) && found ? (int64_t)value : 0;
}

bool catalog_set_clock(struct catalog *c, int64_t now_ns, struct error *err)
{
    return meta_put(c, SLICE("clock"), (uint64_t)now_ns, err);
}

bool catalog_settle(struct catalog *c, struct error *err)
{
    return lmdb_settle(c->env, err);
}

bool catalog_copy(struct catalog *c, const char *path, struct error *err)
{
    return lmdb_env_copy(c->env, path, err);
}
