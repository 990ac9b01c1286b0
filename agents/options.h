/*
 * options.h - the agent's command line.
 */
#ifndef AGENTS_OPTIONS_H
#define AGENTS_OPTIONS_H

#include "agents/log_format.h"
#include "base/labels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum { AGENT_LABELS_MAX = 16, AGENT_LOGS_MAX = 64 };

struct agent_options {
    const char *server; /* without a slash at its end */
    const char *tenant; /* NULL: no header */
    int64_t interval_ms;
    const char *state;     /* a directory of the agent's own */
    const char *positions; /* NULL: <state>/positions */
    const char *logs[AGENT_LOGS_MAX];
    size_t log_count;
    enum log_format log_format;
    struct label labels[AGENT_LABELS_MAX]; /* on every series and stream */
    size_t label_count;
    const char *procfs, *sysfs, *rootfs;
    bool once;
    bool metrics; /* false with --no-metrics */
};

enum options_result {
    OPTIONS_RUN,
    OPTIONS_SHOWN, /* --help or --version was printed */
    OPTIONS_BAD
};

/* Texts point into `argv`.  `argv`'s strings are changed where a label is split. */
enum options_result agent_options_parse(int argc, char **argv, struct agent_options *options,
                                        struct error *err);

#endif
