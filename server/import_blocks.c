/*
 * import_blocks.c - the blocks of a Prometheus data directory.
 *
 * A block is a folder with meta.json, an index, files of chunks and perhaps
 * tombstones.  The files are mapped, walked series by series, and each chunk's
 * samples go on unless a tombstone covers them.  The write-ahead log and the
 * head's chunks are not read: Prometheus' snapshot API puts them into a block.
 */
#include "server/import_run.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/files.h"
#include "base/json_reader.h"
#include "base/number.h"
#include "wire/tsdb_chunk.h"
#include "wire/tsdb_index.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { META_SIZE_MAX = 1 << 20, CHUNK_FILES_MAX = 100000, HISTOGRAM_MEMORY = 64 << 20 };

struct block {
    char path[PATH_MAX];
    int64_t min_ms;
    uint64_t samples, chunks; /* as meta.json says */
};
struct blocks ARRAY_BODY(struct block);

struct reading_block {
    struct importing *i;
    const struct block *block;
    struct slice index_file, tombstones_file;
    ARRAY(struct slice) chunk_files;
    struct tsdb_tombstones tombstones;
    struct arena *arena; /* histograms of a chunk */
    uint32_t series;     /* of the import */
    uint64_t ref;        /* of the series in the block */
    uint64_t samples;
};

static bool path_set(char path[PATH_MAX], const char *folder, const char *name, struct error *err)
{
    int n = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return (n > 0 && n < PATH_MAX) || error_set(err, ERR_INVALID, "%s: the path is too long", name);
}

/* ---- meta.json --------------------------------------------------------------------------- */

static bool is_number(struct json_reader *json, const char *key, int64_t *value)
{
    return json_is(json, slice_from_text(key)) && json_next(json) == JSON_NUMBER &&
           slice_parse_i64(json->value, value);
}

static bool meta_read(struct block *block, struct error *err)
{
    char path[PATH_MAX];
    int64_t version = 0, samples = 0, chunks = 0, number;
    struct json_reader json;
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, META_SIZE_MAX);
    if (!path_set(path, block->path, "meta.json", err) || !file_load(path, &text, err))
        return false;
    json_reader_init(&json, buffer_slice(&text), JSON_UTF8_KEEP);
    for (json_next(&json); json.event != JSON_END; json_next(&json)) {
        if (json.event == JSON_ERROR)
            return json_fail(&json, err), error_prefix(err, "%s", path);
        if (json.event != JSON_KEY)
            continue;
        if (json.depth == 1 && is_number(&json, "version", &number))
            version = number;
        else if (json.depth == 1 && is_number(&json, "minTime", &number))
            block->min_ms = number;
        else if (json.depth == 2 && is_number(&json, "numSamples", &number))
            samples = number;
        else if (json.depth == 2 && is_number(&json, "numChunks", &number))
            chunks = number;
    }
    block->samples = (uint64_t)samples;
    block->chunks = (uint64_t)chunks;
    return version == 1 || error_set(err, ERR_UNSUPPORTED, "%s: block version %lld is not known",
                                     path, (long long)version);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* An empty slice when it does not exist and may be missing. */
static bool file_map(const char *path, bool needed, struct slice *file, struct error *err)
{
    uint64_t size;
    AUTO(fd_drop) int fd = file_open(path, O_RDONLY | O_CLOEXEC, 0, err);
    *file = (struct slice){NULL, 0};
    if (fd < 0) {
        if (needed || err->code != ERR_NOT_FOUND)
            return false;
        error_clear(err);
        return true;
    }
    if (!file_size(fd, &size, err))
        return false;
    if (size == 0)
        return error_set(err, ERR_CORRUPT, "%s is empty", path);
    void *at = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return error_set(err, ERR_IO, "mapping %s: %s", path, strerror(errno));
    *file = slice_of(at, (size_t)size);
    return true;
}

static void file_unmap(struct slice file)
{
    if (file.data != NULL)
        munmap((void *)(uintptr_t)file.data, file.size);
}

/* Chunk files count up from 000001. */
static bool map_chunk_files(struct reading_block *r, struct error *err)
{
    for (int number = 1; number <= CHUNK_FILES_MAX; number++) {
        char name[32], path[PATH_MAX];
        struct slice file;
        snprintf(name, sizeof(name), "chunks/%06d", number);
        if (!path_set(path, r->block->path, name, err) || !file_map(path, false, &file, err))
            return false;
        if (file.data == NULL)
            return true;
        array_push(&r->chunk_files, file);
        if (!tsdb_chunks_check(file, err))
            return error_prefix(err, "%s", path);
    }
    return error_set(err, ERR_LIMIT, "%s: over %d files of chunks", r->block->path,
                     CHUNK_FILES_MAX);
}

static bool block_map(struct reading_block *r, struct error *err)
{
    char path[PATH_MAX];
    if (!path_set(path, r->block->path, "tombstones", err) ||
        !file_map(path, false, &r->tombstones_file, err))
        return false;
    if (r->tombstones_file.data != NULL &&
        !tsdb_tombstones_read(r->tombstones_file, &r->tombstones, err))
        return error_prefix(err, "%s", path);
    return path_set(path, r->block->path, "index", err) &&
           file_map(path, true, &r->index_file, err) && map_chunk_files(r, err);
}

static void block_unmap(struct reading_block *r)
{
    file_unmap(r->index_file);
    file_unmap(r->tombstones_file);
    for (size_t i = 0; i < r->chunk_files.count; i++)
        file_unmap(r->chunk_files.items[i]);
    array_done(&r->chunk_files);
    array_done(&r->tombstones);
    arena_free(r->arena);
}

/* ---- samples -----------------------------------------------------------------------------------
 */

static bool is_deleted(const struct reading_block *r, int64_t time_ms)
{
    return r->tombstones.count > 0 && tsdb_tombstones_cover(&r->tombstones, r->ref, time_ms);
}

static bool take_sample(void *context, int64_t time_ms, double value)
{
    struct reading_block *r = context;
    r->samples++;
    return is_deleted(r, time_ms) || r->i->sink.sample(r->i, r->series, time_ms, 0, value);
}

static bool take_histogram(void *context, int64_t time_ms, const struct histogram *histogram)
{
    struct reading_block *r = context;
    r->samples++;
    return is_deleted(r, time_ms) || r->i->sink.histogram(r->i, r->series, time_ms, 0, histogram);
}

static bool read_chunk(struct reading_block *r, const struct tsdb_chunk_place *place,
                       struct error *err)
{
    struct tsdb_chunk chunk;
    struct tsdb_chunk_sink sink = {r, take_sample, take_histogram};
    if (place->file >= r->chunk_files.count)
        return error_set(err, ERR_CORRUPT, "the index names a chunk in file %u of %zu",
                         place->file + 1, r->chunk_files.count);
    struct slice file = r->chunk_files.items[place->file];
    if (!tsdb_chunk_find(file, place->offset, &chunk, err))
        return error_prefix(err, "%s/chunks/%06u", r->block->path, place->file + 1);
    if (tsdb_chunk_decode(&chunk, r->arena, &sink, err))
        return true;
    if (err->code == ERR_NONE)
        return importing_failed(r->i, err);
    return error_prefix(err, "%s/chunks/%06u: offset %u", r->block->path, place->file + 1,
                        place->offset);
}

static bool read_series(struct reading_block *r, const struct tsdb_series *series,
                        struct error *err)
{
    int64_t number = r->i->sink.series(r->i, series->labels, series->label_count);
    if (number < 0)
        return number == INGEST_SKIP || importing_failed(r->i, err);
    r->series = (uint32_t)number;
    r->ref = series->ref;
    for (size_t i = 0; i < series->chunk_count; i++) {
        r->i->done++;
        if (!read_chunk(r, &series->chunks[i], err))
            return false;
    }
    importing_progress(r->i);
    return true;
}

static bool read_index(struct reading_block *r, struct error *err)
{
    bool found = true;
    struct tsdb_series series;
    struct tsdb_index *index = tsdb_index_open(r->index_file, err);
    bool ok = index != NULL;
    if (!ok)
        error_prefix(err, "%s/index", r->block->path);
    while (ok && found) {
        ok = tsdb_index_next(index, &series, &found, err);
        if (!ok)
            error_prefix(err, "%s/index", r->block->path);
        ok = ok && (!found || read_series(r, &series, err));
    }
    tsdb_index_free(index);
    return ok;
}

static bool read_block(struct importing *i, const struct block *block, struct error *err)
{
    struct reading_block r = {.i = i, .block = block, .arena = arena_new(HISTOGRAM_MEMORY)};
    bool ok = block_map(&r, err) && read_index(&r, err);
    if (ok && r.samples != block->samples)
        ok = error_set(err, ERR_CORRUPT, "%s holds %llu samples, its meta.json says %llu",
                       block->path, (unsigned long long)r.samples,
                       (unsigned long long)block->samples);
    block_unmap(&r);
    return ok;
}

/* ---- the directory
 * ------------------------------------------------------------------------------- */

static bool has_file(const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat info;
    struct error ignored;
    return path_set(path, folder, name, &ignored) && stat(path, &info) == 0;
}

static bool add_block(struct blocks *blocks, const char *folder, const char *name,
                      struct error *err)
{
    struct block block = {0};
    if (!path_set(block.path, folder, name, err))
        return false;
    if (!has_file(block.path, "meta.json"))
        return true;
    if (!meta_read(&block, err))
        return false;
    array_push(blocks, block);
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct block *x = a, *y = b;
    return x->min_ms < y->min_ms ? -1 : x->min_ms > y->min_ms;
}

static bool list_blocks(const char *source, struct blocks *blocks, struct error *err)
{
    char **names;
    size_t count;
    if (has_file(source, "meta.json"))
        return add_block(blocks, source, ".", err);
    if (!directory_list(source, &names, &count, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++)
        ok = add_block(blocks, source, names[i], err);
    names_free(names, count);
    if (ok && blocks->count == 0)
        ok =
            error_set(err, ERR_NOT_FOUND, "%s holds no blocks of Prometheus: no meta.json", source);
    if (blocks->count > 1)
        qsort(blocks->items, blocks->count, sizeof(*blocks->items), by_time);
    return ok;
}

bool import_blocks(struct importing *i, struct error *err)
{
    struct blocks blocks = {0};
    const char *source = i->request->source;
    bool ok = list_blocks(source, &blocks, err);
    if (ok && (has_file(source, "wal") || has_file(source, "chunks_head")))
        fprintf(stderr,
                "etinde: only blocks are read, not the last hours in wal and chunks_head: a "
                "snapshot (POST /api/v1/admin/tsdb/snapshot of Prometheus) has them in a block\n");
    for (size_t k = 0; ok && k < blocks.count; k++)
        i->total += blocks.items[k].chunks;
    for (size_t k = 0; ok && k < blocks.count; k++)
        ok = read_block(i, &blocks.items[k], err);
    array_done(&blocks);
    return ok;
}
