#!/usr/bin/env python3
"""A real Prometheus remote-writes to Etinde; then both answer the same queries.

Debian's prometheus scrapes Debian's prometheus-node-exporter and itself for
about a minute; half way Etinde is killed with SIGKILL and started again, and
Prometheus sends again what was not acknowledged.  Its windows are closed on the left (2.42), ours are open as in
3.x: the evaluation times are chosen so that no sample lies on any window's
left edge, and then both must agree.
"""
import json
import math
import os
import signal
import time
import urllib.parse

import etinde as e2e

report = e2e.Report()
SCRAPE_SECONDS = int(os.environ.get("E2E_SCRAPE_SECONDS", "60"))

QUERIES = [
    "up",
    "node_load1",
    "sum(up)",
    "count by (job) (up)",
    "count({job=\"node\"})",
    "rate(node_cpu_seconds_total[20s])",
    "sum by (mode) (rate(node_cpu_seconds_total[20s]))",
    "sum without (cpu) (increase(node_cpu_seconds_total{mode!~\"idle|iowait\"}[30s]))",
    "irate(node_cpu_seconds_total{mode=\"idle\"}[20s])",
    "delta(node_memory_MemFree_bytes[30s])",
    "avg_over_time(node_load1[20s])",
    "max_over_time(node_memory_MemFree_bytes[15s]) - min_over_time(node_memory_MemFree_bytes[15s])",
    "count_over_time(up[25s])",
    "stddev_over_time(node_memory_MemFree_bytes[20s])",
    "quantile_over_time(0.75, node_memory_MemFree_bytes[20s])",
    "last_over_time(node_time_seconds[10s])",
    "node_memory_MemFree_bytes / node_memory_MemTotal_bytes * 100",
    "node_filesystem_avail_bytes / on (instance, device, mountpoint) node_filesystem_size_bytes > 0",
    "node_cpu_seconds_total * on (instance) group_left (job) up",
    "topk(3, sum by (mode) (node_cpu_seconds_total))",
    "quantile(0.5, node_cpu_seconds_total)",
    "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[30s])))",
    "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
    "node_load1 offset 10s",
    "sum(node_network_receive_bytes_total{device=~\"lo|e.*\"}) by (device)",
    "up == bool 1 and on (job) node_load1 >= 0 or vector(3)",
    "absent(no_such_metric)",
    "round(clamp_max(node_memory_MemTotal_bytes / 1024, 1e6), 10)",
    "max(node_time_seconds) - scalar(min(node_boot_time_seconds))",
    "stddev by (job) (scrape_duration_seconds) + avg by (job) (scrape_samples_scraped) ^ 0.5",
    "count_values(\"v\", up)",
    "-sum(prometheus_tsdb_head_samples_appended_total) % 7",
]

CONFIG = """
global: {{scrape_interval: 2s, scrape_timeout: 2s, external_labels: {{origin: e2e}}}}
scrape_configs:
  - {{job_name: node, static_configs: [{{targets: ["127.0.0.1:{node}"]}}]}}
  - {{job_name: prometheus, static_configs: [{{targets: ["127.0.0.1:{prometheus}"]}}]}}
remote_write:
  - url: http://127.0.0.1:{etinde}/api/v1/write
    queue_config: {{batch_send_deadline: 1s}}
"""


def start_peers(path, etinde):
    ports = {"node": e2e.free_port(), "prometheus": e2e.free_port(), "etinde": etinde.port}
    config = os.path.join(path, "prometheus.yml")
    with open(config, "w") as f:
        f.write(CONFIG.format(**ports))
    node = e2e.Process(["prometheus-node-exporter",
                        f"--web.listen-address=127.0.0.1:{ports['node']}"],
                       os.path.join(path, "node.log"))
    prometheus = e2e.Process(
        ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={path}/tsdb",
         f"--web.listen-address=127.0.0.1:{ports['prometheus']}"],
        os.path.join(path, "prometheus.log"))
    return ports["prometheus"], [prometheus, node]


def instant(port, query, at):
    return e2e.request(port, "GET", "/api/v1/query", {"query": query, "time": f"{at:.3f}"})


def ranged(port, query, start, end, step):
    return e2e.request(port, "GET", "/api/v1/query_range",
                       {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}",
                        "step": step})


def newest(port, job):
    answer = instant(port, f'timestamp(up{{job="{job}"}})', time.time())
    result = answer.json["data"]["result"] if answer.status == 200 else []
    return float(result[0]["value"][1]) if result else 0.0


def quiet_offset(port, begin, end):
    """Milliseconds within a second at which no sample of any scrape lies."""
    answer = instant(port, f"up[{math.ceil(end - begin)}s]", end)
    taken = {round(t * 1000) % 1000 for s in answer.json["data"]["result"] for t, _ in s["values"]}
    return max(range(1000), key=lambda ms: min((abs(ms - t) for t in taken), default=1000)) / 1000


def normal(data):
    """The answer as {labels: points}, without the label that remote-write adds."""
    kind, result = data["resultType"], data["result"]
    if kind in ("scalar", "string"):
        return kind, {"": [result]}
    out = {}
    for one in result:
        labels = {k: v for k, v in one["metric"].items() if k != "origin"}
        out[json.dumps(labels, sort_keys=True)] = one.get("values") or [one["value"]]
    return kind, out


def same_value(a, b):
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    return x == y or abs(x - y) <= 1e-9 * max(abs(x), abs(y))


def difference(theirs, ours):
    """None when the answers agree, else what differs."""
    (kind_a, a), (kind_b, b) = normal(theirs), normal(ours)
    if kind_a != kind_b:
        return f"type {kind_a} and {kind_b}"
    if set(a) != set(b):
        return f"{len(a)} and {len(b)} series; only theirs {sorted(set(a) - set(b))[:2]}, " \
               f"only ours {sorted(set(b) - set(a))[:2]}"
    for labels in a:
        if [p[0] for p in a[labels]] != [p[0] for p in b[labels]]:
            return f"{labels}: times {a[labels][:2]} ({len(a[labels])}) and " \
                   f"{b[labels][:2]} ({len(b[labels])})"
        for p, q in zip(a[labels], b[labels]):
            if not same_value(p[1], q[1]):
                return f"{labels} at {p[0]}: {p[1]} and {q[1]}"
    return None


def compare(name, theirs, ours):
    if not report.check(f"{name}: answered by both", theirs.status == ours.status == 200,
                        f"{theirs!r} and {ours!r}"):
        return
    why = difference(theirs.json["data"], ours.json["data"])
    report.check(f"{name}: the same answer", why is None, why)


def compare_all(prometheus, etinde, began, at):
    for query in QUERIES:
        compare(f"instant {query}", instant(prometheus, query, at), instant(etinde, query, at))
        start = max(began + 31, at - 40)
        compare(f"range {query}", ranged(prometheus, query, start, at, 5),
                ranged(etinde, query, start, at, 5))
    span = {"start": began - 60, "end": at + 60}
    for path in ("/api/v1/labels", "/api/v1/label/job/values", "/api/v1/label/__name__/values"):
        theirs = e2e.request(prometheus, "GET", path, span).json["data"]
        ours = e2e.request(etinde, "GET", path, span).json["data"]
        report.equal(path, [v for v in ours if v != "origin"], theirs)
    match = [("match[]", '{job="node",__name__=~"node_cpu.*|up"}'), *span.items()]
    theirs, ours = ({json.dumps({k: v for k, v in s.items() if k != "origin"}, sort_keys=True)
                     for s in e2e.request(port, "GET", "/api/v1/series", match).json["data"]}
                    for port in (prometheus, etinde))
    report.equal("/api/v1/series", sorted(ours ^ theirs)[:4], [])


def compare_stale(prometheus, etinde, node):
    """A target goes away: its series end with a marker, not after five minutes."""
    node.stop()
    began = time.time()
    time.sleep(6)
    at = math.floor(time.time()) - 1 + quiet_offset(prometheus, began - 10, time.time())
    e2e.wait_until(lambda: newest(etinde, "node") > at - 1, 15)
    for query in ("up", "node_load1", "count_over_time(node_load1[1m]) > bool 5",
                  "count(node_cpu_seconds_total) or vector(0)"):
        compare(f"stale {query}", instant(prometheus, query, at), instant(etinde, query, at))
    report.equal("stale series are gone",
                 instant(etinde, "node_load1", at).json["data"]["result"], [])


def run(etinde, path):
    prometheus, peers = start_peers(path, etinde)
    try:
        alive = e2e.wait_until(lambda: newest(prometheus, "node") > 0
                               and newest(prometheus, "prometheus") > 0, 30) \
            if e2e.wait_until(lambda: open_port(prometheus), 20) else False
        if not report.check("Prometheus scrapes both targets", alive, peers[0].tail()):
            return
        began = time.time()
        time.sleep(SCRAPE_SECONDS / 2)
        etinde.stop(signal.SIGKILL)
        time.sleep(1)
        etinde.start()
        time.sleep(SCRAPE_SECONDS / 2)
        at = math.floor(time.time()) - 2 + quiet_offset(prometheus, began, time.time())
        arrived = e2e.wait_until(lambda: all(newest(etinde.port, job) > at
                                             for job in ("node", "prometheus")), 30)
        report.check("all samples have arrived", arrived,
                     f"{[newest(etinde.port, j) - at for j in ('node', 'prometheus')]}; "
                     + peers[0].tail(500))
        compare_all(prometheus, etinde.port, began, at)
        compare_stale(prometheus, etinde.port, peers[1])
        sent = instant(prometheus, "sum(prometheus_remote_storage_samples_failed_total)",
                       time.time()).json["data"]["result"]
        report.check("no sample failed", not sent or float(sent[0]["value"][1]) == 0, repr(sent))
    finally:
        for peer in peers:
            peer.stop()


def open_port(port):
    try:
        return e2e.request(port, "GET", "/-/ready").status == 200
    except OSError:
        return False


def main():
    e2e.need("prometheus", "prometheus-node-exporter")
    with e2e.server() as etinde:
        run(etinde, etinde.folder)
        report.equal("a clean end", etinde.stop(), 0)
    report.finish()


main()
