#!/usr/bin/env python3
"""Kills the writer and checks that nothing acknowledged is lost.

    kill_rounds.py WRITER random [--rounds N] [--ack durable|process] [--seed S] [--log FILE]
    kill_rounds.py WRITER table [--log FILE]

`random`: N rounds of kill -9 at a random moment, each hundred on one data directory, with
sealing, day closes, deletes and segment rolls going on all the time; after each round everything
ever acknowledged there is read back.  `table`: a kill at every row of the state table
in docs/format-wal.md, each at several passings, then the same check.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TABLE = [
    # point, passings to end at, extra options
    ("wal.group_taken", (1, 2, 40), []),
    ("wal.write_torn", (1, 2, 40), []),
    ("wal.written", (1, 2, 40), []),
    ("wal.synced", (1, 2, 40), []),
    ("wal.acknowledged", (1, 2, 40), []),
    ("wal.cut_back", (1,), ["--full", "60"]),
    ("wal.roll_synced", (2, 3), []),
    ("wal.roll_created", (1, 2, 3), []),
    ("wal.roll_carried", (1, 2, 3), []),
    ("wal.rolled", (1, 2, 3), []),
    ("seal.frozen", (1, 2, 9), []),
    ("seal.written", (1, 2, 3, 4, 5, 6, 9, 20), []),
    ("seal.committed", (1, 2, 3, 9), []),
    ("seal.dropped", (1, 2, 3, 9), []),
    ("lmdb.committed", (1, 2, 3, 4, 5, 6, 9, 20, 60), []),
    ("day.written", (1, 2), []),
    ("day.named", (1, 2), []),
    ("delete.saved", (1, 2), []),
    ("wal.remove_before", (1, 2), []),
    ("wal.removed_one", (1, 2), []),
    ("close.sealed", (1,), ["--batches", "300"]),
    ("close.rolled", (1,), ["--batches", "300"]),
    ("close.removed", (1,), ["--batches", "300"]),
]


ROUNDS_ON_ONE_DIRECTORY = 100


class Harness:
    def __init__(self, writer, log):
        self.writer = writer
        self.log = log
        self.make()

    def make(self):
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = tempfile.mkdtemp(prefix="etinde-faults-", dir=base)
        self.data = os.path.join(self.folder, "data")
        self.events = os.path.join(self.folder, "events")

    def say(self, text):
        print(text, flush=True)
        if self.log:
            print(text, file=self.log, flush=True)

    def start(self, ack, options):
        command = [self.writer, "write", self.data, self.events, ack, *options]
        return subprocess.Popen(command)

    def check(self):
        """(good, what the checker printed)"""
        done = subprocess.run([self.writer, "check", self.data, self.events],
                              capture_output=True, text=True, timeout=120)
        text = "; ".join((done.stdout + done.stderr).strip().splitlines())
        return done.returncode == 0, text

    def clean(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def random_rounds(harness, options):
    rng = random.Random(options.seed)
    bad = 0
    for number in range(1, options.rounds + 1):
        if number % ROUNDS_ON_ONE_DIRECTORY == 0:
            harness.clean()
            harness.make()
        ack = options.ack if options.ack != "both" else ("durable", "process")[number % 2]
        process = harness.start(ack, [])
        delay = rng.uniform(0.005, 0.25)
        time.sleep(delay)
        early = process.poll()
        if early is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        good, text = harness.check()
        good = good and early is None
        bad += not good
        verdict = "ok" if good else f"FAILED (writer ended with {early})" if early else "FAILED"
        harness.say(f"round {number} {ack} killed after {delay * 1000:.0f} ms: {verdict}: {text}")
        if not good:
            harness.say(f"the data is left in {harness.folder}")
            return bad
    harness.say(f"{options.rounds} rounds (seed {options.seed}): {bad} failed")
    return bad


def table_rows(writer, log):
    bad = 0
    rows = 0
    for point, passings, extra in TABLE:
        for ack in ("durable", "process"):
            for passing in passings:
                harness = Harness(writer, log)
                process = harness.start(ack, ["--crash", point, str(passing), *extra])
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                killed = process.returncode == -signal.SIGKILL
                good, text = harness.check()
                # Twice: the state that the first check left must be as good.
                again, text2 = harness.check()
                good = good and again and killed
                why = "" if killed else f" (point not reached, ended with {process.returncode})"
                harness.say(f"{point} #{passing} {ack}: {'ok' if good else 'FAILED'}{why}: {text}")
                if not again:
                    harness.say(f"  second check: {text2}")
                rows += 1
                bad += not good
                harness.clean()
    print(f"{rows} kills at rows of the state table: {bad} failed", flush=True)
    if log:
        print(f"{rows} kills at rows of the state table: {bad} failed", file=log, flush=True)
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("writer")
    parser.add_argument("mode", choices=["random", "table"])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--ack", choices=["durable", "process", "both"], default="both")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--log")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    log = open(options.log, "w", encoding="utf-8") if options.log else None
    if options.mode == "table":
        return 1 if table_rows(options.writer, log) else 0
    harness = Harness(options.writer, log)
    bad = random_rounds(harness, options)
    if not bad:
        harness.clean()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
