/* collect_stat.c - /proc/stat and /proc/loadavg: cpu time, interrupts, processes, load. */
#include "agents/collectors.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/number.h"

#include <unistd.h>

enum { CPU_FIELDS = 10, CPU_MODES = 8, CPU_GUEST = 8, CPU_GUEST_NICE = 9, CPU_IDLE = 3 };
enum { CPUS_MAX = 4096 };

static const double hotplug_seconds = 3; /* idle time going back by more: the cpu was away */

static const char *const modes[CPU_MODES] = {"user",   "nice", "system",  "idle",
                                             "iowait", "irq",  "softirq", "steal"};

/* What the counters were at the last scrape, ten numbers for cpu `index`. */
static double *remembered(struct cpu_memory *memory, size_t index)
{
    if (index >= memory->cpus) {
        size_t cpus = index + 1;
        memory->seconds = xrealloc(memory->seconds, cpus * CPU_FIELDS * sizeof(*memory->seconds));
        memset(memory->seconds + memory->cpus * CPU_FIELDS, 0,
               (cpus - memory->cpus) * CPU_FIELDS * sizeof(*memory->seconds));
        memory->cpus = cpus;
    }
    return memory->seconds + index * CPU_FIELDS;
}

/* The kernel lets single fields go back a little; a counter must not. */
static void never_back(double *last, const double now[CPU_FIELDS])
{
    bool returned = last[CPU_IDLE] - now[CPU_IDLE] >= hotplug_seconds;
    for (size_t i = 0; i < CPU_FIELDS; i++) {
        if (returned || now[i] > last[i])
            last[i] = now[i];
    }
}

/* "cpu0 1 2 3 ...": the line of one cpu. */
static bool parse_cpu_line(struct scrape *s, struct slice number, struct slice rest)
{
    uint64_t index;
    double now[CPU_FIELDS] = {0}, ticks = (double)sysconf(_SC_CLK_TCK);

    if (!slice_parse_u64(number, &index) || index >= CPUS_MAX)
        return false;
    for (size_t i = 0; i < CPU_FIELDS && next_number(&rest, &now[i]); i++)
        now[i] /= ticks;
    double *seconds = remembered(&s->cpus, (size_t)index);
    never_back(seconds, now);

    struct label labels[] = {{SLICE("cpu"), number}, {SLICE("mode"), {NULL, 0}}};
    for (size_t i = 0; i < CPU_MODES; i++) {
        labels[1].value = slice_from_text(modes[i]);
        scrape_value(s, "node_cpu_seconds_total", labels, 2, seconds[i]);
    }
    labels[1].value = SLICE("user");
    scrape_value(s, "node_cpu_guest_seconds_total", labels, 2, seconds[CPU_GUEST]);
    labels[1].value = SLICE("nice");
    scrape_value(s, "node_cpu_guest_seconds_total", labels, 2, seconds[CPU_GUEST_NICE]);
    return true;
}

bool parse_cpu(struct scrape *s, struct slice text, struct error *err)
{
    struct slice line, word;
    size_t cpus = 0;

    scrape_family(s, "node_cpu_seconds_total", "counter", "Time that each cpu spent in each mode.");
    scrape_family(s, "node_cpu_guest_seconds_total", "counter",
                  "Time that each cpu spent running guests; also part of user and nice.");
    while (slice_split(&text, '\n', &line)) {
        if (!slice_starts_with(line, SLICE("cpu")) || slice_starts_with(line, SLICE("cpu ")))
            continue;
        if (!next_word(&line, &word) || !parse_cpu_line(s, slice_skip(word, 3), line))
            return error_set(err, ERR_INVALID, "stat: malformed line of a cpu");
        cpus++;
    }
    return cpus > 0 || error_set(err, ERR_INVALID, "stat: no cpu");
}

struct stat_value {
    const char *key, *name, *type, *help;
};

static const struct stat_value stat_values[] = {
    {"btime", "node_boot_time_seconds", "gauge", "When the machine was booted, in unix time."},
    {"ctxt", "node_context_switches_total", "counter", "Context switches."},
    {"processes", "node_forks_total", "counter", "Processes and threads started."},
    {"intr", "node_intr_total", "counter", "Interrupts served."},
    {"procs_running", "node_procs_running", "gauge", "Threads that are ready to run."},
    {"procs_blocked", "node_procs_blocked", "gauge", "Threads that wait for input or output."},
};

bool parse_stat(struct scrape *s, struct slice text, struct error *err)
{
    struct slice line, word;
    size_t found = 0;

    while (slice_split(&text, '\n', &line)) {
        double value;
        if (!next_word(&line, &word))
            continue;
        for (size_t i = 0; i < COUNT_OF(stat_values); i++) {
            const struct stat_value *v = &stat_values[i];
            if (!slice_equal(word, slice_from_text(v->key)))
                continue;
            if (!next_number(&line, &value))
                return error_set(err, ERR_INVALID, "stat: %s has no number", v->key);
            scrape_single(s, v->name, v->type, v->help, value);
            found++;
        }
    }
    return found > 0 || error_set(err, ERR_INVALID, "stat: nothing known in it");
}

bool parse_loadavg(struct scrape *s, struct slice text, struct error *err)
{
    double load[3];
    for (size_t i = 0; i < COUNT_OF(load); i++) {
        if (!next_number(&text, &load[i]))
            return error_set(err, ERR_INVALID, "loadavg: expected three numbers");
    }
    scrape_single(s, "node_load1", "gauge", "Load average of one minute.", load[0]);
    scrape_single(s, "node_load5", "gauge", "Load average of five minutes.", load[1]);
    scrape_single(s, "node_load15", "gauge", "Load average of fifteen minutes.", load[2]);
    return true;
}

bool collect_cpu(struct scrape *s, struct error *err)
{
    struct slice text;
    return scrape_load(s, s->procfs, "stat", &text, err) && parse_cpu(s, text, err);
}

bool collect_stat(struct scrape *s, struct error *err)
{
    struct slice text;
    return scrape_load(s, s->procfs, "stat", &text, err) && parse_stat(s, text, err);
}

bool collect_loadavg(struct scrape *s, struct error *err)
{
    struct slice text;
    return scrape_load(s, s->procfs, "loadavg", &text, err) && parse_loadavg(s, text, err);
}
