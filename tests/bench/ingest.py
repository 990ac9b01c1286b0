#!/usr/bin/env python3
"""Ingest against the peers: one load, one server after the other, one table.

    tests/bench/ingest.py [--short] [--only NAME,...] [--load NAME,...] [--build DIR] [--json FILE]

Servers: etinde (every answer waits for the disk), etinde-process (for the page
cache), Debian's prometheus and victoria-metrics, each with an empty data
directory, default settings and nothing else to do.  Measured are user + system
time of the server process per million samples (sealing and the clean stop
included), the peak of its memory (all, and anonymous), latency of requests, and
blocks on disk after a clean stop (VictoriaMetrics: after a forced merge).
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
}
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


def wait_ready(process, port, path):
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            get(port, path, 2)
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server did not become ready in 30 s")


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="two small loads")
    parser.add_argument("--only", default="", help="servers, comma-separated")
    parser.add_argument("--load", default="", help="loads, comma-separated: " + ", ".join(LOADS))
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--root", default=None, help="folder for the data directories")
    parser.add_argument("--json", help="append all figures to this file, a line each")
    options = parser.parse_args()
    loads = options.load.split(",") if options.load else (
        ["short", "short-wide"] if options.short else ["50k", "5k"])
    peers = options.only.split(",") if options.only else PEERS
    missing = [p for p in peers if not p.startswith("etinde") and shutil.which(p) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")
    root = tempfile.mkdtemp(prefix="etinde-bench-", dir=options.root)
    failed = 0
    try:
        for load in loads:
            results = []
            for peer in peers:
                results.append(measure(peer, load, options.build, root))
                failed += results[-1]["failed"]
                print(f"{load} {peer}: {results[-1]['cpu_all']:.3f} CPU s/M", file=sys.stderr)
                if options.json:
                    with open(options.json, "a") as f:
                        f.write(json.dumps(results[-1]) + "\n")
            table(load, results)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
