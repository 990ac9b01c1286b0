/*
 * import_run.h - history from files into a data directory: `etinde import`.
 *
 * import_text.c reads lines (JSON, OpenMetrics), import_blocks.c the blocks of a
 * Prometheus data directory; both give what they find to one importing.
 */
#ifndef SERVER_IMPORT_RUN_H
#define SERVER_IMPORT_RUN_H

#include "base/compiler.h"
#include "base/error.h"
#include "base/slice.h"
#include "storage/import.h"
#include "wire/import_sink.h"

#include <stdbool.h>
#include <stdint.h>

enum import_form { IMPORT_AUTO, IMPORT_JSON, IMPORT_OPENMETRICS, IMPORT_PROMETHEUS };

struct import_request {
    const char *data, *source; /* "-": standard input */
    struct slice tenant;
    enum store_kind kind;
    enum import_form form;
    int64_t retention_ns; /* 0: everything */
    bool check;           /* judge only */
};

/* Read the source, write its days, have them taken in; says how it goes on standard error. */
bool import_run(const struct import_request *request, struct error *err) MUST_CHECK;

/* ---- inside ------------------------------------------------------------------------- */

struct importing {
    const struct import_request *request;
    struct import *import;
    struct import_sink sink;
    struct error failure; /* of the sink, when it stopped */
    int64_t shown_ns;     /* when progress was shown last */
    uint64_t done, total; /* bytes or chunks; total 0: not known */
};

/* Shows progress when it is time to. */
void importing_progress(struct importing *i);

/* A decoder failed: with `err` its own, or ERR_NONE when the sink stopped. */
bool importing_failed(const struct importing *i, struct error *err);

bool import_text(struct importing *i, struct error *err) MUST_CHECK;
bool import_blocks(struct importing *i, struct error *err) MUST_CHECK;

#endif
