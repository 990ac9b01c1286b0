/*
 * partition_internal.h - what the files partition*.c share: the open day, its
 * databases, and the forms of keys and values (docs/format-partition.md).
 */
#ifndef STORAGE_PARTITION_INTERNAL_H
#define STORAGE_PARTITION_INTERNAL_H

#include "base/hash.h"
#include "base/table.h"
#include "storage/lmdb_env.h"
#include "storage/partition.h"
#include "storage/partition_group.h"

enum {
    DB_META,     /* "state": struct partition_state */
    DB_SYMBOLS,  /* symbol number -> text */
    DB_HASHES,   /* 32 bits of a symbol's hash, symbol number -> nothing */
    DB_SERIES,   /* series number -> fingerprint, label pairs as symbol numbers */
    DB_POSTINGS, /* name, value, first series number -> more series numbers */
    DB_GROUPS,   /* bucket, group number -> struct group_summary */
    DB_BLOCKS,   /* bucket, group number -> directory and chunks */
    DB_COLUMNS,  /* column number -> a shared time column */
    PARTITION_DATABASES
};

/* Their names, in that order. */
extern const char *const partition_databases[PARTITION_DATABASES];

enum {
    PARTITION_FORMAT = 2,               /* 2: groups with compressed frames; 1 is read as well */
    GROUP_SIZE_METRIC = 16 * 4096 - 16, /* a group fills overflow pages to their end */
    GROUP_SIZE_LOG = 64 * 4096 - 16,
    GROUP_SIZE_LOG_CLOSED = 256 * 4096 - 16, /* large chunks: less is lost at the last page */
    GROUP_HEAD_SIZE = 16,
    POSTINGS_PIECE_MAX = 985, /* bytes, and 5 more at most: fits a leaf page four times */
    POSTINGS_RUN_MIN = 3,
    FINGERPRINT_SIZE = 16,
    READ_TIME_MAX_NS = 20 * 1000 * 1000 /* a long read lets go of its transaction after this */
};

/* Counts of a day, in the meta database and in memory. */
struct partition_state {
    uint32_t series, symbols, groups, columns;
    uint64_t chunks, lsn_max;
};

/* What the close of a day left in its new generation; zeros when it is not from a close. */
struct partition_closed {
    uint64_t lsn;    /* every entry of the day up to this LSN is here: replay skips them all */
    uint32_t groups; /* those of the close; what has a higher number came later */
};

/* What is known of a group without reading it. */
struct group_summary {
    uint64_t key; /* bucket << 32 | number */
    uint32_t series_min, series_max;
    int64_t first_ns, last_ns;
    uint64_t lsn_max;
    uint32_t chunks, size;
};

/*
 * The day's index in memory, for the sealer and for replay: which label set
 * has which number, and what is sealed of it.
 */
struct series_entry {
    struct hash128 fingerprint;
    uint64_t check; /* labels_hash(): seeded, so that nobody can make two sets collide in both */
};

struct series_sealed {
    uint64_t lsn[2];
    int64_t last_ns;
};

struct day_index {
    struct arena *arena;         /* the symbols' bytes */
    ARRAY(struct slice) symbols; /* by number */
    struct table symbol_table;
    ARRAY(struct series_entry) series;
    struct table series_table;
    ARRAY(struct series_sealed) sealed; /* empty until it is asked for */
    bool sealed_loaded;
    size_t counted; /* of all but the arena, in the ledger of memory */
};

struct partition {
    struct partitions *set;
    char tenant[TENANT_NAME_MAX + 1];
    enum store_kind kind;
    int32_t day;
    uint32_t generation;
    struct lmdb_env *env;
    uint64_t serial; /* of this opening, never 0 in a list: names what is kept of it in memory */
    struct partition_closed closed; /* fixed once the day is open */
    uint64_t clean_lsn;             /* of the sealer: for the row of a day that is new */
    bool hidden;                    /* a generation in the making: in no list, without a row */
    bool late;                      /* of the sealer: its row says that data came after the close */

    /* Guarded by the set's lock. */
    struct partition *next; /* newest use first */
    uint32_t references;
    bool named; /* the catalog has its row */
    bool dead;  /* deleted: close at the last release */

    pthread_mutex_t index_lock;
    struct day_index *index; /* guarded by index_lock; NULL until it is needed */

    pthread_rwlock_t state_lock; /* guards the two below; the sealer alone writes them */
    struct partition_state state;
    ARRAY(struct group_summary) groups;
};

/* The path of a day's file (or, with generation 0, of its folder). */
bool partition_path(const struct partitions *set, struct slice tenant, enum store_kind kind,
                    int32_t day, uint32_t generation, char *path, size_t size, struct error *err)
    MUST_CHECK;

/*
 * For the sealer: the day, whether the catalog names it or not (an unnamed
 * file is made afresh).  partition_name() writes the row.
 */
struct partition *partition_acquire_for_seal(struct partitions *set, const struct partition_id *id,
                                             struct error *err) MUST_CHECK;
bool partition_name(struct partition *p, struct error *err) MUST_CHECK;

/* Before something is sealed into a closed day: its row says so from now on. */
bool partition_mark_late(struct partition *p, struct error *err) MUST_CHECK;

/* An empty file for the generation after `old`, hidden: the caller frees it with partition_release.
 */
struct partition *partition_make_next(struct partition *old, struct error *err) MUST_CHECK;
/*
 * The day's row names generation `next` from now on; `old`, which the caller has referenced, is
 * unlinked and closed by its last reader.  Nobody has the next one open.
 */
bool partition_replace(struct partition *old, uint32_t next, bool closed, uint64_t clean_lsn,
                       uint64_t retained, struct error *err) MUST_CHECK;
/* Unlink a generation that got no row. */
bool partition_discard(struct partition *old, uint32_t next, struct error *err) MUST_CHECK;

/* Seal into `p`, which the seal takes over.  Into a hidden one chunks come in ascending order. */
struct seal *seal_begin_into(struct partition *p, struct error *err) MUST_CHECK;
/* Commit for the last time, with what the close says. */
bool seal_close(struct seal *seal, uint64_t lsn, struct error *err) MUST_CHECK;

/* ---- forms (partition_format.c) ----------------------------------------- */

/* The hash under which a symbol is found. */
uint32_t partition_symbol_hash(struct slice text);

struct slice key_u32(char key[4], uint32_t a);
struct slice key_u64(char key[8], uint32_t a, uint32_t b);
struct slice key_postings(char key[12], uint32_t name, uint32_t value, uint32_t first);

enum { STATE_SIZE = 40, SUMMARY_SIZE = 48, CLOSED_SIZE = 16 };
void state_put(char out[STATE_SIZE], const struct partition_state *s);
/* Of a format that this version does not know?  Its page was compared with its checksum. */
bool state_is_newer(struct slice in);
bool state_get(struct slice in, struct partition_state *s);
void closed_put(char out[CLOSED_SIZE], const struct partition_closed *c);
bool closed_get(struct slice in, struct partition_closed *c);
void summary_put(char out[SUMMARY_SIZE], const struct group_summary *s);
bool summary_get(struct slice key, struct slice value, struct group_summary *s);

/* A series record: fingerprint, number of labels, pairs. */
struct label_pair {
    uint32_t name, value;
};
enum { SERIES_LABELS_MAX = 4096 };
void series_put(struct hash128 fingerprint, const struct label_pair *pairs, size_t count,
                struct buffer *out);
/* Fills up to SERIES_LABELS_MAX pairs. */
bool series_get(struct slice in, struct hash128 *fingerprint, struct label_pair *pairs,
                size_t *count);

/* A piece of postings: checksum, differences, runs; `numbers` ascend, the first is in the key. */
size_t postings_put(const uint32_t *numbers, size_t count, struct buffer *out);
bool postings_get(uint32_t first, struct slice in, struct series_numbers *numbers);

/* ---- the index in memory (partition_index.c); the caller holds index_lock -- */

bool index_load(struct partition *p, struct error *err) MUST_CHECK;
bool index_load_sealed(struct partition *p, struct error *err) MUST_CHECK;
void index_free(struct day_index *index);
/* Tell the ledger of memory what the index holds by now. */
void index_count(struct day_index *index);
/* Numbers, or TABLE_NONE. */
uint32_t index_symbol(const struct day_index *index, struct slice text);
uint32_t index_series(const struct day_index *index, const struct series_entry *entry);
uint32_t index_add_symbol(struct day_index *index, struct slice text);
uint32_t index_add_series(struct day_index *index, const struct series_entry *entry);
struct series_entry series_entry_of(struct labels labels);
void sealed_note(struct day_index *index, const struct chunk_ref *ref);

/* ---- reading (partition_read.c) ------------------------------------------ */

/* A read that may be long: it lets go of its transaction now and then. */
struct reading {
    struct partition *p;
    MDB_txn *txn;
    MDB_cursor *cursor;
    int database;
    int64_t started_ns;
    const bool *cancel;
};
bool reading_begin(struct reading *r, struct partition *p, int database, const bool *cancel,
                   struct error *err) MUST_CHECK;
void reading_end(struct reading *r);
/*
 * Give others a chance after READ_TIME_MAX_NS: the cursor is a new one then
 * (`*renewed`) and must be set again.  Also notices `cancel`.
 */
bool reading_pause(struct reading *r, bool *renewed, struct error *err) MUST_CHECK;
bool reading_corrupt(const struct reading *r, const char *what, struct error *err);
/* The value of a key in any database; NULL data when there is none. */
bool reading_get(struct reading *r, int database, struct slice key, struct slice *value,
                 struct error *err) MUST_CHECK;

#endif
