/* Collectors on recorded text of /proc, decoded from the request that they write. */
#include "agents/collectors.h"
#include "base/error.h"
#include "wire/ingest.h"
#include "wire/remote_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct scrape scrape;
    struct buffer told; /* a line per sample: name{labels} value */
    struct label base[1];
    struct error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->base[0] = (struct label){SLICE("job"), SLICE("j")};
    scrape_init(&f->scrape, f->base, 1);
    scrape_begin(&f->scrape, 1000, true);
    buffer_init(&f->told, 1024 * 1024);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    scrape_done(&f->scrape);
    buffer_done(&f->told);
    free(f);
    return 0;
}

static int64_t unknown(void *context, struct slice key)
{
    (void)context;
    (void)key;
    return INGEST_UNKNOWN;
}

static int64_t note_series(void *context, struct slice key, struct label *labels, size_t count)
{
    struct fixture *f = context;
    (void)key;
    for (size_t i = 1; i < count; i++)
        assert_true(slice_compare(labels[i - 1].name, labels[i].name) < 0);
    assert_true(slice_equal(labels[0].name, LABEL_NAME_METRIC));
    buffer_append_slice(&f->told, labels[0].value);
    for (size_t i = 1; i < count; i++) {
        if (!slice_equal(labels[i].name, SLICE("job")))
            buffer_printf(&f->told, " %.*s=%.*s", SLICE_ARG(labels[i].name),
                          SLICE_ARG(labels[i].value));
    }
    return 0;
}

static bool note_sample(void *context, uint32_t series, int64_t time_ms, double value)
{
    struct fixture *f = context;
    (void)series;
    assert_int_equal(time_ms, 1000);
    buffer_printf(&f->told, " %.12g\n", value);
    return true;
}

static const char *told(struct fixture *f)
{
    struct metric_sink sink = {
        .context = f, .find = unknown, .define = note_series, .sample = note_sample};
    buffer_clear(&f->told);
    assert_true(remote_write_decode(buffer_slice(&f->scrape.out), &sink, &f->err));
    buffer_append_byte(&f->told, '\0');
    return f->told.data;
}

static void expect(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("missing: %s\nin: %s", line, text);
}

static const char stat_text[] = "cpu  100 200 300 400 500 600 700 800 900 1000\n"
                                "cpu0 10 20 30 400 50 60 70 80 90 100\n"
                                "cpu1 1 2 3 4 5 6 7\n"
                                "intr 553280 0 1 2\n"
                                "ctxt 1108770\n"
                                "btime 1795454130\n"
                                "processes 25440\n"
                                "procs_running 3\n"
                                "procs_blocked 1\n"
                                "softirq 1 2 3\n";

static void cpu_time_is_in_seconds_for_each_cpu_and_mode(void **state)
{
    struct fixture *f = *state;
    assert_true(parse_cpu(&f->scrape, slice_from_text(stat_text), &f->err));
    const char *text = told(f);
    expect(text, "node_cpu_seconds_total cpu=0 mode=user 0.1\n");
    expect(text, "node_cpu_seconds_total cpu=0 mode=idle 4\n");
    expect(text, "node_cpu_seconds_total cpu=0 mode=steal 0.8\n");
    expect(text, "node_cpu_guest_seconds_total cpu=0 mode=user 0.9\n");
    expect(text, "node_cpu_guest_seconds_total cpu=0 mode=nice 1\n");
    expect(text, "node_cpu_seconds_total cpu=1 mode=softirq 0.07\n");
    expect(text, "node_cpu_seconds_total cpu=1 mode=steal 0\n");
    assert_int_equal(f->scrape.samples, 20);
}

static void a_cpu_counter_never_goes_back(void **state)
{
    struct fixture *f = *state;
    assert_true(parse_cpu(&f->scrape, SLICE("cpu0 1000 0 0 5000\n"), &f->err));
    scrape_begin(&f->scrape, 1000, false);
    assert_true(parse_cpu(&f->scrape, SLICE("cpu0 900 0 0 4990\n"), &f->err));
    const char *text = told(f);
    expect(text, "mode=user 10\n");
    expect(text, "mode=idle 50\n");
    scrape_begin(&f->scrape, 1000, false); /* idle back by far: the cpu was away */
    assert_true(parse_cpu(&f->scrape, SLICE("cpu0 1 0 0 2\n"), &f->err));
    text = told(f);
    expect(text, "mode=user 0.01\n");
    expect(text, "mode=idle 0.02\n");
}

static void stat_and_loadavg_have_node_exporters_names(void **state)
{
    struct fixture *f = *state;
    assert_true(parse_stat(&f->scrape, slice_from_text(stat_text), &f->err));
    assert_true(parse_loadavg(&f->scrape, SLICE("0.77 0.56 0.35 3/123 4567\n"), &f->err));
    assert_string_equal(told(f), "node_intr_total 553280\n"
                                 "node_context_switches_total 1108770\n"
                                 "node_boot_time_seconds 1795454130\n"
                                 "node_forks_total 25440\n"
                                 "node_procs_running 3\n"
                                 "node_procs_blocked 1\n"
                                 "node_load1 0.77\nnode_load5 0.56\nnode_load15 0.35\n");
}

static void meminfo_is_in_bytes_where_the_kernel_says_kb(void **state)
{
    struct fixture *f = *state;
    assert_true(parse_meminfo(&f->scrape,
                              SLICE("MemTotal:       24668868 kB\nActive(anon):      12 kB\n"
                                    "HugePages_Total:       3\nDirectMap4k:   1 kB\n"),
                              &f->err));
    assert_string_equal(told(f), "node_memory_MemTotal_bytes 25260920832\n"
                                 "node_memory_Active_anon_bytes 12288\n"
                                 "node_memory_HugePages_Total 3\n"
                                 "node_memory_DirectMap4k_bytes 1024\n");
}

static void diskstats_measure_whole_disks(void **state)
{
    struct fixture *f = *state;
    assert_true(parse_diskstats(&f->scrape,
                                SLICE("   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
                                      " 254       1 vda1 9 9 9 9 9 9 9 9 9 9 9\n"
                                      " 254       0 vda 1 2 3 4000 5 6 7 8000 9 10000 11000 12 13 "
                                      "14 15000 16 17000\n"
                                      " 259       0 nvme0n1 1 2 3 4 5 6 7 8 9 10 11\n"),
                                &f->err));
    const char *text = told(f);
    assert_null(strstr(text, "vda1"));
    assert_null(strstr(text, "loop0"));
    expect(text, "node_disk_reads_completed_total device=vda 1\n");
    expect(text, "node_disk_read_bytes_total device=vda 1536\n");
    expect(text, "node_disk_read_time_seconds_total device=vda 4\n");
    expect(text, "node_disk_written_bytes_total device=vda 3584\n");
    expect(text, "node_disk_io_now device=vda 9\n");
    expect(text, "node_disk_io_time_weighted_seconds_total device=vda 11\n");
    expect(text, "node_disk_discarded_sectors_total device=vda 14\n");
    expect(text, "node_disk_flush_requests_time_seconds_total device=vda 17\n");
    expect(text, "node_disk_info device=vda major=254 minor=0 1\n");
    expect(text, "node_disk_io_time_weighted_seconds_total device=nvme0n1 0.011\n");
    assert_null(strstr(text, "flush_requests_total device=nvme0n1"));
}

static void partitions_and_virtual_disks_are_left_out(void **state)
{
    static const char *const in[] = {"sda",  "vda",   "xvdb", "nvme0n1",
                                     "dm-0", "md127", "sr0",  "mmcblk0"};
    static const char *const out[] = {"sda1",  "hdb12", "xvda1", "nvme0n1p2",
                                      "loop0", "ram15", "zram0", "fd0"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(in); i++)
        assert_true(disk_is_measured(slice_from_text(in[i])));
    for (size_t i = 0; i < COUNT_OF(out); i++)
        assert_false(disk_is_measured(slice_from_text(out[i])));
}

static const char netdev_text[] =
    "Inter-|   Receive                        |  Transmit\n"
    " face |bytes packets errs drop fifo frame compressed multicast|bytes packets ...\n"
    "    lo:   40353     113    1    2    3     4          5         6    7     8    9   10   11   "
    " "
    "12      13         14\n"
    "eth0:122301436 2709 0 0 0 0 0 0 122501 1466 0 0 0 0 0 0\n";

static void netdev_reads_every_column(void **state)
{
    struct fixture *f = *state;
    assert_true(parse_netdev(&f->scrape, slice_from_text(netdev_text), &f->err));
    const char *text = told(f);
    expect(text, "node_network_receive_bytes_total device=lo 40353\n");
    expect(text, "node_network_receive_multicast_total device=lo 6\n");
    expect(text, "node_network_transmit_bytes_total device=lo 7\n");
    expect(text, "node_network_transmit_compressed_total device=lo 14\n");
    expect(text, "node_network_receive_bytes_total device=eth0 122301436\n");
    assert_int_equal(f->scrape.samples, 32);
}

static bool mount_of(const char *line, struct mount *mount)
{
    static char copy[512];
    snprintf(copy, sizeof(copy), "%s", line);
    return parse_mount(copy, strlen(copy), mount);
}

static void mounts_are_read_and_filtered(void **state)
{
    struct mount m;
    (void)state;
    assert_true(mount_of("27 1 254:0 / / rw,relatime - ext4 /dev/vda rw", &m));
    assert_true(slice_equal(m.device, SLICE("/dev/vda")) && slice_equal(m.point, SLICE("/")) &&
                slice_equal(m.type, SLICE("ext4")) && !m.read_only);
    assert_true(
        mount_of("36 35 98:0 /r /mnt/my\\040disk\\134 ro shared:1 master:2 - xfs /dev/x rw", &m));
    assert_true(slice_equal(m.point, SLICE("/mnt/my disk\\")) && m.read_only);
    assert_true(mount_of("36 35 98:0 /r /x rw - xfs /dev/x rw,ro,y", &m));
    assert_true(m.read_only);
    assert_true(mount_of("36 35 0:1 / /run rw - tmpfs tmpfs rw", &m));
    assert_true(mount_of("36 35 0:1 / /device rw - ext4 /dev/x rw", &m));
    assert_true(mount_of("36 35 0:1 / /var/lib/docker rw - ext4 /dev/x rw", &m));
    assert_false(mount_of("36 35 0:1 / /var/lib/docker/x rw - ext4 /dev/x rw", &m));
    assert_false(mount_of("36 35 0:1 / /dev rw - tmpfs tmpfs rw", &m));
    assert_false(mount_of("36 35 0:1 / /dev/shm rw - tmpfs tmpfs rw", &m));
    assert_false(mount_of("36 35 0:1 / /x rw - proc proc rw", &m));
    assert_false(mount_of("36 35 0:1 / /x rw - overlay overlay rw", &m));
    assert_false(mount_of("36 35 0:1 / /x rw ext4 /dev/x", &m));
    assert_false(mount_of("36 35", &m));
    assert_false(mount_of("", &m));
}

static void malformed_files_are_errors(void **state)
{
    struct fixture *f = *state;
    assert_false(parse_cpu(&f->scrape, SLICE(""), &f->err));
    assert_false(parse_cpu(&f->scrape, SLICE("cpux 1 2\n"), &f->err));
    assert_false(parse_cpu(&f->scrape, SLICE("cpu99999999 1 2\n"), &f->err));
    assert_false(parse_stat(&f->scrape, SLICE("nothing\n"), &f->err));
    assert_false(parse_stat(&f->scrape, SLICE("ctxt x\n"), &f->err));
    assert_false(parse_loadavg(&f->scrape, SLICE("1 2"), &f->err));
    assert_false(parse_meminfo(&f->scrape, SLICE("MemTotal 1 kB\n"), &f->err));
    assert_false(parse_meminfo(&f->scrape, SLICE("MemTotal: x kB\n"), &f->err));
    assert_false(parse_meminfo(&f->scrape, SLICE(""), &f->err));
    assert_false(parse_diskstats(&f->scrape, SLICE("1 2\n"), &f->err));
    assert_false(parse_netdev(&f->scrape, SLICE("eth0: 1 2\n"), &f->err));
    assert_false(parse_netdev(&f->scrape, SLICE(""), &f->err));
}

static void a_value_overrides_the_base_labels_and_drops_empty_ones(void **state)
{
    struct fixture *f = *state;
    struct label labels[] = {
        {SLICE("z"), SLICE("1")}, {SLICE("empty"), SLICE("")}, {SLICE("a"), SLICE("2")}};
    scrape_value(&f->scrape, "x", labels, 3, 1);
    assert_string_equal(told(f), "x a=2 z=1 1\n");
}

static void the_real_machine_can_be_measured(void **state)
{
    struct fixture *f = *state;
    collect_all(&f->scrape);
    const char *text = told(f);
    expect(text, "up 1\n");
    for (size_t i = 0; i < collector_count; i++) {
        char line[128];
        snprintf(line, sizeof(line), "node_scrape_collector_success collector=%s 1\n",
                 collectors[i].name);
        expect(text, line);
    }
    assert_true(f->scrape.samples > 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(cpu_time_is_in_seconds_for_each_cpu_and_mode),
        TEST(a_cpu_counter_never_goes_back),
        TEST(stat_and_loadavg_have_node_exporters_names),
        TEST(meminfo_is_in_bytes_where_the_kernel_says_kb),
        TEST(diskstats_measure_whole_disks),
        TEST(partitions_and_virtual_disks_are_left_out),
        TEST(netdev_reads_every_column),
        TEST(mounts_are_read_and_filtered),
        TEST(malformed_files_are_errors),
        TEST(a_value_overrides_the_base_labels_and_drops_empty_ones),
        TEST(the_real_machine_can_be_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
