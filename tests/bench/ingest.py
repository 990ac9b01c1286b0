#!/usr/bin/env python3
"""Ingest against the peers: one load, one server after the other, one table.

    tests/bench/ingest.py [--short] [--only NAME,...] [--load NAME,...] [--build DIR] [--json FILE]
    tests/bench/ingest.py --restart [--only NAME,...] [--load NAME]

Servers: etinde (every answer waits for the disk), etinde-process (for the page
cache), Debian's prometheus and victoria-metrics, each with an empty data
directory, default settings and nothing else to do.  Measured are user + system
time of the server process per million samples (sealing and the clean stop
included), the peak of its memory (all, and anonymous), latency of requests, and
blocks on disk after a clean stop (VictoriaMetrics: after a forced merge).  The load
"new" is 500,000 series with six samples each; what a new series costs is its CPU
with the cost of steady samples (the 50k load of the same run, else what was measured
before) taken off.  Beside latencies stands the machine's own time for 16 KiB and an
fdatasync.  --restart measures, after a load of 12M samples, the time from a start to
ready after kill -9 and after SIGTERM.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

LOADS = {
    # name: series, samples a series
    "50k": (50000, 240),
    "5k": (5000, 5760),
    "short": (5000, 240),
    "short-wide": (50000, 24),
    "new": (500000, 6),
}
# CPU s per million samples of series that are known, when the run has no 50k load.
STEADY = {"etinde": 0.40, "etinde-process": 0.33, "prometheus": 7.95, "victoria-metrics": 1.77}
PEERS = ["etinde", "etinde-process", "prometheus", "victoria-metrics"]
IDLE_S = 5
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def command(name, build, data, port):
    """The server's command line, and the path that says it is ready."""
    listen = f"127.0.0.1:{port}"
    if name.startswith("etinde"):
        ack = "process" if name == "etinde-process" else "durable"
        return [f"{build}/bin/etinde", "--data", data, "--listen", listen, "--ack", ack], "/ready"
    if name == "prometheus":
        config = os.path.join(data, "prometheus.yml")
        with open(config, "w") as f:
            f.write("global: {}\n")
        return ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}/tsdb",
                "--web.enable-remote-write-receiver", f"--web.listen-address={listen}",
                "--log.level=error"], "/-/ready"
    return ["victoria-metrics", f"-storageDataPath={data}/vm", f"-httpListenAddr={listen}",
            "-retentionPeriod=100y", "-loggerLevel=ERROR"], "/health"


def get(port, path, timeout=60):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
        return answer.read()


def wait_ready(process, port, path, pause=0.05):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            get(port, path, 2)
            return
        except OSError:
            time.sleep(pause)
    raise RuntimeError("the server did not become ready in 60 s")


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory_mib(pid):
    """Resident, and the anonymous part of it."""
    values = {}
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            key, _, rest = line.partition(":")
            if key in ("VmHWM", "RssAnon"):
                values[key] = int(rest.split()[0]) / 1024
    return values.get("VmHWM", 0), values.get("RssAnon", 0)


class MemoryWatch(threading.Thread):
    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.anonymous, self.stop = pid, 0, 0, False

    def run(self):
        while not self.stop:
            try:
                peak, anonymous = memory_mib(self.pid)
            except OSError:
                return
            self.peak, self.anonymous = max(self.peak, peak), max(self.anonymous, anonymous)
            time.sleep(0.1)


def fdatasync_ms(root, rounds=300):
    """Median and 99th percentile of appending 16 KiB and syncing, with nobody else writing."""
    path, times = os.path.join(root, "sync"), []
    with open(path, "wb", buffering=0) as f:
        for _ in range(rounds):
            begin = time.monotonic()
            f.write(b"x" * 16384)
            os.fdatasync(f.fileno())
            times.append((time.monotonic() - begin) * 1000)
    os.unlink(path)
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def disk_bytes(path):
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                pass
    return total


def stop(process):
    """End it with SIGTERM; the user and system time of its whole life."""
    process.send_signal(signal.SIGTERM)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def measure(name, load, build, root):
    series, samples = LOADS[load]
    data = tempfile.mkdtemp(prefix=f"bench-{name}-", dir=root)
    port = free_port()
    line, ready = command(name, build, data, port)
    log = open(os.path.join(root, f"{name}.log"), "ab")
    process = subprocess.Popen(line, stdout=log, stderr=log)
    try:
        wait_ready(process, port, ready)
        before = cpu_s(process.pid)
        watch = MemoryWatch(process.pid)
        watch.start()
        sent = subprocess.run([f"{build}/bin/bench-ingest-load", "--port", str(port), "--series",
                               str(series), "--samples", str(samples)],
                              stdout=subprocess.PIPE, text=True)
        result = json.loads(sent.stdout)
        if sent.returncode != 0:
            print(f"{name}: the load failed: {sent.stdout}", file=sys.stderr)
        loaded = cpu_s(process.pid) - before
        time.sleep(IDLE_S)
        as_left = disk_bytes(data)
        if name == "victoria-metrics":
            get(port, "/internal/force_flush")
            get(port, "/internal/force_merge")
            time.sleep(1)  # it works in the background
            for _ in range(300):
                text = get(port, "/metrics").decode()
                if 'vm_active_force_merges 0' in text:
                    break
                time.sleep(0.2)
        time.sleep(1)
        watch.stop = True
        total = stop(process) - before
    except BaseException:
        process.kill()
        process.wait()
        raise
    millions = result["samples"] / 1e6
    result.update(server=name, load=load, cpu_load=loaded / millions, cpu_all=total / millions,
                  rss_mib=watch.peak, anonymous_mib=watch.anonymous,
                  disk_left=as_left / result["samples"],
                  disk=disk_bytes(data) / result["samples"],
                  rate=result["samples"] / result["wall_s"])
    shutil.rmtree(data, ignore_errors=True)
    return result


def start_timed(name, build, data, port, root):
    """Start a server on existing data; it, and the seconds until it said ready."""
    line, ready = command(name, build, data, port)
    log = open(os.path.join(root, f"{name}.log"), "ab")
    begin = time.monotonic()
    process = subprocess.Popen(line, stdout=log, stderr=log)
    wait_ready(process, port, ready, 0.005)
    return process, time.monotonic() - begin


def measure_restart(name, load, build, root):
    series, samples = LOADS[load]
    data = tempfile.mkdtemp(prefix=f"bench-{name}-", dir=root)
    port = free_port()
    process, empty_s = start_timed(name, build, data, port, root)
    subprocess.run([f"{build}/bin/bench-ingest-load", "--port", str(port), "--series", str(series),
                    "--samples", str(samples)], stdout=subprocess.DEVNULL, check=True)
    process.kill()
    process.wait()
    result = {"server": name, "load": load, "empty_s": empty_s}
    if name.startswith("etinde"):
        result["log_mib"] = disk_bytes(os.path.join(data, "wal")) / (1 << 20)
    process, result["kill_s"] = start_timed(name, build, data, port, root)
    result["kill_cpu_s"] = cpu_s(process.pid)
    _, result["kill_anonymous_mib"] = memory_mib(process.pid)
    if name.startswith("etinde"):
        values = dict(line.split(" ")[:2] for line in get(port, "/metrics").decode().splitlines()
                      if line.startswith(("etinde_replay", "prometheus_tsdb_data_replay")))
        took = float(values["prometheus_tsdb_data_replay_duration_seconds"])
        result["replayed"] = float(values["etinde_replay_samples"])
        result["sealed"] = float(values["etinde_replay_sealed"])
        result["replay_s"] = took
    begin = time.monotonic()
    stop(process)
    result["stop_s"] = time.monotonic() - begin
    process, result["term_s"] = start_timed(name, build, data, port, root)
    stop(process)
    shutil.rmtree(data, ignore_errors=True)
    return result


def print_restart(r):
    print(f"{r['server']}: ready after kill -9 in {r['kill_s']:.2f} s ({r['kill_cpu_s']:.2f} s CPU, "
          f"{r['kill_anonymous_mib']:.0f} MiB anonymous), clean stop {r['stop_s']:.2f} s, ready "
          f"after it in {r['term_s']:.2f} s, on an empty directory in {r['empty_s']:.2f} s")
    if "replayed" in r:
        print(f"    replayed {r['replayed'] / 1e6:.1f}M samples, {r['sealed'] / 1e6:.1f}M of them "
              f"sealed before, from {r['log_mib']:.0f} MiB of log in {r['replay_s']:.2f} s: "
              f"{r['replayed'] / 1e6 / max(r['replay_s'], 1e-6):.1f}M/s")


COLUMNS = [
    ("server", "server", "{}"), ("samples/s", "rate", "{:,.0f}"),
    ("CPU s/M load", "cpu_load", "{:.3f}"), ("CPU s/M all", "cpu_all", "{:.3f}"),
    ("peak RSS MiB", "rss_mib", "{:.0f}"), ("anonymous MiB", "anonymous_mib", "{:.0f}"),
    ("disk B/sample left", "disk_left", "{:.2f}"), ("stopped", "disk", "{:.2f}"),
    ("p50 ms", "p50_ms", "{:.1f}"), ("p99 ms", "p99_ms", "{:.1f}"), ("failed", "failed", "{}"),
]


def table(load, results):
    series, samples = LOADS[load]
    print(f"\n{load}: {series:,} series x {samples:,} samples = {series * samples / 1e6:.1f}M")
    rows = [[title for title, _, _ in COLUMNS]]
    rows += [[form.format(r[key]) for _, key, form in COLUMNS] for r in results]
    base = results[0]
    for r in results[1:]:
        rows.append([f"{r['server']} / {base['server']}"] +
                    [f"{r[key] / base[key]:.1f}x" if key in ("rate", "cpu_load", "cpu_all",
                     "rss_mib", "anonymous_mib", "disk_left", "disk", "p50_ms", "p99_ms") and
                     base[key] else "" for _, key, _ in COLUMNS[1:]])
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))


def print_new_series(results, steady):
    for r in results:
        series = LOADS["new"][0]
        known = steady.get(r["server"], STEADY[r["server"]]) * r["samples"] / 1e6
        cpu = r["cpu_all"] * r["samples"] / 1e6
        print(f"{r['server']}: a new series takes {(cpu - known) / series * 1e6:.1f} us of CPU and "
              f"{r['anonymous_mib'] * (1 << 20) / series:,.0f} bytes of anonymous memory")


def run_load(load, peers, options, root):
    results = []
    for peer in peers:
        results.append(measure(peer, load, options.build, root))
        print(f"{load} {peer}: {results[-1]['cpu_all']:.3f} CPU s/M", file=sys.stderr)
        if options.json:
            with open(options.json, "a") as f:
                f.write(json.dumps(results[-1]) + "\n")
    table(load, results)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="two small loads")
    parser.add_argument("--restart", action="store_true", help="time from start to ready")
    parser.add_argument("--only", default="", help="servers, comma-separated")
    parser.add_argument("--load", default="", help="loads, comma-separated: " + ", ".join(LOADS))
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--root", default=None, help="folder for the data directories")
    parser.add_argument("--json", help="append all figures to this file, a line each")
    options = parser.parse_args()
    loads = options.load.split(",") if options.load else (
        ["short", "short-wide"] if options.short else ["50k", "5k", "new"])
    peers = options.only.split(",") if options.only else PEERS
    missing = [p for p in peers if not p.startswith("etinde") and shutil.which(p) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")
    root = tempfile.mkdtemp(prefix="etinde-bench-", dir=options.root)
    failed, steady = 0, {}
    try:
        print("16 KiB and fdatasync: median %.2f ms, p99 %.2f ms" % fdatasync_ms(root))
        if options.restart:
            for peer in peers:
                print_restart(measure_restart(peer, options.load or "50k", options.build, root))
            return
        for load in loads:
            results = run_load(load, peers, options, root)
            failed += sum(r["failed"] for r in results)
            if load == "50k":
                steady = {r["server"]: r["cpu_all"] for r in results}
            if load == "new":
                print_new_series(results, steady)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
