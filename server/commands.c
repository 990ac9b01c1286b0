/*
 * commands.c - the commands' flags, and those that are short (see commands.h).
 *
 * All commands share one set of flags; each names those that it knows.
 */
#include "server/commands.h"

#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "server/copies.h"
#include "server/export.h"
#include "server/import_run.h"
#include "server/parameters.h"
#include "storage/snapshot.h"
#include "storage/verify.h"

#include <getopt.h>
#include <stdio.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct arguments {
    const char *data, *tenant, *kind, *format, *match, *start, *end; /* NULL: not given */
    const char *retention, *url;
    bool help, check;
    char **rest; /* what is no flag */
    int rest_count;
};

struct command {
    const char *name, *usage, *doc;
    const char *flags; /* the letters that it knows */
    int rest_count;    /* arguments that are no flags */
    int (*run)(const struct arguments *arguments);
};

static int failed(const struct error *err)
{
    fprintf(stderr, "etinde: %s\n", err->message);
    return EXIT_FAILED;
}

/* ---- verify --------------------------------------------------------------- */

static void print_finding(void *context, bool damage, const char *text)
{
    (void)context;
    printf("%s%s\n", damage ? "" : "note: ", text);
}

static int run_verify(const struct arguments *a)
{
    struct error err = {0};
    struct verify_report r;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!store_verify(a->data, print_finding, NULL, &r, &err))
        return failed(&err);
    printf("%llu problems, %llu notes; checked %llu log segments with %llu records, %llu tenants, "
           "%llu partitions with %llu series, %llu groups, %llu chunks, %llu samples, %llu log "
           "entries\n",
           (unsigned long long)r.problems, (unsigned long long)r.notes,
           (unsigned long long)r.segments, (unsigned long long)r.records,
           (unsigned long long)r.tenants, (unsigned long long)r.partitions,
           (unsigned long long)r.series, (unsigned long long)r.groups, (unsigned long long)r.chunks,
           (unsigned long long)r.samples, (unsigned long long)r.entries);
    return r.problems > 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

/* ---- backup and restore ------------------------------------------------------ */

static int run_backup(const struct arguments *a)
{
    struct error err = {0};
    if (copies_backup(a->data, a->url, a->rest[0], &err))
        return EXIT_SUCCESS;
    if (err.code == ERR_BUSY)
        fprintf(stderr, "etinde: a running server copies itself (POST "
                        "/api/v1/admin/tsdb/snapshot): give --url http://HOST:PORT\n");
    return failed(&err);
}

static int run_restore(const struct arguments *a)
{
    struct error err = {0};
    return copies_restore(a->data, a->rest[0], &err) ? EXIT_SUCCESS : failed(&err);
}

/* ---- export ------------------------------------------------------------------- */

/* One of two words, the first when nothing was given. */
static bool choose(const char *flag, const char *given, const char *first, const char *second,
                   bool *is_second, struct error *err)
{
    *is_second = given != NULL && strcmp(given, second) == 0;
    return given == NULL || *is_second || strcmp(given, first) == 0 ||
           error_set(err, ERR_INVALID, "--%s must be %s or %s", flag, first, second);
}

static bool read_time(const char *flag, const char *given, int64_t *ns, struct error *err)
{
    return given == NULL || time_from_prometheus(slice_from_text(given), ns) ||
           error_set(err, ERR_INVALID, "--%s must be seconds or a date as 2026-01-31T12:00:00Z",
                     flag);
}

static bool read_export(const struct arguments *a, struct export_request *request,
                        struct error *err)
{
    bool logs, json;
    *request = (struct export_request){
        .tenant = slice_from_text(a->tenant ? a->tenant : "default"),
        .selector = slice_from_text(a->match),
        .start_ns = INT64_MIN,
        .end_ns = INT64_MAX,
    };
    if (!choose("kind", a->kind, "metric", "log", &logs, err) ||
        !choose("format", a->format, logs ? "json" : "openmetrics", "json", &json, err) ||
        !read_time("start", a->start, &request->start_ns, err) ||
        !read_time("end", a->end, &request->end_ns, err))
        return false;
    request->kind = logs ? STORE_LOG : STORE_METRIC;
    request->form = json || logs ? EXPORT_JSON : EXPORT_OPENMETRICS;
    return true;
}

static int run_export(const struct arguments *a)
{
    struct error err = {0};
    struct export_request request;
    struct export_report report;
    struct store_options options = {
        .directory = a->data, .retention_ns = -1, .seal_interval_ns = -1};
    if (!read_export(a, &request, &err)) {
        fprintf(stderr, "etinde: %s\n", err.message);
        return EXIT_USAGE;
    }
    if (!snapshot_is_store(a->data, &err))
        return failed(&err);
    struct store *store = store_open(&options, &err);
    if (store == NULL)
        return failed(&err);
    bool ok = export_write(store, &request, stdout, &report, &err);
    store_abandon(store); /* nothing was written that must be kept */
    if (!ok)
        return failed(&err);
    fprintf(stderr, "etinde: exported %llu series, %llu %s, left out %llu\n",
            (unsigned long long)report.series, (unsigned long long)report.values,
            request.kind == STORE_LOG ? "entries" : "samples", (unsigned long long)report.left_out);
    return EXIT_SUCCESS;
}

/* ---- import ------------------------------------------------------------------- */

static bool read_import(const struct arguments *a, struct import_request *request,
                        struct error *err)
{
    static const char *const forms[] = {"auto", "json", "openmetrics", "prometheus"};
    bool logs;
    size_t form = 0;
    while (a->format && form < COUNT_OF(forms) && strcmp(a->format, forms[form]) != 0)
        form++;
    if (form == COUNT_OF(forms))
        return error_set(err, ERR_INVALID, "--format must be json, openmetrics or prometheus");
    *request = (struct import_request){
        .data = a->data,
        .source = a->rest[0],
        .tenant = slice_from_text(a->tenant ? a->tenant : "default"),
        .form = (enum import_form)form,
        .retention_ns = 15 * NS_PER_DAY,
        .check = a->check,
    };
    if (!choose("kind", a->kind, "metric", "log", &logs, err))
        return false;
    request->kind = logs ? STORE_LOG : STORE_METRIC;
    if (a->retention &&
        !duration_parse_prometheus(slice_from_text(a->retention), &request->retention_ns))
        return error_set(err, ERR_INVALID, "--retention must be a duration such as 90d, 0: any");
    return true;
}

static int run_import(const struct arguments *a)
{
    struct error err = {0};
    struct import_request request;
    if (!read_import(a, &request, &err)) {
        fprintf(stderr, "etinde: %s\n", err.message);
        return EXIT_USAGE;
    }
    return import_run(&request, &err) ? EXIT_SUCCESS : failed(&err);
}

/* ---- the table and the command line ------------------------------------------ */

static const struct command commands[] = {
    {"verify", "verify --data DIR",
     "Check every checksum and count of the log, the catalog and all partitions. Prints a line "
     "per problem and a closing count; exit code 1 when something is damaged.",
     "d", 0, run_verify},
    {"backup", "backup --data DIR [--url http://HOST:PORT] DEST",
     "Copy the data to DEST, which is empty or missing, or as a tar stream to standard output "
     "when DEST is -. --url names the server that runs on DIR (with --web.enable-admin-api); "
     "without it none may run.",
     "du", 1, run_backup},
    {"restore", "restore --data DIR COPY",
     "Check COPY (a backup, a snapshot, or - for a backup's tar stream on standard input) as "
     "verify does, then copy it to DIR, which is empty or missing.",
     "d", 1, run_restore},
    {"export",
     "export --data DIR [--tenant T] [--kind metric|log] [--format openmetrics|json] "
     "[--match SELECTOR] [--start TIME] [--end TIME]",
     "Print a stopped server's series: metrics as OpenMetrics for `promtool tsdb "
     "create-blocks-from openmetrics` or as lines of JSON, logs as lines of JSON.",
     "dtkfmse", 0, run_export},
    {"import",
     "import --data DIR [--tenant T] [--kind metric|log] [--format json|openmetrics|prometheus] "
     "[--retention 15d] [--check] SOURCE",
     "Write history into DIR, whether a server runs on it or not: lines of JSON (of export, or of "
     "VictoriaMetrics' /api/v1/export), OpenMetrics text, or the blocks of a Prometheus data "
     "directory. SOURCE - is standard input. With --check nothing is written.",
     "dtkfrc", 1, run_import},
};

enum {
    FLAG_HELP = 'h',
    FLAG_DATA = 'd',
    FLAG_TENANT = 't',
    FLAG_KIND = 'k',
    FLAG_FORMAT = 'f',
    FLAG_MATCH = 'm',
    FLAG_START = 's',
    FLAG_END = 'e',
    FLAG_RETENTION = 'r',
    FLAG_CHECK = 'c',
    FLAG_URL = 'u'
};

static const struct option longs[] = {
    {"data", required_argument, NULL, FLAG_DATA},
    {"tenant", required_argument, NULL, FLAG_TENANT},
    {"kind", required_argument, NULL, FLAG_KIND},
    {"format", required_argument, NULL, FLAG_FORMAT},
    {"match", required_argument, NULL, FLAG_MATCH},
    {"start", required_argument, NULL, FLAG_START},
    {"end", required_argument, NULL, FLAG_END},
    {"retention", required_argument, NULL, FLAG_RETENTION},
    {"url", required_argument, NULL, FLAG_URL},
    {"check", no_argument, NULL, FLAG_CHECK},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

void commands_append_help(struct buffer *out)
{
    buffer_append_text(out, "Commands:\n");
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        buffer_printf(out, "  etinde %s\n      %s\n", commands[i].usage, commands[i].doc);
}

bool command_is_named(int argc, char **argv)
{
    return argc > 1 && argv[1][0] != '-' && argv[1][0] != '\0';
}

static int usage(const struct command *command, const char *problem)
{
    fprintf(stderr, "etinde: %s\nusage: etinde %s\n", problem, command->usage);
    return EXIT_USAGE;
}

static bool set_flag(struct arguments *a, int code)
{
    switch (code) {
    case FLAG_DATA:
        a->data = optarg;
        return true;
    case FLAG_TENANT:
        a->tenant = optarg;
        return true;
    case FLAG_KIND:
        a->kind = optarg;
        return true;
    case FLAG_FORMAT:
        a->format = optarg;
        return true;
    case FLAG_MATCH:
        a->match = optarg;
        return true;
    case FLAG_START:
        a->start = optarg;
        return true;
    case FLAG_END:
        a->end = optarg;
        return true;
    case FLAG_RETENTION:
        a->retention = optarg;
        return true;
    case FLAG_URL:
        a->url = optarg;
        return true;
    case FLAG_CHECK:
        a->check = true;
        return true;
    case FLAG_HELP:
        a->help = true;
        return true;
    default:
        return false;
    }
}

static int read_and_run(const struct command *command, int argc, char **argv)
{
    struct arguments a = {0};
    int code;
    optind = 0; /* start afresh, glibc's way */
    opterr = 0;
    while ((code = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
        if (code == ':')
            return usage(command, "a flag lacks its value");
        if (code != FLAG_HELP && strchr(command->flags, code) == NULL)
            return usage(command, "unknown flag");
        if (!set_flag(&a, code))
            return usage(command, "unknown flag");
    }
    a.rest = argv + optind;
    a.rest_count = argc - optind;
    if (a.help) {
        printf("usage: etinde %s\n\n%s\n", command->usage, command->doc);
        return EXIT_SUCCESS;
    }
    if (a.data == NULL && strchr(command->flags, FLAG_DATA) != NULL)
        return usage(command, "no data directory: give --data DIR");
    if (a.rest_count != command->rest_count)
        return usage(command, "wrong number of arguments");
    return command->run(&a);
}

int command_run(int argc, char **argv)
{
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return read_and_run(&commands[i], argc - 1, argv + 1);
    fprintf(stderr, "etinde: unexpected argument %s, see --help\n", argv[1]);
    return EXIT_USAGE;
}
