/*
 * config.h - settings from a YAML file and from the command line, by one table.
 *
 * A program lists its settings in a table of struct config_key: name, type, where
 * the value goes, its range, and what it means.  The table drives reading the
 * file, the flags, --help and the documentation, so that they cannot drift
 * apart.  Names are dotted: `query.timeout` is `timeout` below `query` in YAML.
 *
 * Whatever the table does not know is refused, with line, column and the
 * nearest name that exists.
 */
#ifndef NET_CONFIG_H
#define NET_CONFIG_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum config_type {
    CONFIG_BOOL,     /* bool: true, false */
    CONFIG_TEXT,     /* char *: owned by the settings */
    CONFIG_SIZE,     /* uint64_t: bytes, with KiB MiB GiB KB MB GB */
    CONFIG_COUNT,    /* uint64_t */
    CONFIG_DURATION, /* int64_t nanoseconds: 15d, 1h30m, 500ms */
    CONFIG_CHOICE,   /* int: the index in `choices` */
    CONFIG_TREE      /* char *: any YAML below the name, as JSON whose scalars are strings */
};

struct config_key {
    const char *name;
    enum config_type type;
    size_t offset;              /* of the value in the settings structure */
    const char *preset;         /* the default, as text; NULL: none */
    int64_t min, max;           /* for sizes, counts and durations; max 0: no upper bound */
    const char *const *choices; /* ends with NULL */
    const char *doc;            /* one sentence */
};

struct config_table {
    const struct config_key *keys;
    size_t count;
};

/* Put every preset into `settings`.  A preset that does not parse is our bug. */
void config_preset(const struct config_table *table, void *settings);

/* Free texts and set them to NULL. */
void config_done(const struct config_table *table, void *settings);

/*
 * Read YAML text.  Errors begin with "NAME:LINE:COLUMN: ".  On failure some
 * settings may have been set already.
 */
bool config_parse(const struct config_table *table, struct slice text, const char *name,
                  void *settings, struct error *err) MUST_CHECK;
bool config_load(const struct config_table *table, const char *path, void *settings,
                 struct error *err) MUST_CHECK;

const struct config_key *config_find(const struct config_table *table, struct slice name);

/* Set one value from text, as the file would. */
bool config_set(const struct config_key *key, struct slice value, void *settings, struct error *err)
    MUST_CHECK;

/* The known name that is most like `name`, or NULL when none is near. */
const char *config_nearest(const struct config_table *table, struct slice name);

/* "64MiB" and the like. */
bool config_parse_size(struct slice text, uint64_t *bytes);

#endif
