/*
 * store_model.h - a plain in-memory model of a store, for test_store_model.c.
 *
 * Two tenants, both kinds, MODEL_SERIES series each; every entry in a sorted
 * array.  What the engine leaves open, the model leaves open too: a restart
 * may forget a series' last entry (it is in a partition then, and no longer in
 * the log).  So a series has the set of states it may be in, and an entry that
 * was stored on both sides of such a restart has no certain place among those
 * of its time (`loose`).
 */
#ifndef TESTS_FAULTS_STORE_MODEL_H
#define TESTS_FAULTS_STORE_MODEL_H

#include "base/array.h"
#include "base/labels.h"
#include "storage/store.h"

enum {
    MODEL_TENANTS = 2,
    MODEL_SERIES = 6,
    MODEL_SHORT = 3, /* app="d" */
    MODEL_STATES = 8,
    MODEL_VALUES = 8,
    MODEL_LINES = 8,
    MODEL_METADATA = 3,
    MODEL_LABELS_MAX = 3
};

struct model_entry {
    int64_t time_ns;
    uint64_t bits;     /* of a sample's value; or the number of a line */
    unsigned metadata; /* number of a set of pairs */
    unsigned epoch;    /* the series' when it was stored */
    bool loose;        /* one of `values`, or (logs) anywhere among those of its time */
    bool repeated;     /* logs: came more than once */
    unsigned value_count;
    uint64_t values[MODEL_VALUES]; /* samples: all that were stored for this time */
};

struct model_state {
    int64_t last_ns; /* INT64_MIN: nothing yet */
    uint64_t bits;
};

struct model_series {
    ARRAY(struct model_entry) entries; /* by time, then order of arrival */
    struct model_state states[MODEL_STATES];
    unsigned state_count;
    unsigned epoch; /* counts restarts that may have lost the state */
};

struct model_batch_id {
    unsigned tenant;
    enum store_kind kind;
    uint64_t sequence;
};

struct model {
    struct model_series series[MODEL_TENANTS][STORE_KINDS][MODEL_SERIES];
    ARRAY(struct model_batch_id) batches;
    bool sealed;       /* since the store was opened */
    int64_t cutoff_ns; /* retention deleted what is older */
    int64_t window_ns[STORE_KINDS];
    int64_t short_ns; /* how long series number MODEL_SHORT is kept, by a rule; 0: no rules */
    int64_t kept_ns;  /* and the others */
};

void model_init(struct model *model);
void model_done(struct model *model);

/* What is written: names and contents by number. */
struct slice model_tenant(unsigned tenant);
struct slice model_line(uint64_t number);
size_t model_metadata(unsigned number, struct label *items); /* room for 2; sorted */
size_t model_labels(enum store_kind kind, unsigned series, struct label *items);

enum model_outcome { MODEL_STORED = -1 }; /* or a refusal_reason */

/* May the engine refuse this entry? */
bool model_may_refuse(const struct model *model, enum store_kind kind,
                      const struct model_series *series, int64_t time_ns, uint64_t bits);

/* The engine stored or refused an entry.  False: it had to do otherwise. */
bool model_write(struct model *model, unsigned tenant, enum store_kind kind, unsigned series,
                 const struct model_entry *entry, int outcome);

/* Notes a batch id; was it known? */
bool model_batch(struct model *model, const struct model_batch_id *id);

void model_reopen(struct model *model, bool clean);
void model_retention(struct model *model, int64_t cutoff_ns);

/* Everything of matching series between the two times, both included, is deleted. */
struct matcher;
void model_delete(struct model *model, unsigned tenant, enum store_kind kind,
                  const struct matcher *matcher, int64_t start_ns, int64_t end_ns);
/* The log entries equal to this one are. */
void model_delete_entry(struct model *model, unsigned tenant, unsigned series,
                        const struct model_entry *entry);

/* One of the matchers that tests choose from; the caller frees it. */
void model_matcher(uint64_t number, struct matcher *matcher);

/* One random read, all of it determined by `seed`; false and `why` when the store differs. */
bool model_read(const struct model *model, struct store *store, uint64_t seed, int64_t now_ns,
                char *why, size_t why_size);

/* splitmix64 */
static inline uint64_t model_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

#endif
