/*
 * verify.c - the lock, the catalog, and a child process for each file (see verify.h).
 *
 * A child sends its findings through a pipe, a line each: 'P' or 'N' in front
 * for a problem or a note.
 */
#include "storage/verify_internal.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "storage/catalog.h"
#include "storage/guard.h"
#include "storage/page_sums.h"
#include "storage/partition_copy.h"
#include "storage/tombstones.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_SIZE_MAX = 1024, NAMES_MEMORY_MAX = 256 * 1024 * 1024 };

/* ---- findings ------------------------------------------------------------------ */

/* In a child: one write, so that a line is whole even when the next moment ends us. */
static void send_line(struct verify_run *run, bool damage, const char *text)
{
    char line[LINE_SIZE_MAX + 2];
    int n = snprintf(line, sizeof(line), "%c%s\n", damage ? 'P' : 'N', text);
    size_t size = n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1;
    line[size - 1] = '\n';
    for (size_t i = 0; i + 1 < size; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    size_t sent = 0;
    while (sent < size) {
        ssize_t wrote = write(run->pipe, line + sent, size - sent);
        if (wrote < 0 && errno != EINTR)
            _exit(2);
        sent += wrote > 0 ? (size_t)wrote : 0;
    }
}

static void PRINTF_LIKE(3, 0)
    finding(struct verify_run *run, bool damage, const char *format, va_list arguments)
{
    char text[LINE_SIZE_MAX];
    uint64_t *counter = damage ? &run->report->problems : &run->report->notes;
    ++*counter;
    if (++run->file_lines > VERIFY_LINES_MAX + 1)
        return;
    if (run->file_lines <= VERIFY_LINES_MAX)
        vsnprintf(text, sizeof(text), format, arguments);
    else
        snprintf(text, sizeof(text), "(further findings in this file are counted only)");
    if (run->pipe >= 0)
        send_line(run, damage, text);
    else
        run->line(run->context, damage, text);
}

void verify_problem(struct verify_run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    finding(run, true, format, arguments);
    va_end(arguments);
}

void verify_note(struct verify_run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    finding(run, false, format, arguments);
    va_end(arguments);
}

/* ---- children --------------------------------------------------------------------- */

/* What a child does with one file. */
typedef void file_check(struct verify_run *run, const char *path, void *argument);

static void child_run(struct verify_run *run, int pipe_end, file_check *check, const char *path,
                      void *argument)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    for (size_t i = 0; i < COUNT_OF(fatal); i++)
        signal(fatal[i], SIG_DFL);
    run->pipe = pipe_end;
    check(run, path, argument);
    _exit(0);
}

/* Counts were made by the child: only the texts are handed on. */
static void hand_on(struct verify_run *run, FILE *in)
{
    char line[LINE_SIZE_MAX + 4];
    while (fgets(line, sizeof(line), in) != NULL) {
        size_t size = strlen(line);
        if (size > 0 && line[size - 1] == '\n')
            line[size - 1] = '\0';
        run->line(run->context, line[0] == 'P', line + 1);
    }
}

/* False when no child could be made or it did not come to its end; the latter is a finding. */
static bool in_child(struct verify_run *run, const char *path, file_check *check, void *argument)
{
    int ends[2], status = 0;
    run->file_lines = 0;
    if (pipe(ends) != 0) {
        verify_problem(run, "%s: not checked: pipe: %s", path, strerror(errno));
        return false;
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        child_run(run, ends[1], check, path, argument);
    }
    close(ends[1]);
    FILE *in = child > 0 ? fdopen(ends[0], "r") : NULL;
    if (in != NULL) {
        hand_on(run, in);
        fclose(in);
    } else {
        close(ends[0]);
    }
    if (child < 0) {
        verify_problem(run, "%s: not checked: fork: %s", path, strerror(errno));
        return false;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    verify_problem(run, "%s: its pages are damaged: reading them ended with %s", path,
                   WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "a failure");
    return false;
}

/* ---- the catalog and its days --------------------------------------------------------- */

static bool catalog_walk(struct catalog *catalog, uint64_t *tenant_count, struct error *err)
{
    AUTO(arena_drop) struct arena *arena = arena_new(NAMES_MEMORY_MAX);
    struct slice *tenants;
    struct metric_metadata *items;
    struct catalog_producer *producers;
    size_t count, item_count;
    if (!catalog_tenants(catalog, arena, &tenants, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!catalog_metadata(catalog, tenants[i], SLICE(""), arena, &items, &item_count, err))
            return false;
    *tenant_count += count;
    struct tombstones *tombstones = tombstones_new();
    bool ok = catalog_producers(catalog, INT64_MIN, arena, &producers, &item_count, err) &&
              catalog_load_tombstones(catalog, tombstones, err);
    tombstones_free(tombstones);
    return ok;
}

static void page_finding(void *context, const char *text)
{
    verify_problem(context, "%s", text);
}

bool verify_pages(struct verify_run *run, const char *path)
{
    uint64_t before = run->report->problems;
    page_sums_report(path, page_finding, run);
    return run->report->problems == before;
}

static void check_catalog(struct verify_run *run, const char *path, void *argument)
{
    struct error err = {0};
    (void)argument;
    if (!verify_pages(run, path))
        return;
    struct catalog *catalog = catalog_open(run->directory, &err);
    if (catalog == NULL || !catalog_walk(catalog, &run->report->tenants, &err)) {
        bool named = slice_starts_with(slice_from_text(err.message), slice_from_text(path));
        verify_problem(run, "%s%s%s", named ? "" : path, named ? "" : ": ", err.message);
    }
    catalog_close(catalog);
}

static void check_partition(struct verify_run *run, const char *path, void *argument)
{
    const struct catalog_day *day = argument;
    verify_partition(run, path, day->kind, day->day);
}

static void check_day(struct verify_run *run, struct catalog_day *day)
{
    char path[PATH_MAX];
    struct stat info;
    struct error err = {0};
    run->file_lines = 0;
    if (!partition_file(run->directory, day, path, sizeof(path), &err))
        verify_problem(run, "%s", err.message);
    else if (stat(path, &info) != 0)
        verify_problem(run, "%s: %s", path,
                       errno == ENOENT ? "the catalog names it, but it is missing"
                                       : strerror(errno));
    else
        in_child(run, path, check_partition, day);
}

static void check_days(struct verify_run *run)
{
    struct error err = {0};
    AUTO(arena_drop) struct arena *arena = arena_new(NAMES_MEMORY_MAX);
    struct catalog_day *days;
    size_t count;
    struct catalog *catalog = catalog_open(run->directory, &err);
    if (catalog == NULL || !catalog_all_days(catalog, arena, &days, &count, &err)) {
        verify_problem(run, "%s/meta.mdb: %s", run->directory, err.message);
        catalog_close(catalog);
        return;
    }
    for (size_t i = 0; i < count; i++) /* names live in the catalog */
        days[i].tenant = arena_copy(arena, days[i].tenant);
    catalog_close(catalog); /* no environment is open across a fork */
    for (size_t i = 0; i < count; i++)
        check_day(run, &days[i]);
}

static void check_log(struct verify_run *run, const char *path, void *argument)
{
    (void)path;
    (void)argument;
    verify_wal(run);
}

static void check_all(struct verify_run *run)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/wal", run->directory);
    in_child(run, path, check_log, NULL);
    snprintf(path, sizeof(path), "%s/meta.mdb", run->directory);
    uint64_t problems = run->report->problems;
    if (in_child(run, path, check_catalog, NULL) && run->report->problems == problems)
        check_days(run);
    else
        verify_note(run, "%s: the days could not be checked without it", path);
}

bool store_verify(const char *directory, verify_line *line, void *context,
                  struct verify_report *report, struct error *err)
{
    char path[PATH_MAX];
    struct stat info;
    snprintf(path, sizeof(path), "%s/meta.mdb", directory);
    if (stat(path, &info) != 0)
        return error_set(err, ERR_NOT_FOUND, "%s holds no store: there is no meta.mdb", directory);
    AUTO(fd_drop) int lock = guard_lock(directory, err);
    if (lock < 0)
        return false;
    struct verify_report *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return error_set(err, ERR_IO, "shared memory: %s", strerror(errno));
    struct verify_run run = {
        .directory = directory, .line = line, .context = context, .report = shared, .pipe = -1};
    check_all(&run);
    *report = *shared;
    munmap(shared, sizeof(*shared));
    return true;
}
