/*
 * options.c - see options.h.
 *
 * Most flags are a setting's name with a short form; the table of flags below
 * maps them.  The command line is read twice: first for --config, then, after
 * the file, for everything, so that flags win wherever they stand.
 */
#include "server/options.h"

#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/memory_limit.h"
#include "base/number.h"
#include "query/query.h"
#include "server/commands.h"
#include "server/overrides.h"
#include "storage/store.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>

enum { MEMORY_MIN = 32 << 20 };

enum flag_kind {
    FLAG_SETTING,
    FLAG_SET,
    FLAG_CLEAR,
    FLAG_CONFIG,
    FLAG_CHECK,
    FLAG_VERSION,
    FLAG_HELP
};

static const struct flag {
    const char *name;
    enum flag_kind kind;
    const char *setting;  /* FLAG_SETTING takes a value; FLAG_SET, FLAG_CLEAR: true, false */
    const char *argument; /* shown in --help */
    const char *doc;      /* NULL: the setting's */
} flags[] = {
    {"data", FLAG_SETTING, "data", "DIR", NULL},
    {"listen", FLAG_SETTING, "listen", "HOST:PORT", NULL},
    {"config", FLAG_CONFIG, NULL, "FILE", "Read settings from this YAML file (docs/config.md)."},
    {"check-config", FLAG_CHECK, NULL, NULL, "Check the configuration, say what is wrong, end."},
    {"ack", FLAG_SETTING, "ack", "durable|process", NULL},
    {"retention", FLAG_SETTING, "retention", "TIME", NULL},
    {"retention-size", FLAG_SETTING, "retention_size", "SIZE", NULL},
    {"memory", FLAG_SETTING, "memory", "SIZE", NULL},
    {"repair", FLAG_SET, "storage.repair", NULL, NULL},
    {"log-level", FLAG_SETTING, "log.level", "LEVEL", NULL},
    {"enable-feature", FLAG_SETTING, "query.features", "NAMES", NULL},
    {"web.enable-admin-api", FLAG_SET, "web.enable_admin_api", NULL, NULL},
    {"no-reject-old-samples", FLAG_CLEAR, "logs.reject_old", NULL,
     "Take log entries of any age and in any order, and keep them: retention is off unless it is "
     "given."},
    {"no-discover-service-name", FLAG_CLEAR, "logs.discover_service_name", NULL,
     "Do not add the label service_name."},
    {"no-discover-log-levels", FLAG_CLEAR, "logs.discover_log_levels", NULL,
     "Do not add detected_level to log entries."},
    {"version", FLAG_VERSION, NULL, NULL, "Print version and commit."},
    {"help", FLAG_HELP, NULL, NULL, "Print this."},
};

static const struct {
    const char *name;
    unsigned bit;
} features[] = {
    {"promql-experimental-functions", QUERY_EXPERIMENTAL_FUNCTIONS},
    {"promql-duration-expr", QUERY_DURATION_EXPRESSIONS},
    {"promql-extended-range-selectors", QUERY_EXTENDED_RANGE_SELECTORS},
    {"promql-binop-fill-modifiers", QUERY_BINOP_FILL},
    {"promql-delayed-name-removal", QUERY_DELAYED_NAME_REMOVAL},
    {"use-start-timestamps", QUERY_START_TIMESTAMPS},
};

static const struct config_key *key_of(const struct flag *flag)
{
    const struct config_key *key = config_find(&options_table, slice_from_text(flag->setting));
    assert(key);
    return key;
}

/* ---- the command line ------------------------------------------------- */

static bool apply_setting(struct options *o, const struct config_key *key, const char *value,
                          struct error *err)
{
    o->retention_given |= strcmp(key->name, "retention") == 0;
    if (config_set(key, slice_from_text(value), o, err))
        return true;
    return error_prefix(err, "--%s", key->name);
}

static bool apply_flag(struct options *o, const struct flag *flag, const char *value,
                       struct error *err)
{
    switch (flag->kind) {
    case FLAG_SETTING:
        return apply_setting(o, key_of(flag), value, err);
    case FLAG_SET:
        return config_set(key_of(flag), SLICE("true"), o, err);
    case FLAG_CLEAR:
        return config_set(key_of(flag), SLICE("false"), o, err);
    case FLAG_CONFIG:
        free(o->config_path);
        o->config_path = xstrdup(value);
        return true;
    case FLAG_CHECK:
        o->check_config = true;
        return true;
    case FLAG_VERSION:
        o->show_version = true;
        return true;
    case FLAG_HELP:
        o->show_help = true;
        return true;
    }
    return true;
}

enum { FLAG_CODE = 256, SETTING_CODE = 1024 };

/* The flags above, then every setting by its own name. */
static struct option *make_longs(void)
{
    struct option *longs = xcalloc(COUNT_OF(flags) + options_table.count + 1, sizeof(*longs));
    struct option *next = longs;
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        *next++ =
            (struct option){flags[i].name, flags[i].argument ? required_argument : no_argument,
                            NULL, FLAG_CODE + (int)i};
    for (size_t i = 0; i < options_table.count; i++)
        *next++ = (struct option){options_table.keys[i].name, required_argument, NULL,
                                  SETTING_CODE + (int)i};
    return longs;
}

/* Walk the command line; `only_config` looks for what must be known before the file is read. */
static bool read_flags(struct options *o, int argc, char **argv, bool only_config,
                       struct error *err)
{
    AUTO(memory_drop) struct option *longs = make_longs();
    optind = 0; /* start afresh, glibc's way */
    opterr = 0;
    int code;
    while ((code = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
        const char *given = argv[optind - 1];
        if (code == ':')
            return error_set(err, ERR_INVALID, "%s needs a value", given);
        if (code == '?')
            return error_set(err, ERR_INVALID, "unknown flag %s, see --help", given);
        if (code >= SETTING_CODE) {
            const struct config_key *key = &options_table.keys[code - SETTING_CODE];
            if (!only_config && !apply_setting(o, key, optarg, err))
                return false;
            continue;
        }
        const struct flag *flag = &flags[code - FLAG_CODE];
        bool early =
            flag->kind != FLAG_SETTING && flag->kind != FLAG_SET && flag->kind != FLAG_CLEAR;
        if (early == only_config && !apply_flag(o, flag, optarg, err))
            return false;
    }
    if (optind < argc)
        return error_set(err, ERR_INVALID, "unexpected argument %s, see --help", argv[optind]);
    return true;
}

static bool read_features(struct options *o, struct error *err)
{
    struct slice rest = slice_from_text(o->query_features), name;
    o->feature_bits = 0;
    while (slice_split(&rest, ',', &name)) {
        name = slice_trim(name);
        bool known = name.size == 0;
        for (size_t i = 0; i < COUNT_OF(features); i++) {
            if (!slice_equal(name, slice_from_text(features[i].name)))
                continue;
            o->feature_bits |= features[i].bit;
            known = true;
        }
        if (!known)
            return error_set(err, ERR_INVALID, "query.features: unknown feature \"%.*s\"",
                             SLICE_ARG(name));
    }
    return true;
}

void options_preset(struct options *o)
{
    *o = (struct options){0};
    config_preset(&options_table, o);
}

bool options_read(struct options *o, int argc, char **argv, struct error *err)
{
    options_preset(o);
    if (!read_flags(o, argc, argv, true, err))
        return false;
    if (o->show_help || o->show_version)
        return true;
    if (o->config_path) {
        int64_t preset_ns = o->retention_ns;
        o->retention_ns = -1; /* to see whether the file sets it */
        if (!config_load(&options_table, o->config_path, o, err))
            return false;
        o->retention_given = o->retention_ns != -1;
        if (!o->retention_given)
            o->retention_ns = preset_ns;
    }
    if (!read_flags(o, argc, argv, false, err) || !read_features(o, err))
        return false;
    o->overrides = overrides_read(o->retention_stream, o->tenants, err);
    if (o->overrides == NULL)
        return false;
    if (!o->check_config && (!o->data || !o->data[0]))
        return error_set(err, ERR_INVALID,
                         "no data directory: give --data DIR, or `data` in the "
                         "configuration file");
    if (!o->logs_reject_old && !o->retention_given)
        o->retention_ns = 0;
    return true;
}

void options_done(struct options *o)
{
    config_done(&options_table, o);
    overrides_free(TAKE(o->overrides));
    free(o->config_path);
    o->config_path = NULL;
}

/* ---- text ------------------------------------------------------------- */

void options_append_help(struct buffer *out)
{
    buffer_append_text(out,
                       "etinde - one small server for metrics and logs\n\n"
                       "usage: etinde --data DIR [--listen HOST:PORT] [flags]\n"
                       "       etinde COMMAND --help: commands for a stopped server's data\n\n");
    commands_append_help(out);
    buffer_append_text(out, "\nFlags of the server:\n");
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        char name[64];
        snprintf(name, sizeof(name), "--%s %s", flags[i].name,
                 flags[i].argument ? flags[i].argument : "");
        const struct config_key *key = flags[i].doc ? NULL : key_of(&flags[i]);
        buffer_printf(out, "  %-30s %s", name, flags[i].doc ? flags[i].doc : key->doc);
        if (key && key->preset && key->preset[0])
            buffer_printf(out, " Default: %s.", key->preset);
        buffer_append_byte(out, '\n');
    }
    buffer_append_text(out, "\nEvery setting of docs/config.md is a flag, too: "
                            "--query.timeout 30s.\n"
                            "Exit codes: 0 stopped cleanly, 1 failed, 2 wrong usage or "
                            "configuration.\n");
}

void options_append_value(struct buffer *out, const struct options *o, const struct config_key *key)
{
    const void *value = (const char *)o + key->offset;
    switch (key->type) {
    case CONFIG_BOOL:
        buffer_append_text(out, *(const bool *)value ? "true" : "false");
        return;
    case CONFIG_TEXT:
    case CONFIG_TREE:
        buffer_append_text(out, *(char *const *)value ? *(char *const *)value : "");
        return;
    case CONFIG_SIZE:
    case CONFIG_COUNT:
        buffer_append_u64(out, *(const uint64_t *)value);
        return;
    case CONFIG_DURATION:
        buffer_append_duration_prometheus(out, *(const int64_t *)value);
        return;
    case CONFIG_CHOICE:
        buffer_append_text(out, key->choices[*(const int *)value]);
        return;
    }
}

void options_append_yaml(struct buffer *out, const struct options *o)
{
    struct slice section = SLICE("");
    for (size_t i = 0; i < options_table.count; i++) {
        const struct config_key *key = &options_table.keys[i];
        struct slice name = slice_from_text(key->name);
        size_t dot = slice_find_byte(name, '.', 0);
        struct slice prefix = dot == SLICE_NOT_FOUND ? SLICE("") : slice_sub(name, 0, dot);
        if (prefix.size > 0 && !slice_equal(prefix, section))
            buffer_printf(out, "%.*s:\n", SLICE_ARG(prefix));
        section = prefix;
        struct slice leaf = prefix.size ? slice_skip(name, dot + 1) : name;
        buffer_printf(out, "%s%.*s: ", prefix.size ? "  " : "", SLICE_ARG(leaf));
        if (key->type == CONFIG_TEXT) {
            char *const *text = (char *const *)(const void *)((const char *)o + key->offset);
            buffer_append_quoted(out, slice_from_text(*text));
        } else {
            options_append_value(out, o, key);
        }
        buffer_append_byte(out, '\n');
    }
}

/* ---- for the other parts ---------------------------------------------- */

uint64_t options_memory(const struct options *o)
{
    uint64_t memory = o->memory ? o->memory : memory_limit_read() / 4;
    return memory < MEMORY_MIN ? MEMORY_MIN : memory;
}

uint64_t options_memory_share(const struct options *o, uint64_t setting, unsigned divisor)
{
    uint64_t share = options_memory(o) / divisor;
    return setting == 0 || setting > share ? share : setting;
}

/* Zero means "the default" to the store, so a window of nothing is the smallest one. */
static int64_t window(int64_t ns)
{
    return ns == 0 ? 1 : ns;
}

void options_for_store(const struct options *o, struct store_options *out)
{
    *out = (struct store_options){
        .no_skip_index = !o->logs_skip_index,
        .directory = o->data,
        .ack = o->ack == OPTION_ACK_PROCESS ? STORE_ACK_PROCESS : STORE_ACK_DURABLE,
        .allow_remote_fs = o->allow_remote_fs,
        .repair = o->repair,
        .retention_ns = o->retention_ns == 0 ? -1 : o->retention_ns,
        .retention_size = o->retention_size,
        .future_ns = window(o->future_ns),
        .wal_segment_size = o->wal_segment_size,
        .wal_size_max = o->wal_size_max,
        .wal_plain = !o->wal_compression,
        .seal_interval_ns = o->seal_interval_ns,
        .head_memory_max = options_memory_share(o, o->head_memory, 2),
        .log_text_max = options_memory_share(o, o->log_text, 8),
        .series_idle_ns = o->series_idle_ns,
        .exemplars_max = o->metrics_exemplars > 0 ? (int64_t)o->metrics_exemplars : -1,
        .tenants_max = (uint32_t)o->tenants_max,
        .series_max = (uint32_t)o->series_max,
    };
    overrides_for_store(o->overrides, out);
    out->out_of_order_ns[STORE_METRIC] = window(o->metrics_out_of_order_ns);
    out->out_of_order_ns[STORE_LOG] = o->logs_reject_old ? window(o->logs_out_of_order_ns) : -1;
    out->past_ns[STORE_METRIC] = -1;
    out->past_ns[STORE_LOG] = o->logs_reject_old ? o->logs_max_age_ns : -1;
    out->label_limits[STORE_METRIC] =
        (struct label_limits){o->metrics_labels, o->metrics_name_size, o->metrics_value_size};
    /* The server judges log labels itself, with Loki's texts; service_name comes on top. */
    out->label_limits[STORE_LOG] =
        (struct label_limits){o->logs_labels + 1, o->logs_name_size, o->logs_value_size};
}

void options_for_query(const struct options *o, struct query_limits *out)
{
    *out = (struct query_limits){
        .series_max = o->query_series,
        .samples_max = o->query_samples,
        .points_max = o->query_points,
        .memory_max = options_memory_share(o, o->query_memory, 4),
        .timeout_ns = o->query_timeout_ns,
        .text_max = o->query_text_size,
    };
}
