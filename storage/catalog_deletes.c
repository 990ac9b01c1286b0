/*
 * catalog_deletes.c - tombstones that outlive the log, and the notes of others.
 */
#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "storage/catalog_internal.h"
#include "storage/tombstones.h"

/* ---- tombstones: LSN big-endian -> sum32, the record's bytes ---------------- */

enum { TOMBSTONE_KEY_SIZE = 8 };

bool catalog_put_tombstones(struct catalog *c, struct tombstone *const *items, size_t count,
                            struct error *err)
{
    struct row *rows = xcalloc(count, sizeof(*rows));
    char(*keys)[TOMBSTONE_KEY_SIZE] = xcalloc(count, sizeof(*keys));
    struct arena *arena = arena_new(SIZE_MAX / 2);
    for (size_t i = 0; i < count; i++) {
        struct slice payload = items[i]->payload;
        char *value = arena_alloc(arena, payload.size + 4);
        if (value == NULL)
            break;
        bytes_put64_big(keys[i], items[i]->lsn);
        bytes_put32(value, checksum32(payload.data, payload.size));
        memcpy(value + 4, payload.data, payload.size);
        rows[i] = (struct row){DB_TOMBSTONES, false, slice_of(keys[i], TOMBSTONE_KEY_SIZE),
                               slice_of(value, payload.size + 4)};
    }
    bool ok = arena_check(arena, "deletes", err) && rows_commit(c, rows, count, err);
    arena_free(arena);
    free(rows);
    free(keys);
    return ok;
}

bool catalog_remove_tombstones(struct catalog *c, const uint64_t *lsns, size_t count,
                               struct error *err)
{
    struct row *rows = xcalloc(count, sizeof(*rows));
    char(*keys)[TOMBSTONE_KEY_SIZE] = xcalloc(count, sizeof(*keys));
    for (size_t i = 0; i < count; i++) {
        bytes_put64_big(keys[i], lsns[i]);
        rows[i] = (struct row){DB_TOMBSTONES, true, slice_of(keys[i], TOMBSTONE_KEY_SIZE), {0}};
    }
    bool ok = rows_commit(c, rows, count, err);
    free(rows);
    free(keys);
    return ok;
}

struct loading {
    struct catalog *catalog;
    struct tombstones *tombstones;
};

static bool tombstone_visit(void *context, struct slice key, struct slice value, struct error *err)
{
    const struct loading *loading = context;
    struct slice payload = slice_skip(value, 4);
    if (key.size != TOMBSTONE_KEY_SIZE || value.size < 4 ||
        bytes_get32(value.data) != checksum32(payload.data, payload.size))
        return error_set(err, ERR_CORRUPT, "%s: malformed row of a tombstone",
                         loading->catalog->env->path);
    struct tombstone *t = tombstone_read(payload, bytes_get64_big(key.data), err);
    if (t == NULL)
        return error_prefix(err, "%s", loading->catalog->env->path);
    t->persisted = true;
    tombstones_add(loading->tombstones, t);
    return true;
}

bool catalog_load_tombstones(struct catalog *c, struct tombstones *tombstones, struct error *err)
{
    struct loading loading = {c, tombstones};
    return rows_visit(c, DB_TOMBSTONES, (struct slice){0}, tombstone_visit, &loading, err);
}

/* ---- notes -------------------------------------------------------------------- */

bool catalog_put_note(struct catalog *c, struct slice key, struct slice value, struct error *err)
{
    if (key.size == 0 || key.size > CATALOG_NOTE_KEY_MAX || value.size > CATALOG_NOTE_SIZE_MAX)
        return error_set(err, ERR_LIMIT, "a note has %zu bytes, the limit is %d", value.size,
                         CATALOG_NOTE_SIZE_MAX);
    struct row row = {DB_NOTES, value.size == 0, key, value};
    return rows_commit(c, &row, 1, err);
}

bool catalog_notes(struct catalog *c, struct slice prefix, catalog_note_visit *visit, void *context,
                   struct error *err)
{
    return rows_visit(c, DB_NOTES, prefix, visit, context, err);
}
