/*
 * collect_netdev.c - /proc/1/net/dev: counters of the host's network devices.
 *
 * The file of process 1 shows the host's network even when the agent has a
 * namespace of its own; where it cannot be read, the agent's own is taken.
 */
#include "agents/collectors.h"

#include "base/error.h"

enum { FIELDS = 16 };

static const char *const names[FIELDS] = {
    "node_network_receive_bytes_total",      "node_network_receive_packets_total",
    "node_network_receive_errs_total",       "node_network_receive_drop_total",
    "node_network_receive_fifo_total",       "node_network_receive_frame_total",
    "node_network_receive_compressed_total", "node_network_receive_multicast_total",
    "node_network_transmit_bytes_total",     "node_network_transmit_packets_total",
    "node_network_transmit_errs_total",      "node_network_transmit_drop_total",
    "node_network_transmit_fifo_total",      "node_network_transmit_colls_total",
    "node_network_transmit_carrier_total",   "node_network_transmit_compressed_total",
};

bool parse_netdev(struct scrape *s, struct slice text, struct error *err)
{
    struct slice line, device;
    size_t headers = 0;

    for (size_t i = 0; i < FIELDS; i++)
        scrape_family(s, names[i], "counter", "A column of /proc/net/dev.");
    while (slice_split(&text, '\n', &line)) {
        size_t colon = slice_find_byte(line, ':', 0);
        if (slice_find_byte(line, '|', 0) != SLICE_NOT_FOUND) {
            headers++;
            continue;
        }
        if (line.size == 0)
            continue;
        if (colon == SLICE_NOT_FOUND || headers != 2)
            return error_set(err, ERR_INVALID, "net/dev: malformed line");
        device = slice_trim(slice_sub(line, 0, colon));
        line = slice_skip(line, colon + 1);
        double values[FIELDS];
        for (size_t i = 0; i < FIELDS; i++) {
            if (!next_number(&line, &values[i]))
                return error_set(err, ERR_INVALID, "net/dev: malformed line of %.*s",
                                 SLICE_ARG(device));
        }
        struct label label = {SLICE("device"), device};
        for (size_t i = 0; i < FIELDS; i++)
            scrape_value(s, names[i], &label, 1, values[i]);
    }
    return headers == 2 || error_set(err, ERR_INVALID, "net/dev: no header");
}

bool collect_netdev(struct scrape *s, struct error *err)
{
    struct slice text;
    if (!scrape_load(s, s->procfs, "1/net/dev", &text, err)) {
        error_clear(err);
        if (!scrape_load(s, s->procfs, "net/dev", &text, err))
            return false;
    }
    return parse_netdev(s, text, err);
}
