/*
 * conformance_promql.c - runs PromQL `.test` files against the query facade on a real
 * store in a temporary directory, each query once more at 2, 4 and 8 threads: same bits.
 *
 *     conformance-promql [--expect-passing LIST] [--list-passing] [--quiet] FILE[:LINE]...
 *     conformance-promql --queries LIST
 *
 * Each `clear` and each file begins a new tenant, which is as good as an empty store.  With
 * --expect-passing the exit code tells whether every case of the list still passes; otherwise
 * whether all cases did.
 */
#include "promqltest.h"

#include "base/error.h"
#include "base/files.h"
#include "base/number.h"
#include "base/pool.h"
#include "storage/store.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIST_MAX = 1 << 20, WHY_MAX = 64 << 10 };

struct tally {
    size_t passed, failed;
};

struct program {
    bool list_passing, quiet;
    struct buffer expected; /* "file:line\n" ... */
    struct buffer passed;   /* the same, of this run */
    struct run_context context;
    unsigned tenants;
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void new_tenant(struct program *p)
{
    static char name[32];
    snprintf(name, sizeof(name), "t%u", p->tenants++);
    p->context.tenant = slice_from_text(name);
}

static void run_eval(struct program *p, const struct eval_case *c, struct tally *tally)
{
    struct buffer why;
    buffer_init(&why, WHY_MAX);
    if (run_case(&p->context, c, &why)) {
        tally->passed++;
        buffer_printf(&p->passed, "%s:%d\n", base_name(c->file), c->line);
    } else {
        tally->failed++;
        if (!p->quiet)
            printf("FAILED %s:%d: %.*s\n    %.*s\n", c->file, c->line, SLICE_ARG(c->text),
                   SLICE_ARG(buffer_slice(&why)));
    }
    buffer_done(&why);
}

/* "path:line" runs one line only. */
static int only_line(char *path)
{
    char *colon = strrchr(path, ':');
    uint64_t line;
    if (colon == NULL || !slice_parse_u64(slice_from_text(colon + 1), &line))
        return 0;
    *colon = '\0';
    return (int)line;
}

static bool run_file(struct program *p, char *path, struct tally *total, struct error *err)
{
    struct test_file file;
    struct tally tally = {0};
    int line = only_line(path);
    if (!test_file_parse(path, &file, err))
        return false;
    new_tenant(p);
    bool ok = true;
    for (size_t i = 0; ok && i < file.count; i++) {
        const struct command *command = &file.commands[i];
        if (command->kind == COMMAND_CLEAR)
            new_tenant(p);
        if (command->kind == COMMAND_LOAD) {
            ok = load_block(&p->context, command, err);
            if (!ok)
                error_prefix(err, "%s:%d", path, command->line);
        }
        if (command->kind == COMMAND_EVAL && (line == 0 || line == command->line))
            run_eval(p, &command->eval, &tally);
    }
    printf("%s: %zu passed, %zu failed, 0 skipped\n", base_name(path), tally.passed, tally.failed);
    total->passed += tally.passed;
    total->failed += tally.failed;
    test_file_free(&file);
    return ok;
}

static bool has_line(const struct buffer *list, struct slice wanted)
{
    struct slice rest = buffer_slice(list), line;
    while (rest.data && slice_split(&rest, '\n', &line)) {
        if (slice_equal(slice_trim(line), wanted))
            return true;
    }
    return false;
}

/* Every line of the list that did not pass. */
static size_t report_lost(const struct program *p)
{
    size_t lost = 0;
    struct slice rest = buffer_slice(&p->expected), line;
    while (rest.data && slice_split(&rest, '\n', &line)) {
        line = slice_trim(line);
        if (line.size > 0 && line.data[0] != '#' && !has_line(&p->passed, line)) {
            printf("LOST %.*s: it passed before\n", SLICE_ARG(line));
            lost++;
        }
    }
    return lost;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static struct store *open_store(const char *directory, struct error *err)
{
    struct store_options options = {
        .directory = directory,
        .ack = STORE_ACK_PROCESS,
        .retention_ns = -1,
        .out_of_order_ns = {-1, -1},
        .future_ns = -1,
        .past_ns = {-1, -1},
        .seal_interval_ns = -1,
        .tenants_max = 100000,
    };
    return store_open(&options, err);
}

static int run_all(struct program *p, int count, char **arguments)
{
    struct error err = {0};
    struct tally total = {0};
    bool checks = false;
    for (int i = 0; i < count; i++) {
        bool ok = true;
        if (strcmp(arguments[i], "--list-passing") == 0) {
            p->list_passing = p->quiet = true;
        } else if (strcmp(arguments[i], "--quiet") == 0) {
            p->quiet = true;
        } else if (strcmp(arguments[i], "--expect-passing") == 0 && i + 1 < count) {
            checks = true;
            ok = file_load(arguments[++i], &p->expected, &err);
        } else if (strcmp(arguments[i], "--queries") == 0 && i + 1 < count) {
            if (access(arguments[i + 1], R_OK) != 0) {
                const char *ci = getenv("CI");
                fprintf(stderr, "SKIPPED: no %s\n", arguments[i + 1]);
                return ci && strcmp(ci, "true") == 0 ? 1 : 77;
            }
            new_tenant(p);
            ok = run_queries(&p->context, arguments[++i], &total.passed, &total.failed, &err);
        } else {
            ok = run_file(p, arguments[i], &total, &err);
        }
        if (!ok) {
            fprintf(stderr, "conformance-promql: %s\n", err.message);
            return 2;
        }
    }
    if (p->list_passing)
        printf("%.*s", SLICE_ARG(buffer_slice(&p->passed)));
    size_t lost = checks ? report_lost(p) : 0;
    /* Nothing is left out any more; the line keeps the form that scripts read. */
    printf("%zu passed, %zu failed, 0 skipped\n", total.passed, total.failed);
    return checks ? lost > 0 : total.failed > 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr,
                "usage: %s [--expect-passing LIST] [--list-passing] [--quiet] "
                "FILE[:LINE]...\n",
                argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    char directory[] = "/tmp/conformance-promql-XXXXXX";
    struct error err = {0};
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        return 2;
    }
    struct program p = {0};
    buffer_init(&p.expected, LIST_MAX);
    buffer_init(&p.passed, LIST_MAX);
    p.context.store = open_store(directory, &err);
    p.context.helpers = pool_new("help", 7, 64, &err);
    int code = 2;
    if (p.context.store && p.context.helpers)
        code = run_all(&p, argc - 1, argv + 1);
    else
        fprintf(stderr, "conformance-promql: %s\n", err.message);
    pool_free(p.context.helpers);
    if (p.context.store)
        store_abandon(p.context.store);
    buffer_done(&p.expected);
    buffer_done(&p.passed);
    nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return code;
}
