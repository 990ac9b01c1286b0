/* collectors.c - the list of collectors, and what a scrape says about itself (see collectors.h). */
#include "agents/collectors.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

const struct collector collectors[] = {
    {"cpu", collect_cpu},
    {"stat", collect_stat},
    {"loadavg", collect_loadavg},
    {"meminfo", collect_meminfo},
    {"diskstats", collect_diskstats},
    {"netdev", collect_netdev},
    {"filesystem", collect_filesystem},
    {"uname", collect_uname},
    {"time", collect_time},
    {"process", collect_process},
};
const size_t collector_count = COUNT_OF(collectors);

bool collect_uname(struct scrape *s, struct error *err)
{
    struct utsname info;
    if (uname(&info) != 0)
        return error_set(err, ERR_IO, "uname failed");
    struct label labels[] = {
        {SLICE("sysname"), slice_from_text(info.sysname)},
        {SLICE("release"), slice_from_text(info.release)},
        {SLICE("version"), slice_from_text(info.version)},
        {SLICE("machine"), slice_from_text(info.machine)},
        {SLICE("nodename"), slice_from_text(info.nodename)},
        {SLICE("domainname"), slice_from_text(info.domainname)},
    };
    scrape_family(s, "node_uname_info", "gauge", "What system this is.");
    scrape_value(s, "node_uname_info", labels, COUNT_OF(labels), 1);
    return true;
}

bool collect_time(struct scrape *s, struct error *err)
{
    (void)err;
    scrape_single(s, "node_time_seconds", "gauge", "The machine's unix time.",
                  (double)clock_now_ns(NULL) / 1e9);
    return true;
}

bool collect_process(struct scrape *s, struct error *err)
{
    struct slice text, word;
    double pages;
    if (!scrape_load(s, "/proc", "self/statm", &text, err))
        return false;
    if (!next_word(&text, &word) || !next_number(&text, &pages))
        return error_set(err, ERR_INVALID, "statm: expected two numbers");
    scrape_single(s, "process_resident_memory_bytes", "gauge", "Memory that the agent holds.",
                  pages * (double)sysconf(_SC_PAGESIZE));
    scrape_single(s, "process_cpu_seconds_total", "counter", "CPU time that the agent used.",
                  (double)clock_cpu_ns() / 1e9);
    return true;
}

void collect_all(struct scrape *s)
{
    int64_t begin = clock_monotonic_ns();
    scrape_family(s, "node_scrape_collector_duration_seconds", "gauge",
                  "How long a collector took.");
    scrape_family(s, "node_scrape_collector_success", "gauge", "Whether a collector worked.");
    for (size_t i = 0; i < collector_count; i++) {
        struct error err = {0};
        struct label label = {SLICE("collector"), slice_from_text(collectors[i].name)};
        int64_t start = clock_monotonic_ns();
        bool ok = collectors[i].collect(s, &err);
        if (!ok)
            log_warn("collector failed", LOG_TEXT("collector", collectors[i].name), LOG_ERR(&err));
        scrape_value(s, "node_scrape_collector_duration_seconds", &label, 1,
                     (double)(clock_monotonic_ns() - start) / 1e9);
        scrape_value(s, "node_scrape_collector_success", &label, 1, ok);
    }
    size_t samples = s->samples;
    scrape_single(s, "up", "gauge", "1: the agent is there.", 1);
    scrape_single(s, "scrape_duration_seconds", "gauge", "How long a look at everything took.",
                  (double)(clock_monotonic_ns() - begin) / 1e9);
    scrape_single(s, "scrape_samples_scraped", "gauge", "Values found by a look at everything.",
                  (double)samples);
}
