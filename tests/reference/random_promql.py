#!/usr/bin/env python3
"""random_promql.py [COUNT [SEED]] - random PromQL against the reference, and against Prometheus.

COUNT expressions (1,000 by default) run on random series as instant or range queries, and the
answers must be those of promql.py: the same series and steps, values equal but for rounding
(RELATIVE), refusals refused.  Where Debian's Prometheus is installed, a third as many of the
language it shares with 3.x go to it as well.
"""
import math
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import etinde as e2e
import generate
import promql

RELATIVE = 1e-9  # sums of sums in another order
SAMPLES = 100
report = e2e.Report()


def answer_of(response):
    """{labels: [(ms, value)]}, or None for a refusal, or a text that says what is wrong."""
    if response.status in (400, 422):
        return None
    if response.status != 200:
        return f"status {response.status}: {response.text[:200]}"
    data = response.json["data"]
    if data["resultType"] == "scalar":
        return {(): [(round(data["result"][0] * 1000), float(data["result"][1]))]}
    result = {}
    for series in data["result"]:
        points = series["values"] if "values" in series else [series["value"]]
        labels = promql.pairs(series["metric"])
        if labels in result:
            return f"two series {labels}"
        result[labels] = [(round(t * 1000), float(v)) for t, v in points]
    return result


def reference(data, node, start, end, step):
    try:
        return data.query(node, start, end, step)
    except promql.Refused:
        return None


def same_value(a, b):
    if math.isnan(a) or math.isnan(b) or math.isinf(a) or math.isinf(b):
        return a == b or (math.isnan(a) and math.isnan(b))
    return abs(a - b) <= RELATIVE * max(abs(a), abs(b), 1e-3)


def difference(got, wanted, by_value):
    if got is None or wanted is None or isinstance(got, str):
        return None if got is wanted else f"got {str(got)[:300]}, wanted {str(wanted)[:300]}"
    if by_value:  # which of equal values is kept may differ
        a, b = (sorted(((t, math.isnan(v), v) for s in r.values() for t, v in s),
                       key=lambda p: (p[0], p[1], 0 if p[1] else p[2])) for r in (got, wanted))
        equal = len(a) == len(b) and all(p[0] == q[0] and same_value(p[2], q[2])
                                         for p, q in zip(a, b))
        return None if equal else f"got {a}, wanted {b}"
    if got.keys() != wanted.keys():
        return f"more: {sorted(got.keys() - wanted.keys())[:3]}, " \
               f"missing: {sorted(wanted.keys() - got.keys())[:3]}"
    for labels, points in wanted.items():
        if [t for t, _ in points] != [t for t, _ in got[labels]]:
            return f"steps of {labels}: {got[labels][:5]}, not {points[:5]}"
        for (t, a), (_, b) in zip(got[labels], points):
            if not same_value(a, b):
                return f"{labels} at {t}: {a!r}, not {b!r}"
    return None


def ask(port, node, start, end, step):
    if start == end:
        return e2e.request(port, "POST", "/api/v1/query", {"query": str(node), "time": end / 1000})
    return e2e.request(port, "POST", "/api/v1/query_range",
                       {"query": str(node), "start": start / 1000, "end": end / 1000,
                        "step": step / 1000})


def check(name, ports, data, generator, count):
    refused = empty = 0
    for i in range(count):
        node = generator.expression()
        end = generator.start + generator.seconds(300, SAMPLES * generate.INTERVAL // 1000)
        start, step = (end, 1000) if generator.r.random() < 0.5 else \
            (end - generator.seconds(10, 300), generator.seconds(5, 60))
        by_value = isinstance(node, promql.Aggregation) and node.op in ("topk", "bottomk")
        wanted = reference(data, node, start, end, step)
        refused, empty = refused + (wanted is None), empty + (wanted == {})
        for who, port in ports.items():
            wrong = difference(answer_of(ask(port, node, start, end, step)), wanted, by_value)
            report.check(f"{name} {i}: {who}", wrong is None,
                         f"{node}\n    at {start} to {end} step {step}: {wrong}")
    print(f"{name}: {count} expressions, {refused} refused, {empty} with empty answers", flush=True)


def load(port, data):
    series = [(dict(labels), samples) for labels, samples in data.series]
    answer = e2e.request(port, "POST", "/api/v1/write", None,
                         e2e.snappy(e2e.write_request(series)),
                         {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                          "X-Prometheus-Remote-Write-Version": "0.1.0"})
    report.check("series are taken", answer.status in (200, 204), answer)


def with_prometheus(folder, seed, count):
    """Its own data set: no window's edge on a sample, nothing that 2.42 lacks."""
    import shutil
    if shutil.which("prometheus") is None:
        print("SKIPPED: no prometheus to compare with", flush=True)
        report.skipped += 1
        return
    start = (int(time.time()) - SAMPLES * generate.INTERVAL // 1000 - 60) // 60 * 60 * 1000
    data, generator = generate.make(seed, start, SAMPLES, old=True)
    port = e2e.free_port()
    config = os.path.join(folder, "prometheus.yml")
    with open(config, "w") as f:
        f.write("global: {}\n")
    peer = e2e.Process(["prometheus", f"--config.file={config}", "--log.level=error",
                        f"--storage.tsdb.path={folder}/prometheus",
                        f"--web.listen-address=127.0.0.1:{port}",
                        "--web.enable-remote-write-receiver",
                        "--enable-feature=promql-at-modifier,promql-negative-offset"],
                       os.path.join(folder, "prometheus.log"))

    def ready():
        try:
            return e2e.request(port, "GET", "/-/ready").status == 200
        except OSError:
            return False
    try:
        report.check("prometheus starts", e2e.wait_until(ready, 30), peer.tail())
        server = e2e.Etinde(os.path.join(folder, "two")).start()
        load(port, data)
        load(server.port, data)
        check("with Prometheus", {"Prometheus": port, "Etinde": server.port}, data, generator,
              count)
        server.stop()
    finally:
        peer.stop()


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "two"))
        start = (int(time.time()) - 3600) // 3600 * 3600 * 1000
        for part in range((count + 999) // 1000):  # new series for each thousand
            where = os.path.join(folder, f"one{part}")
            os.mkdir(where)
            data, generator = generate.make(seed + part, start, SAMPLES)
            server = e2e.Etinde(where, "--enable-feature", "promql-experimental-functions").start()
            load(server.port, data)
            check(f"seed {seed + part}", {"Etinde": server.port}, data, generator,
                  min(1000, count - 1000 * part))
            report.equal("stops", server.stop(), 0)
        with_prometheus(folder, seed, count // 3)
    report.finish()


main()
