#!/usr/bin/env python3
"""Query times against the peers: the same data, the same queries, over HTTP.

    tests/bench/queries.py [--short] [--only NAME,...] [--closed] [--build DIR] [--json FILE]

Loads 50,000 series of an hour and 5,000 series of a day into etinde, Debian's
prometheus and victoria-metrics, one server after the other, and asks each query
first once (first touch) and then seven times: median wall time with the body
received, and CPU time of the server's process per run.  Result caches are off (`nocache=1`).  With --closed the data is yesterday's, and
etinde's days are closed before it is asked; the peers are left out.
--short loads a tenth of the series and of the day.
"""
import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ingest import command, free_port, get, stop, wait_ready  # noqa: E402

X, G = "node_cpu_seconds_total", "node_filesystem_avail_bytes"
ONE = X + '{instance="host-0003.example.internal:9100",cpu="1",mode="user"}'
PEERS = ["etinde", "prometheus", "victoria-metrics"]
RUNS = 7
HOUR, DAY = 3600, 86400
# data set, name, aim in ms on open data, kind, query, seconds back, step
QUERIES = [
    ("wide", "instant sum(rate(X[5m]))", 5, "query", f"sum(rate({X}[5m]))", 0, 0),
    ("wide", "sum by (mode)(rate(X[5m])), 1 h step 15", 15, "query_range",
     f"sum by (mode)(rate({X}[5m]))", HOUR, 15),
    ("long", "sum by (instance)(rate(X[5m])), 6 h step 60", 8, "query_range",
     f"sum by (instance)(rate({X}[5m]))", 6 * HOUR, 60),
    ("wide", "topk(10, avg_over_time(G[1h]))", 2, "query", f"topk(10, avg_over_time({G}[1h]))", 0,
     0),
    ("long", "quantile_over_time(0.99, G[1h]), 6 h step 60", None, "query_range",
     f"quantile_over_time(0.99, {G}[1h])", 6 * HOUR, 60),
    ("long", "one series, 24 h step 15", 0.5, "query_range", ONE, DAY, 15),
    ("wide", "count by two regexes", 10, "query",
     'count({__name__=~"node_.*",instance=~"host-00[0-9]+.*"})', 0, 0),
    ("wide", "/api/v1/series of X", 5, "series", X, HOUR, 0),
]


def cpu_ns(pid):
    """CPU time of all threads that live; those of a server do not end."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total


def path_of(kind, query, end, back, step):
    p = {"nocache": "1"}
    if kind == "query":
        p.update(query=query, time=end)
    elif kind == "query_range":
        p.update(query=query, start=end - back, end=end, step=step)
    else:
        p.update({"match[]": query, "start": end - back, "end": end})
    return f"/api/v1/{kind}?" + urllib.parse.urlencode(p)


def ask(connection, path):
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    took = (time.perf_counter() - began) * 1e3
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:300]}")
    return took, body


def start(name, build, data):
    port = free_port()
    line, ready = command(name, build, data, port)
    if name == "prometheus":
        line.append("--storage.tsdb.retention.time=30d")
    log = open(os.path.join(os.path.dirname(data), f"{name}.log"), "ab")
    process = subprocess.Popen(line, stdout=log, stderr=log)
    wait_ready(process, port, ready)
    return process, port


def measure(name, data_set, shape, options, root):
    series, samples, start_s = shape
    data = tempfile.mkdtemp(prefix=f"{name}-{data_set}-", dir=root)
    end = start_s + samples * 15 - 15
    process, port = start(name, options.build, data)
    results = []
    try:
        sent = subprocess.run([f"{options.build}/bin/bench-ingest-load", "--port", str(port),
                               "--series", str(series), "--samples", str(samples), "--node", "1",
                               "--start-ms", str(start_s * 1000)],
                              stdout=subprocess.PIPE, text=True)
        if sent.returncode != 0:
            raise RuntimeError(f"{name}: the load failed: {sent.stdout}")
        if name == "victoria-metrics":
            get(port, "/internal/force_flush")
        if options.closed:
            stop(process)
            subprocess.run([f"{options.build}/bin/bench-day-close", data], check=True,
                           stdout=subprocess.DEVNULL)
            process, port = start(name, options.build, data)
        time.sleep(2)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for of, title, aim, kind, query, back, step in QUERIES:
            if of != data_set or (options.query and options.query not in title):
                continue
            path = path_of(kind, query, end, back, step)
            first, body = ask(connection, path)
            ask(connection, path)
            cpu = cpu_ns(process.pid)
            times = [ask(connection, path)[0] for _ in range(RUNS)]
            cpu = (cpu_ns(process.pid) - cpu) / RUNS / 1e6
            results.append({"server": name, "query": title, "aim": aim, "first": first,
                            "wall": statistics.median(times), "least": min(times), "cpu": cpu,
                            "bytes": len(body)})
            print(f"{name}: {title}: {results[-1]['wall']:.2f} ms, CPU {cpu:.2f}",
                  file=sys.stderr)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(data, ignore_errors=True)
    return results


def table(results, peers, factor):
    print("\nwall ms (least; CPU ms a run; first touch)\n")
    print("| query | aim | " + " | ".join(peers) + " |")
    print("|---|---|" + "---|" * len(peers))
    for _, title, aim, *_ in QUERIES:
        cells = []
        for peer in peers:
            r = [r for r in results if r["server"] == peer and r["query"] == title]
            cells.append(f"{r[0]['wall']:.1f} ({r[0]['least']:.1f}; {r[0]['cpu']:.1f}; "
                         f"{r[0]['first']:.1f})" if r else "-")
        print(f"| {title} | {aim * factor if aim else '-'} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a tenth of the data")
    parser.add_argument("--closed", action="store_true", help="closed days, etinde alone")
    parser.add_argument("--only", default="", help="servers, comma-separated")
    parser.add_argument("--query", default="", help="only queries whose name has this text")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--root", default=None, help="folder for the data directories")
    parser.add_argument("--json", help="append all figures to this file, a line each")
    options = parser.parse_args()
    peers = ["etinde"] if options.closed else options.only.split(",") if options.only else PEERS
    tenth = 10 if options.short else 1
    now = int(time.time()) // 60 * 60
    today = now // DAY * DAY
    shapes = {"wide": (50000 // tenth, 240, today - DAY // 2 if options.closed
                       else now - 120 - HOUR),
              "long": (5000 // tenth, 5760, today - DAY if options.closed else now - 120 - DAY)}
    root = tempfile.mkdtemp(prefix="etinde-bench-", dir=options.root)
    results = []
    try:
        for data_set, shape in shapes.items():
            if not any(q[0] == data_set and options.query in q[1] for q in QUERIES):
                continue
            for peer in peers:
                results += measure(peer, data_set, shape, options, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    table(results, peers, 1.5 if options.closed else 1)
    if options.json:
        with open(options.json, "a") as f:
            f.writelines(json.dumps(r) + "\n" for r in results)


if __name__ == "__main__":
    main()
