/*
 * store_options.h - what a store is opened with; a part of store.h, which includes it.
 */
#ifndef STORAGE_STORE_OPTIONS_H
#define STORAGE_STORE_OPTIONS_H

#include "base/labels.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock;

enum store_kind { STORE_METRIC, STORE_LOG };
enum { STORE_KINDS = 2, TENANT_NAME_MAX = 64, STORE_TENANTS_MAX = 32 /* in one read */ };

enum store_ack {
    STORE_ACK_DURABLE, /* done() waits for fdatasync: survives a power loss */
    STORE_ACK_PROCESS  /* done() waits for write(): survives kill -9 only */
};

struct matcher;

/* How long series that satisfy the matchers are kept (retention.h). */
struct store_rule {
    const struct matcher *matchers; /* must outlive the store, as all of this */
    size_t matcher_count;
    unsigned kinds; /* bits 1 << enum store_kind; 0: both */
    int64_t priority;
    int64_t period_ns; /* -1: for ever */
};

/* What one tenant has of its own; 0: as everybody. */
struct store_tenant_options {
    struct slice tenant;
    int64_t retention_ns;
    int64_t out_of_order_ns[STORE_KINDS];
    const struct store_rule *rules; /* instead of everybody's when there are any */
    size_t rule_count;
};

/* Zero in a field means its default, given behind it; -1 in a *_ns window means "no limit". */
struct store_options {
    const char *directory;
    enum store_ack ack;
    const struct clock *clock; /* NULL: the real one */
    bool allow_remote_fs;      /* do not refuse NFS, SMB, 9p */
    bool repair;               /* cut a damaged log, set damaged days aside */
    int64_t retention_ns;      /* 15 days; -1 keeps everything */
    uint64_t retention_size;   /* disk bytes of all days: over it the oldest go; 0: any */
    int64_t out_of_order_ns[STORE_KINDS]; /* 30 min for metrics, 1 h for logs; -1 no limit */
    int64_t future_ns;                    /* 10 min; -1 no limit */
    int64_t past_ns[STORE_KINDS];         /* how old an entry may be: metrics -1, logs 7 days */
    size_t wal_segment_size;              /* 64 MiB */
    size_t wal_size_max;      /* 1 GiB: above it the oldest segment's chunks are sealed */
    bool wal_plain;           /* text in the log as it is, not compressed */
    int64_t seal_interval_ns; /* how often the sealer looks: 15 s; -1 only store_seal() */
    size_t head_memory_max;   /* 512 MiB: above it writes get ERR_UNAVAILABLE */
    size_t log_text_max;      /* 32 MiB: log text not sealed; above it batches of logs wait */
    int64_t close_seal_ns;  /* 3 s: closing seals small heads for so long, the log keeps the rest */
    int64_t series_idle_ns; /* 35 min: then a series is sealed and leaves memory */
    int64_t exemplars_max;  /* of a tenant: 10,000; -1 keeps none */
    uint32_t tenants_max;   /* 1,000: creation by writing is limited */
    uint32_t series_max;    /* active series per tenant and kind: 5 million */
    bool no_skip_index;     /* write no filters over log lines, and use none */
    struct label_limits label_limits[STORE_KINDS];
    const struct store_rule *rules; /* retention of series, highest priority first or not */
    size_t rule_count;
    const struct store_tenant_options *tenants;
    size_t tenant_count;
};

#endif
