#!/usr/bin/env python3
"""Copies: a snapshot under ingest opens and has all that was acknowledged before it.

Writers send metrics and lines, some of them for days ago, while snapshots are
made.  Each snapshot must pass `etinde verify`, serve everything acknowledged
before its request, nothing twice and nothing invented, and take new data that
survives a kill -9.  Backup and restore of the stopped server answer alike, and
a flipped byte is named.
"""
import glob
import os
import re
import signal
import subprocess
import threading
import time

import etinde as e2e

report = e2e.Report()
SERIES, SNAPSHOTS, DAY_MS = 20, 3, 86400 * 1000
MADE = []


def command(*arguments):
    return subprocess.run([e2e.server_binary(), *arguments], capture_output=True, text=True,
                          timeout=120)


class Writer(threading.Thread):
    """Sends numbered batches until told to stop; remembers what was acknowledged."""

    def __init__(self, etinde):
        super().__init__()
        self.etinde, self.number, self.stopping = etinde, 0, False
        self.samples, self.lines = {}, set()  # acknowledged
        self.sent_samples, self.sent_lines = set(), set()

    def run(self):
        while not self.stopping:
            self.number += 1
            ms = int(time.time() * 1000) - self.number % 3 * DAY_MS
            name = f"s{self.number % 3}"
            batch = {(name, str(i), ms): float(self.number) for i in range(SERIES)}
            self.sent_samples.update(batch.items())
            answer = self.etinde.write([({"__name__": "copied", "day": name, "i": i}, [(t, v)])
                                        for (_, i, t), v in batch.items()])
            if answer.status == 204:
                self.samples.update(batch)
            lines = [(ms * 1000000 + i, f"line {self.number} {i}") for i in range(10)]
            self.sent_lines.update(lines)
            if self.etinde.push([({"app": name}, lines)]).status == 204:
                self.lines.update(lines)
            time.sleep(0.002)


def read_samples(etinde):
    data = etinde.query("copied[3d]", time.time() + 60).json["data"]["result"]
    return [((s["metric"]["day"], s["metric"]["i"], round(t * 1000)), float(v))
            for s in data for t, v in s["values"]]


def read_lines(etinde):
    lines, start, end = [], time.time_ns() - 3 * DAY_MS * 10**6, time.time_ns() + 10**9
    while True:
        data = etinde.log_lines('{app=~".+"}', start, end).json["data"]["result"]
        page = [(int(t), line) for s in data for t, line in s["values"]]
        lines += page
        if len(page) < 5000:
            return lines
        start = max(t for t, _ in page) + 1


def check_copy(name, path, data, acknowledged, writer):
    samples, lines = acknowledged
    verified = command("verify", "--data", data)
    report.equal(f"{name}: verify finds nothing", (verified.returncode, verified.stdout[:11]),
                 (0, "0 problems,"))
    etinde = e2e.Etinde(path, data=data).start()
    have, read = read_samples(etinde), read_lines(etinde)
    lost = sorted(set(samples.items()) - set(have))
    report.check(f"{name}: no acknowledged sample is lost", not lost,
                 f"{len(lost)} of {len(samples)}, first {lost[:2]}")
    report.check(f"{name}: no sample twice", len(have) == len(set(have)))
    report.check(f"{name}: no sample is invented", set(have) <= writer.sent_samples)
    lost = sorted(acknowledged[1] - set(read))
    report.check(f"{name}: no acknowledged line is lost", not lost,
                 f"{len(lost)} of {len(lines)}, first {lost[:2]}")
    report.check(f"{name}: no line twice", len(read) == len(set(read)))
    report.check(f"{name}: no line is invented", set(read) <= writer.sent_lines)
    # What is written now must not be taken for something that the copy has already.
    ms = int(time.time() * 1000)
    new = {("new", str(i), ms): float(i) for i in range(5)}
    for key in (("s0", "0", ms), *new):
        answer = etinde.write([({"__name__": "copied", "day": key[0], "i": key[1]},
                                [(ms, new.get(key, 1.0))])])
        report.equal(f"{name}: the copy takes data", answer.status, 204)
    etinde.stop(signal.SIGKILL)
    etinde.start()
    again = read_samples(etinde)
    report.equal(f"{name}: what was written to the copy survives a kill", sorted(again),
                 sorted(have + list(new.items()) + [(("s0", "0", ms), 1.0)]))
    etinde.stop()


def snapshots(path):
    etinde = e2e.Etinde(path, "--storage.seal_interval", "1s", "--storage.wal_segment", "256KiB",
                        "--web.enable-admin-api", "--no-reject-old-samples").start()
    writer = Writer(etinde)
    writer.start()
    made = []
    for _ in range(SNAPSHOTS):
        time.sleep(1.7)
        acknowledged = dict(writer.samples.copy()), writer.lines.copy()
        answer = etinde.post("/api/v1/admin/tsdb/snapshot")
        report.equal("a snapshot is made", answer.status, 200)
        name = answer.json["data"]["name"]
        report.check("its name is as Prometheus'",
                     re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{16}", name), name)
        made.append((name, acknowledged))
        MADE.append(name)
    writer.stopping = True
    writer.join()
    report.equal("the server stops cleanly", etinde.stop(), 0)
    report.equal("nothing unfinished is left", glob.glob(etinde.data + "/snapshots/*.part"), [])
    for name, acknowledged in made:
        check_copy(name, path, os.path.join(etinde.data, "snapshots", name), acknowledged, writer)
    print(f"{len(writer.samples)} samples, {len(writer.lines)} lines")
    report.check("enough was written", len(writer.samples) > 200)
    return etinde, writer


def at_rest(path, etinde, writer):
    etinde.start()
    before = sorted(read_samples(etinde)), sorted(read_lines(etinde))
    copy, restored = os.path.join(path, "copy"), os.path.join(path, "restored")
    busy = command("backup", "--data", etinde.data, copy)
    report.equal("backup of a running server is refused", busy.returncode, 1)
    report.contains("it says why", busy.stderr, "in use by process", "admin/tsdb/snapshot")
    etinde.stop(signal.SIGKILL)
    done = command("backup", "--data", etinde.data, copy)
    report.equal("backup after a kill", (done.returncode, done.stderr), (0, ""))
    again = command("backup", "--data", etinde.data, copy)
    report.equal("backup over a backup is refused", again.returncode, 1)
    done = command("restore", "--data", restored, copy)
    report.equal("restore", (done.returncode, done.stderr), (0, ""))
    check_copy("backup", path, copy, (writer.samples, writer.lines), writer)
    other = e2e.Etinde(path, data=restored).start()
    report.check("the restored server answers alike",
                 (sorted(read_samples(other)), sorted(read_lines(other))) == before)
    other.stop()
    return restored


def through_a_pipe(path, etinde):
    """A running server's backup as a stream, restored from one; broken streams restore nothing."""
    etinde.start()
    before = sorted(read_samples(etinde)), sorted(read_lines(etinde))
    url = f"http://127.0.0.1:{etinde.port}"
    run = lambda *a, data=None: subprocess.run([e2e.server_binary(), *a], input=data,
                                               capture_output=True, timeout=120)
    stream = run("backup", "--data", etinde.data, "--url", url + "/", "-")
    report.equal("a stream of a running server", (stream.returncode, stream.stderr), (0, b""))
    other = os.path.join(path, "hot")
    done = run("backup", "--data", etinde.data, "--url", url, other)
    report.equal("a folder of a running server", (done.returncode, done.stderr), (0, b""))
    report.equal("nothing of it stays at the server", [
        n for n in os.listdir(etinde.data + "/snapshots") if n not in MADE], [])
    etinde.stop()
    at_rest_stream = run("backup", "--data", etinde.data, "-")
    report.equal("a stream of a stopped one", at_rest_stream.returncode, 0)
    listed = subprocess.run(["tar", "-tf", "-"], input=stream.stdout, capture_output=True)
    report.contains("tar reads it", listed.stdout.decode(), "meta.mdb\n", "wal/", ".mdb\n")
    for name, data in (("running", stream.stdout), ("stopped", at_rest_stream.stdout)):
        place = os.path.join(path, "piped-" + name)
        done = run("restore", "--data", place, "-", data=data)
        report.equal(f"{name}: restored", (done.returncode, done.stderr), (0, b""))
        copy = e2e.Etinde(path, data=place).start()
        report.check(f"{name}: it answers alike",
                     (sorted(read_samples(copy)), sorted(read_lines(copy))) == before)
        copy.stop()
    never = os.path.join(path, "piped-never")
    good = stream.stdout
    for broken in (b"", good[:len(good) // 2], good[:-1024], b"\1" + good[1:],
                   good.replace(b"meta.mdb", b"../a.mdb", 1)):
        done = run("restore", "--data", never, "-", data=broken)
        report.equal("a broken stream is refused", done.returncode, 1)
        report.equal("and leaves nothing", [os.path.exists(never), os.path.exists(never + ".part")],
                     [False, False])
    again = run("restore", "--data", os.path.join(path, "piped-running"), "-", data=good)
    report.equal("nothing is restored over data", again.returncode, 1)
    wrong = run("backup", "--data", etinde.data, "--url", url, "-")
    report.equal("no server at the URL", (wrong.returncode, wrong.stdout), (1, b""))


def damage(path, restored):
    target = sorted(glob.glob(restored + "/default/metric/*/*.mdb"))[0]
    with open(target, "r+b") as f:
        at = f.read().index(b"ETG1") + 200
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))
    found = command("verify", "--data", restored)
    report.equal("verify's exit code tells damage", found.returncode, 1)
    report.contains("verify names the file", found.stdout, target, "group", " problems,")
    refused = command("restore", "--data", os.path.join(path, "never"), restored)
    report.equal("a damaged copy is not restored", refused.returncode, 1)
    report.check("nothing is made of it", not os.path.exists(os.path.join(path, "never")))


def main():
    with e2e.folder() as path:
        etinde, writer = snapshots(path)
        restored = at_rest(path, etinde, writer)
        through_a_pipe(path, etinde)
        damage(path, restored)
    with e2e.server() as etinde:
        answer = etinde.post("/api/v1/admin/tsdb/snapshot")
        report.equal("off by default", (answer.status, answer.json["error"]),
                     (503, "admin APIs disabled"))
    for wrong in (["nonsense"], ["verify"], ["backup", "--data", "x"], ["verify", "--nonsense"]):
        report.equal(f"{wrong} is wrong usage", command(*wrong).returncode, 2)
    report.finish()


main()
