/*
 * ledger.c - counters, one limit, and the system's figure beside them (see ledger.h).
 */
#include "base/ledger.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    MEASURE_EVERY_MS = 50,
    HIGH_PERCENT = 60,
    RESERVE_PERCENT = 15,   /* for what runs already: above the rest it is full */
    RESERVE_MIN = 16 << 20, /* what sealing takes meanwhile; a quarter at most */
    RESERVE_MIN_PARTS = 4
};

static struct {
    int64_t used[LEDGER_PARTS];
    int64_t total;
    size_t limit; /* 0: none was set */
    size_t anonymous;
    int64_t measured_ns;
} ledger;

static const char *const names[LEDGER_PARTS] = {
    [LEDGER_HEAD] = "head",     [LEDGER_LOG_TEXT] = "log_text",
    [LEDGER_INDEX] = "index",   [LEDGER_LOOKUP] = "lookup",
    [LEDGER_BODIES] = "bodies", [LEDGER_BATCHES] = "batches",
    [LEDGER_WAL] = "wal",       [LEDGER_QUERIES] = "queries",
    [LEDGER_CACHES] = "caches", [LEDGER_PARTITIONS] = "partitions",
    [LEDGER_TABLES] = "tables",
};

const char *ledger_part_name(enum ledger_part part)
{
    return names[part];
}

void ledger_set_limit(size_t limit)
{
    __atomic_store_n(&ledger.limit, limit, __ATOMIC_RELAXED);
}

size_t ledger_limit(void)
{
    size_t limit = __atomic_load_n(&ledger.limit, __ATOMIC_RELAXED);
    return limit == 0 ? SIZE_MAX : limit;
}

void ledger_add(enum ledger_part part, int64_t bytes)
{
    if (bytes == 0)
        return;
    __atomic_add_fetch(&ledger.used[part], bytes, __ATOMIC_RELAXED);
    __atomic_add_fetch(&ledger.total, bytes, __ATOMIC_RELAXED);
}

void ledger_update(enum ledger_part part, size_t *counted, size_t now)
{
    ledger_add(part, (int64_t)now - (int64_t)*counted);
    *counted = now;
}

/* What is counted, or what the system says when that is more. */
static size_t used_most(void)
{
    size_t total = ledger_total();
    size_t anonymous = ledger_anonymous();
    return anonymous > total ? anonymous : total;
}

static size_t reserve_of(size_t limit)
{
    size_t least =
        limit / RESERVE_MIN_PARTS < RESERVE_MIN ? limit / RESERVE_MIN_PARTS : RESERVE_MIN;
    size_t share = limit / 100 * RESERVE_PERCENT;
    return share > least ? share : least;
}

bool ledger_take(enum ledger_part part, size_t size)
{
    size_t limit = ledger_limit();
    if (limit != SIZE_MAX) {
        size_t used = used_most(), most = limit - reserve_of(limit) / 2;
        if (used > most || size > most - used)
            return false;
    }
    ledger_add(part, (int64_t)size);
    return true;
}

static size_t not_negative(const int64_t *counter)
{
    int64_t value = __atomic_load_n(counter, __ATOMIC_RELAXED);
    return value < 0 ? 0 : (size_t)value; /* two additions may be seen in another order */
}

size_t ledger_used(enum ledger_part part)
{
    return not_negative(&ledger.used[part]);
}

size_t ledger_total(void)
{
    return not_negative(&ledger.total);
}

/* ---- the system's figure ------------------------------------------------- */

void ledger_measure(void)
{
    char text[128];
    __atomic_store_n(&ledger.measured_ns, clock_monotonic_ns(), __ATOMIC_RELAXED);
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t size = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (size <= 0)
        return;
    text[size] = '\0';
    char *at = text;
    strtoul(at, &at, 10); /* all of it, mapped files too */
    size_t resident = strtoul(at, &at, 10);
    size_t of_files = strtoul(at, &at, 10);
    size_t pages = resident > of_files ? resident - of_files : 0;
    __atomic_store_n(&ledger.anonymous, pages * (size_t)sysconf(_SC_PAGESIZE), __ATOMIC_RELAXED);
}

size_t ledger_anonymous(void)
{
    int64_t measured = __atomic_load_n(&ledger.measured_ns, __ATOMIC_RELAXED);
    if (clock_monotonic_ns() - measured > MEASURE_EVERY_MS * NS_PER_MS)
        ledger_measure();
    return __atomic_load_n(&ledger.anonymous, __ATOMIC_RELAXED);
}

enum ledger_level ledger_pressure(void)
{
    size_t limit = ledger_limit();
    if (limit == SIZE_MAX)
        return LEDGER_CALM;
    size_t used = used_most();
    if (used >= limit - reserve_of(limit))
        return LEDGER_FULL;
    return used >= limit / 100 * HIGH_PERCENT ? LEDGER_HIGH : LEDGER_CALM;
}

bool ledger_is_spent(void)
{
    size_t limit = ledger_limit();
    return limit != SIZE_MAX && used_most() >= limit;
}

bool ledger_is_full(struct error *err)
{
    if (ledger_pressure() != LEDGER_FULL)
        return false;
    error_set(err, ERR_UNAVAILABLE,
              "memory is short: %zu MiB are counted and %zu MiB in use, the budget is %zu MiB",
              ledger_total() >> 20, ledger_anonymous() >> 20, ledger_limit() >> 20);
    return true;
}
