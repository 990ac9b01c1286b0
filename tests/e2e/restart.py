#!/usr/bin/env python3
"""What was acknowledged is there after SIGTERM and after kill -9, read through HTTP.

A writer sends metrics and lines and notes what was answered with success.  The
server is ended at some moment, started again on the same folder, and must
give back every acknowledged sample and line, none of them twice, and nothing
that was never sent.
"""
import os
import random
import signal
import threading
import time

import etinde as e2e

report = e2e.Report()
SERIES, ROUNDS = 20, 8


class Writer(threading.Thread):
    """Sends numbered batches until told to stop; remembers what was acknowledged."""

    def __init__(self, etinde, first):
        super().__init__()
        self.etinde, self.number = etinde, first
        self.samples, self.lines = {}, []  # acknowledged: (series, ms) -> value; (ns, text)
        self.sent_lines, self.sent_samples = set(), set()
        self.stopping = False

    def run(self):
        while not self.stopping:
            try:
                self.send_metrics()
                self.send_lines()
            except (OSError, e2e.http.client.HTTPException):
                return  # the server is gone: nothing was acknowledged

    def send_metrics(self):
        ms = int(time.time() * 1000)
        self.number += 1
        batch = [(i, ms, float(self.number)) for i in range(SERIES)]
        self.sent_samples.update((f"s{i}", ms, v) for i, _, v in batch)
        answer = self.etinde.write([({"__name__": "restart", "i": f"s{i}"}, [(ms, v)])
                                    for i, _, v in batch])
        if answer.status == 204:
            self.samples.update({(f"s{i}", ms): v for i, _, v in batch})
        time.sleep(0.002)  # the next batch has another millisecond

    def send_lines(self):
        ns = time.time_ns()
        self.number += 1
        lines = [(ns + i, f"line {self.number} {i}") for i in range(10)]
        self.sent_lines.update(lines)
        if self.etinde.push([({"app": "restart"}, lines)]).status == 204:
            self.lines += lines


def read_samples(etinde, seconds):
    answer = etinde.query(f"restart[{int(seconds)}s]", time.time() + 1)
    if answer.status != 200:
        report.check("samples are read", False, repr(answer))
        return []
    return [(s["metric"]["i"], round(t * 1000), float(v))
            for s in answer.json["data"]["result"] for t, v in s["values"]]


def read_lines(etinde, start_ns):
    """All lines, page by page."""
    lines, start, end = [], start_ns, time.time_ns() + 10**9
    while True:
        answer = etinde.log_lines('{app="restart"}', start, end)
        if answer.status != 200:
            report.check("lines are read", False, repr(answer))
            return lines
        page = [(int(t), line) for s in answer.json["data"]["result"] for t, line in s["values"]]
        lines += page
        if len(page) < 5000:
            return lines
        start = max(t for t, _ in page) + 1


def compare(name, etinde, began, known):
    samples = read_samples(etinde, time.time() - began + 60)
    lines = read_lines(etinde, int(began * 1e9) - 10**9)
    have = {(s, ms): v for s, ms, v in samples}
    lost = [k for k, v in known["samples"].items() if have.get(k) != v]
    report.check(f"{name}: no acknowledged sample is lost", not lost,
                 f"{len(lost)} of {len(known['samples'])}, first {lost[:3]}")
    report.check(f"{name}: no sample twice", len(have) == len(samples),
                 f"{len(samples)} read, {len(have)} distinct")
    invented = set(samples) - known["sent_samples"]
    report.check(f"{name}: no sample is invented", not invented, sorted(invented)[:3])
    lost = set(known["lines"]) - set(lines)
    report.check(f"{name}: no acknowledged line is lost", not lost,
                 f"{len(lost)} of {len(known['lines'])}, first {sorted(lost)[:3]}")
    report.check(f"{name}: no line twice", len(set(lines)) == len(lines),
                 f"{len(lines)} read, {len(set(lines))} distinct")
    invented = set(lines) - known["sent_lines"]
    report.check(f"{name}: no line is invented", not invented, sorted(invented)[:3])
    batches = {}
    for _, text in set(lines) - set(known["lines"]):
        batches.setdefault(text.split()[1], []).append(text)
    report.check(f"{name}: what was not acknowledged comes in whole batches",
                 all(len(b) == 10 for b in batches.values()), repr(batches)[:200])


def damaged_log():
    """Damage in a segment that is not the last: refused with file and offset, until --repair."""
    with e2e.folder() as path:
        etinde = e2e.Etinde(path, "--storage.seal_interval", "1h").start()
        for at in range(3):
            etinde.write([({"__name__": "d"}, [(int(time.time() * 1000) + at, at)])])
        etinde.stop(signal.SIGKILL)
        etinde.start().stop(signal.SIGKILL)  # begins another segment
        with open(os.path.join(etinde.data, "wal", "00000001.wal"), "r+b") as f:
            f.seek(-5, os.SEEK_END)
            f.write(b"?")
        try:
            etinde.start()
            report.check("a damaged log is refused", False)
            etinde.stop()
        except RuntimeError as e:
            report.check("a damaged log is refused, with file and offset",
                         "00000001.wal is damaged at offset" in str(e) and "--repair" in str(e),
                         str(e)[-500:])
            report.equal("the exit code is 1", etinde.process.child.wait(), 1)
        etinde.options.append("--repair")
        etinde.start()
        answer = etinde.query("d[1m]", time.time() + 1).json["data"]["result"]
        report.equal("--repair keeps what stands before the damage",
                     [float(v) for _, v in answer[0]["values"]], [0.0, 1.0])
        etinde.stop()


def main():
    random.seed(7)
    damaged_log()
    began = time.time()
    known = {"samples": {}, "lines": [], "sent_lines": set(), "sent_samples": set()}
    slowest = 0.0
    with e2e.folder() as path:
        etinde = e2e.Etinde(path, "--storage.seal_interval", "1s").start()
        first = 0
        for i in range(ROUNDS):
            writer = Writer(etinde, first)
            writer.start()
            time.sleep(random.uniform(0.3, 1.5))
            kill = i % 2 == 0
            if kill:
                etinde.stop(signal.SIGKILL)
            else:
                report.equal(f"round {i}: SIGTERM ends it cleanly", etinde.stop(), 0)
            writer.stopping = True
            writer.join()
            first = writer.number
            known["samples"].update(writer.samples)
            known["lines"] += writer.lines
            known["sent_lines"] |= writer.sent_lines
            known["sent_samples"] |= writer.sent_samples
            start = time.monotonic()
            etinde.start()
            slowest = max(slowest, time.monotonic() - start)
            compare(f"round {i} ({'kill -9' if kill else 'SIGTERM'})", etinde, began, known)
        etinde.stop()
    print(f"{len(known['samples'])} samples and {len(known['lines'])} lines were acknowledged, "
          f"the slowest start took {slowest:.2f} s")
    report.check("enough was written", len(known["samples"]) > 200 and len(known["lines"]) > 100)
    report.finish()


main()
