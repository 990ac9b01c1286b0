#!/usr/bin/env python3
"""Logs: ingest, disk, restart and queries, beside what the peers took for the same.

    tests/bench/logs.py [--scale N] [--build DIR] [--runs N] [--keep] [--flags "..."] [--json FILE]

--scale 1 is the whole measurement: 10,000,000 lines, 2.1 GB of text, 100 streams over 6 h, pushed as
Loki's protobuf in requests of 1 MiB of lines over 2 connections.  The default, 0.05, takes half a
minute; only figures per GB or per line compare then.  Queries are those of the peers' columns
(Loki 3 and VictoriaLogs 1.26 on 2 cores, 2026-11-23), medians over --runs after one warm-up, page cache warm.
Everything lies under --dir (default /tmp/etinde-logs) and is removed in the end.
"""
import argparse
import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ingest import MemoryWatch, cpu_s, disk_bytes, free_port  # noqa: E402

HOURS = 6
NEEDLE = "needle-7f3a9c"
ALL = '{cluster="eu-1"}'
POD = '{pod="payments-00000"}'
PATTERN = '<ip> - - [<_>] "<method> <path>?<_> HTTP/1.1" <status> <size> <_>'


def whole(seconds, filters):
    return f"sum(count_over_time({ALL}{filters}[{seconds + 1}s]))"


def queries(hours):
    span = hours * 3600
    frequent = '"(?i)CONNECTION pool exhausted"'
    rare = '"path=/api/v1/payments/[a-z]+ status=50[03] duration=[0-9]{4}"'
    hour = {"start": -3600, "step": 60}
    return [
        # name, aim in ms, Loki, VictoriaLogs, path, parameters
        ("substring, 12 hits", 20, 5683, 1315, "query_range", {"query": f'{ALL} |= "{NEEDLE}"', "limit": 1000}),
        ("substring, absent", 10, 5435, 9.1, "query_range",
         {"query": f'{ALL} |= "zq-never-there-91"', "limit": 1000}),
        ("trace id, absent", None, None, None, "query_range",
         {"query": f'{ALL} |= "0123456789abcdef0123456789abcdef"', "limit": 1000}),
        ("regex, rare literal", 25, 5766, 1300, "query_range",
         {"query": f'{ALL} |~ "needle-[0-9a-f]{{6}}-[0-9]+"', "limit": 1000}),
        ("regex, common literal, counted", None, 5398, 1355, "query", {"query": whole(span, f" |~ {rare}")}),
        ("(?i) rare word", 20, 6647, 15724, "query_range",
         {"query": f'{ALL} |~ "(?i)NEEDLE-7F3A9C"', "limit": 1000}),
        ("(?i) frequent words, counted", 700, 6995, 15347, "query", {"query": whole(span, f" |~ {frequent}")}),
        ("scan without skipping", None, 5683, 1315, "query", {"query": whole(span, ' |= "7f3a9c9"')}),
        ("count of all lines", 2, 7905, 1.5, "query", {"query": whole(span, "")}),
        ("by level, logfmt, 1 h", 200, 2800, 778, "query_range",
         {"query": f"sum by (level)(count_over_time({ALL} | logfmt [1m]))", **hour}),
        ("by level, json, 1 h", 250, 1771, 761, "query_range",
         {"query": f'sum by (level)(count_over_time({ALL} | json | __error__="" [1m]))', **hour}),
        ("topk of paths, pattern, 1 h", 150, 1810, 342, "query_range",
         {"query": f'topk(10, sum by (path)(count_over_time({ALL} |= "HTTP/1.1" | pattern `{PATTERN}` [5m])))',
          "start": -3600, "step": 300}),
        ("rate of a stream, 6 h", 2, 105, 2.4, "query_range", {"query": f"rate({POD}[5m])", "step": 60}),
        ("last 1,000 lines of a stream", 5, 15.8, 23.5, "query_range", {"query": POD, "limit": 1000}),
        ("labels", 0.5, 1.6, 1.8, "labels", {}),
        ("values of pod", 0.5, 2.2, 2.0, "label/pod/values", {}),
        ("series", 0.5, 19.9, 1.9, "series", {"match[]": ALL}),
    ]


class Server:
    def __init__(self, options, data):
        self.port = free_port()
        command = [f"{options.build}/bin/etinde", "--data", data, "--listen", f"127.0.0.1:{self.port}",
                   "--log-level", "warn"]
        started = time.monotonic()
        self.process = subprocess.Popen(command + shlex.split(options.flags))
        while True:
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended with {self.process.returncode}")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5).read()
                break
            except OSError:
                time.sleep(0.01)
        self.ready_s = time.monotonic() - started
        self.watch = MemoryWatch(self.process.pid)
        self.watch.start()

    def cpu(self):
        return cpu_s(self.process.pid)

    def get(self, path, parameters):
        url = f"http://127.0.0.1:{self.port}/loki/api/v1/{path}?" + urllib.parse.urlencode(parameters)
        started = time.perf_counter()
        with urllib.request.urlopen(url, timeout=600) as answer:
            body = answer.read()
        return (time.perf_counter() - started) * 1e3, body

    def end(self, how=signal.SIGTERM):
        self.watch.stop = True
        self.process.send_signal(how)
        self.process.wait()


def load(options, server, lines, streams, end, **more):
    command = [f"{options.build}/bin/bench-log-load", "--port", str(server.port), "--lines", str(lines),
               "--streams", str(streams), "--end", str(end), "--hours", str(HOURS)]
    for name, value in more.items():
        command += [f"--{name}", str(value)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def answer_count(path, body):
    """Something to compare: entries of streams, or the sum over a matrix or vector."""
    data = json.loads(body)["data"]
    if path not in ("query", "query_range"):
        return len(data)
    if data["resultType"] == "streams":
        return sum(len(stream["values"]) for stream in data["result"])
    total = 0.0
    for series in data["result"]:
        total += sum(float(v) for _, v in series.get("values", [series.get("value")]))
    return round(total, 3)


def ask(options, server, end, results):
    for name, aim, loki, victoria, path, parameters in queries(HOURS):
        sent = dict(parameters)
        if path == "query":
            sent["time"] = end
        else:
            sent["start"] = end + sent["start"] if "start" in sent else end - HOURS * 3600
            sent["end"] = end
        server.get(path, sent)
        before, times = server.cpu(), []
        for _ in range(options.runs):
            ms, body = server.get(path, sent)
            times.append(ms)
        cpu = (server.cpu() - before) * 1e3 / options.runs
        results["queries"].append({"name": name, "ms": statistics.median(times), "cpu_ms": cpu, "aim": aim,
                                   "loki": loki, "victoria": victoria, "answer": answer_count(path, body)})
        print(f"  {name}: {statistics.median(times):.2f} ms", file=sys.stderr)


def many_streams(options, results):
    """10,000 streams of a line a second each."""
    data = os.path.join(options.dir, "streams")
    server = Server(options, data)
    seconds = 30 if options.scale >= 1 else 5
    load(options, server, 10000 * seconds, 10000, int(time.time()), rate=10000)
    results["streams_anonymous_mib"] = server.watch.anonymous
    server.end()
    shutil.rmtree(data)


def measure(options):
    results = {"queries": []}
    data = os.path.join(options.dir, "data")
    end = int(time.time()) // 86400 * 86400 - 3600 if options.yesterday else int(time.time())
    server = Server(options, data)
    wanted = int(10_000_000 * options.scale)
    sent = load(options, server, wanted, 100, end)
    if sent["failed"]:
        raise SystemExit("requests failed")
    time.sleep(2)
    gb = sent["raw_bytes"] / 1e9
    results.update(load=sent, cpu_s_per_gb=server.cpu() / gb, anonymous_mib=server.watch.anonymous)
    server.end(signal.SIGKILL)
    server = Server(options, data)
    results["ready_after_kill_s"] = server.ready_s
    _, body = server.get("query", {"query": whole(HOURS * 3600, ""), "time": end})
    results["lines_lost"] = sent["lines"] - answer_count("query", body)
    server.end()
    results["disk_per_raw"] = disk_bytes(data) / sent["raw_bytes"]
    server = Server(options, data)
    results["ready_after_stop_s"] = server.ready_s
    ask(options, server, end, results)
    results["query_anonymous_mib"] = server.watch.anonymous
    server.end()
    if options.close:
        close = subprocess.run([f"{options.build}/bin/bench-day-close", data], stdout=subprocess.PIPE, text=True,
                               check=True)
        print(close.stdout, file=sys.stderr)
        results["disk_per_raw_closed"] = disk_bytes(data) / sent["raw_bytes"]
        server = Server(options, data)
        closed = {"queries": []}
        ask(options, server, end, closed)
        results["closed"] = closed["queries"]
        server.end()
    shutil.rmtree(data)
    if not options.skip_streams:
        many_streams(options, results)
    return results


def table(results):
    def cell(value, form="{:.1f}"):
        return "-" if value is None else form.format(value)

    print(f"raw {results['load']['raw_bytes'] / 1e9:.3f} GB, {results['load']['lines']} lines, "
          f"p50 {results['load']['p50_ms']} p99 {results['load']['p99_ms']} ms, wall {results['load']['wall_s']} s\n")
    print("| what | aim | etinde | Loki 3 | VictoriaLogs |\n|---|---|---|---|---|")
    print(f"| ingest, CPU s per GB raw | 5 | {results['cpu_s_per_gb']:.2f} | 40.5 | 39.0 |")
    print(f"| peak anonymous memory, MiB | 128 | {results['anonymous_mib']:.0f} | 1434 RSS | 315 RSS |")
    print(f"| 10k streams at 1 line/s, MiB | 96 | {cell(results.get('streams_anonymous_mib'))} | - | - |")
    print(f"| disk / raw at ingest | 0.20 | {results['disk_per_raw']:.4f} | 0.244 (+1.14 WAL) | 0.227 |")
    print(f"| disk / raw after day close | 0.17 | {cell(results.get('disk_per_raw_closed'), '{:.4f}')} | - | - |")
    print(f"| ready after kill -9, s (lines lost) | 1 | {results['ready_after_kill_s']:.2f} "
          f"({results['lines_lost']:.0f}) | 49 | 0.03 (500k lost) |")
    closed = {q["name"]: q for q in results.get("closed", [])}
    print("\n| query, ms | aim | etinde | CPU | after day close | Loki 3 | VictoriaLogs | answer |\n"
          "|---|---|---|---|---|---|---|---|")
    for q in results["queries"]:
        after = closed.get(q["name"])
        print(f"| {q['name']} | {cell(q['aim'], '{:g}')} | {q['ms']:.2f} | {q['cpu_ms']:.0f} | "
              f"{cell(after and after['ms'], '{:.2f}')} | {cell(q['loki'], '{:g}')} | {cell(q['victoria'], '{:g}')} | "
              f"{q['answer']:g}{'' if not after or after['answer'] == q['answer'] else ' != %g' % after['answer']} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.05)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--dir", default="/tmp/etinde-logs")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--flags", default="", help="more flags of the server")
    parser.add_argument("--yesterday", action="store_true", help="time stamps of one past day")
    parser.add_argument("--close", action="store_true", help="measure after the day's close, too (with --yesterday)")
    parser.add_argument("--skip-streams", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    shutil.rmtree(options.dir, ignore_errors=True)
    os.makedirs(options.dir)
    try:
        results = measure(options)
    finally:
        shutil.rmtree(options.dir, ignore_errors=True)
    table(results)
    if options.json:
        with open(options.json, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
