/*
 * collect_diskstats.c - /proc/diskstats: whole disks, one line each.
 *
 *     254 0 vda reads merged sectors ms writes merged sectors ms now ms weighted-ms
 *               discards merged sectors ms flushes ms
 *
 * A sector is 512 bytes whatever the disk says.  Older kernels end earlier.
 */
#include "agents/collectors.h"

#include "base/error.h"

struct disk_value {
    const char *name, *type, *help;
    double factor;
};

static const struct disk_value disk_values[] = {
    {"node_disk_reads_completed_total", "counter", "Reads done.", 1},
    {"node_disk_reads_merged_total", "counter", "Reads joined with a neighbour.", 1},
    {"node_disk_read_bytes_total", "counter", "Bytes read.", 512},
    {"node_disk_read_time_seconds_total", "counter", "Time of all reads.", 0.001},
    {"node_disk_writes_completed_total", "counter", "Writes done.", 1},
    {"node_disk_writes_merged_total", "counter", "Writes joined with a neighbour.", 1},
    {"node_disk_written_bytes_total", "counter", "Bytes written.", 512},
    {"node_disk_write_time_seconds_total", "counter", "Time of all writes.", 0.001},
    {"node_disk_io_now", "gauge", "Requests under way.", 1},
    {"node_disk_io_time_seconds_total", "counter", "Time with any request under way.", 0.001},
    {"node_disk_io_time_weighted_seconds_total", "counter",
     "Time with requests under way, times their number.", 0.001},
    {"node_disk_discards_completed_total", "counter", "Discards done.", 1},
    {"node_disk_discards_merged_total", "counter", "Discards joined with a neighbour.", 1},
    {"node_disk_discarded_sectors_total", "counter", "Sectors discarded.", 1},
    {"node_disk_discard_time_seconds_total", "counter", "Time of all discards.", 0.001},
    {"node_disk_flush_requests_total", "counter", "Flushes done.", 1},
    {"node_disk_flush_requests_time_seconds_total", "counter", "Time of all flushes.", 0.001},
};

static size_t digits_at_end(struct slice s)
{
    size_t n = 0;
    while (n < s.size && s.data[s.size - 1 - n] >= '0' && s.data[s.size - 1 - n] <= '9')
        n++;
    return n;
}

/* Names of two parts with digits behind both, such as nvme0n1 of nvme0n1p2. */
static bool is_nvme_disk(struct slice s)
{
    size_t digits = digits_at_end(s);
    if (digits == 0 || s.size < digits + 2)
        return false;
    s.size -= digits;
    if (s.data[s.size - 1] != 'n')
        return false;
    s.size--;
    digits = digits_at_end(s);
    return digits > 0 && slice_equal(slice_sub(s, 0, s.size - digits), SLICE("nvme"));
}

bool disk_is_measured(struct slice device)
{
    size_t digits = digits_at_end(device);
    if (digits == 0)
        return true;
    struct slice stem = slice_sub(device, 0, device.size - digits);
    if (slice_equal(stem, SLICE("ram")) || slice_equal(stem, SLICE("zram")) ||
        slice_equal(stem, SLICE("loop")) || slice_equal(stem, SLICE("fd")))
        return false;
    /* A letter behind hd, sd, vd or xvd, then digits: a partition. */
    if (stem.size > 0 && stem.data[stem.size - 1] >= 'a' && stem.data[stem.size - 1] <= 'z') {
        struct slice kind = slice_sub(stem, 0, stem.size - 1);
        if (slice_equal(kind, SLICE("hd")) || slice_equal(kind, SLICE("sd")) ||
            slice_equal(kind, SLICE("vd")) || slice_equal(kind, SLICE("xvd")))
            return false;
    }
    return !(slice_ends_with(stem, SLICE("p")) && is_nvme_disk(slice_sub(stem, 0, stem.size - 1)));
}

bool parse_diskstats(struct scrape *s, struct slice text, struct error *err)
{
    struct slice line, major, minor, device;

    for (size_t i = 0; i < COUNT_OF(disk_values); i++)
        scrape_family(s, disk_values[i].name, disk_values[i].type, disk_values[i].help);
    scrape_family(s, "node_disk_info", "gauge", "What a disk is.");
    while (slice_split(&text, '\n', &line)) {
        if (line.size == 0)
            continue;
        if (!next_word(&line, &major) || !next_word(&line, &minor) || !next_word(&line, &device))
            return error_set(err, ERR_INVALID, "diskstats: malformed line");
        if (!disk_is_measured(device))
            continue;
        struct label labels[] = {
            {SLICE("device"), device}, {SLICE("major"), major}, {SLICE("minor"), minor}};
        double value;
        for (size_t i = 0; i < COUNT_OF(disk_values) && next_number(&line, &value); i++)
            scrape_value(s, disk_values[i].name, labels, 1, value * disk_values[i].factor);
        scrape_value(s, "node_disk_info", labels, 3, 1);
    }
    return true;
}

bool collect_diskstats(struct scrape *s, struct error *err)
{
    struct slice text;
    return scrape_load(s, s->procfs, "diskstats", &text, err) && parse_diskstats(s, text, err);
}
