#!/usr/bin/env python3
"""A small budget of memory: floods of new series, samples, lines and queries get 503, the process
stays within the budget, recovers by itself, and has everything that it acknowledged.

    memory.py [SECONDS]     of flood; default 4
"""
import subprocess
import sys
import threading
import time

import etinde as e2e

report = e2e.Report()
MIB = 1 << 20
PER_PUSH = 1000
FLOOD_S = float(sys.argv[1]) if len(sys.argv) > 1 else 4


def memory(etinde):
    return etinde.get("/api/v1/status/memory").json["data"]


def metrics(etinde):
    values = {}
    for line in etinde.get("/metrics").text.splitlines():
        if line and line[0] != "#":
            name, _, value = line.rpartition(" ")
            values[name] = float(value)
    return values


class Watch(threading.Thread):
    """The most anonymous memory that the process ever has."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.stop = pid, 0, False

    def run(self):
        while not self.stop:
            with open(f"/proc/{self.pid}/status") as f:
                for line in f:
                    if line.startswith("RssAnon"):
                        self.most = max(self.most, int(line.split()[1]) * 1024)
            time.sleep(0.02)


class Flood(threading.Thread):
    """Sends until it is told to stop; remembers what was acknowledged."""

    def __init__(self, etinde, number):
        super().__init__(daemon=True)
        self.etinde, self.number, self.stop = etinde, number, False
        self.acknowledged, self.refused, self.others, self.no_hint = [], 0, [], 0

    def note(self, answer, part):
        if answer.status == 204:
            self.acknowledged.append(part)
        elif answer.status == 503:
            self.refused += 1
            self.no_hint += answer.headers.get("Retry-After") is None
            time.sleep(0.05)
        else:
            self.others.append(answer)

    def run(self):
        part = 0
        while not self.stop:
            self.note(self.send(part), part)
            part += 1


class NewSeries(Flood):
    def send(self, part):
        now = int(time.time() * 1000)
        return self.etinde.write([
            ({"__name__": "flood", "part": f"{self.number}-{part}", "pod": f"pod-{self.number}-{part}-{i}",
              "path": f"/some/longer/path/{i % 17}", "instance": "10.0.0.1:9100"}, [(now, i)])
            for i in range(PER_PUSH)])


class Lines(Flood):
    def send(self, part):
        now = time.time_ns()
        return self.etinde.push([({"app": "flood", "part": f"{self.number}-{part % 50}"}, [
            (now + i, f"part={part} line {i} with some text that goes on and on {i * 7919}")
            for i in range(PER_PUSH)])])


class Queries(Flood):
    def send(self, part):
        answer = self.etinde.query_range(
            'sum by (path) (count_over_time(flood[5m])) or count by (pod) (flood)',
            int(time.time()) - 600, int(time.time()), 5)
        answer.status = 204 if answer.status in (200, 422) else answer.status
        return answer


def patiently(ask):
    """As a client does after a 503."""
    for _ in range(60):
        answer = ask()
        if answer.status != 503:
            break
        time.sleep(0.5)
    return answer


def stored(etinde, flood):
    """How many of the acknowledged series are there."""
    found = 0
    for at in range(0, len(flood.acknowledged), 8):
        parts = "|".join(f"{flood.number}-{p}" for p in flood.acknowledged[at:at + 8])
        answer = patiently(lambda: etinde.query(
            f'count(last_over_time(flood{{part=~"{parts}"}}[1h]))', time.time()))
        result = answer.json["data"]["result"]
        found += int(result[0]["value"][1]) if result else 0
    return found


def stored_lines(etinde):
    answer = patiently(lambda: etinde.get(
        "/loki/api/v1/query", {"query": 'sum(count_over_time({app="flood"}[1h]))'}))
    return int(answer.json["data"]["result"][0]["value"][1])


def small_budget(path):
    budget = 64 * MIB
    etinde = e2e.Etinde(path, "--memory", "64MiB", "--storage.series_idle", "5s",
                        "--storage.seal_interval", "1s", "--ack", "process").start()
    try:
        flood_it(etinde, budget)
    finally:
        if etinde.process and etinde.process.running():
            etinde.stop()


def flood_it(etinde, budget):
    report.equal("the budget", memory(etinde)["budgetBytes"], budget)
    watch = Watch(etinde.process.child.pid)
    watch.start()
    floods = [NewSeries(etinde, 1), NewSeries(etinde, 2), Lines(etinde, 3), Queries(etinde, 4)]
    for flood in floods:
        flood.start()
    time.sleep(FLOOD_S)
    e2e.wait_until(lambda: sum(f.refused for f in floods[:2]) > 0, 30)
    worst = metrics(etinde)
    for flood in floods:
        flood.stop = True
    for flood in floods:
        flood.join()
    writers, queries = floods[:3], floods[3]
    print(f"acknowledged {[len(f.acknowledged) for f in floods]}, 503 {[f.refused for f in floods]}, "
          f"most {watch.most / MIB:.0f} MiB, pressure {worst['etinde_memory_pressure']:.0f}", flush=True)
    report.check("new series were refused", sum(f.refused for f in floods[:2]) > 0)
    report.equal("each 503 had Retry-After", sum(f.no_hint for f in floods), 0)
    report.equal("no other failures", [str(a) for f in floods for a in f.others], [])
    report.check("it stayed near its budget", watch.most <= budget * 1.15,
                 f"{watch.most / MIB:.1f} MiB of 64")
    report.check("it took what it could", all(len(f.acknowledged) > 3 for f in writers))
    report.check("queries were answered or refused", len(queries.acknowledged) + queries.refused > 0)

    again = NewSeries(etinde, 5)
    report.check("it takes new series again by itself",
                 e2e.wait_until(lambda: again.send(0).status == 204, 90, 0.5))
    report.check("idle series left", e2e.wait_until(
        lambda: metrics(etinde)["prometheus_tsdb_head_series"] <= PER_PUSH, 60, 0.5))
    report.check("pressure is over", e2e.wait_until(
        lambda: memory(etinde)["pressure"] == "calm", 60, 0.5), str(memory(etinde)))
    components = memory(etinde)["components"]
    report.check("the components add up",
                 abs(sum(components.values()) - memory(etinde)["countedBytes"]) < MIB, components)
    for flood in floods[:2]:
        report.equal("every acknowledged series is there", stored(etinde, flood),
                     len(flood.acknowledged) * PER_PUSH)
    report.equal("every acknowledged line is there", stored_lines(etinde),
                 len(floods[2].acknowledged) * PER_PUSH)
    watch.stop = True
    report.equal("it stops cleanly", etinde.stop(), 0)


def limits_of_the_process(path):
    """A quarter of what ulimit leaves."""
    for flag, kib, wanted in (("-d", 1 << 20, 256 * MIB), ("-v", 2 << 20, 512 * MIB)):
        port = e2e.free_port()
        etinde = e2e.Etinde(path, data=f"{path}/limit{flag}")
        etinde.port = port
        etinde.process = e2e.Process(
            ["sh", "-c", f'ulimit {flag} {kib}; exec "$0" "$@"', e2e.server_binary(), "--data",
             etinde.data, "--listen", f"127.0.0.1:{port}"], f"{path}/limit{flag}.log")
        etinde.wait_ready()
        report.equal(f"under ulimit {flag}", memory(etinde)["budgetBytes"], wanted)
        answer = NewSeries(etinde, 1).send(0)
        report.equal(f"it works under ulimit {flag}", answer.status, 204)
        etinde.stop()


def refusals(path):
    answer = subprocess.run([e2e.server_binary(), "--data", f"{path}/none", "--memory", "lots"],
                            capture_output=True, text=True)
    report.equal("a budget that is no size", answer.returncode, 2)


with e2e.folder() as where:
    small_budget(where)
    limits_of_the_process(where)
    refusals(where)
report.finish()
