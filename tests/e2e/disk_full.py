#!/usr/bin/env python3
"""A full disk: nothing acknowledged is lost, nothing is acknowledged in vain, and no restart is needed.

The data lies on a file system of 24 MiB of its own (needs root; else skipped).  When it is full, pushes
get 503 with Retry-After, queries answer, /ready says no without wavering although a sender tries
all the time; 10 seconds after there is space again writes are taken.  After kill -9
everything acknowledged is there.
"""
import os
import signal
import subprocess
import threading
import time

import etinde as e2e

report = e2e.Report()
SIZE_MIB = 24


class Sender:
    """Pushes log lines one after the other; remembers which were acknowledged."""

    def __init__(self, etinde):
        self.etinde = etinde
        self.acknowledged = []
        self.number = 0
        self.start_ns = int(time.time() * 1e9) - 10**9

    def line(self, number):
        return f"{number} " + os.urandom(1500).hex()

    def send(self):
        self.number += 1
        at = self.start_ns + self.number * 1000
        answer = self.etinde.push([({"app": "full"}, [(at, self.line(self.number))
                                                      for _ in range(20)])])
        if answer.status == 204:
            self.acknowledged.append(self.number)
        return answer


def numbers_of(etinde, sender):
    """The numbers of all batches that can be read."""
    found = set()
    end = sender.start_ns + 10**9 * 3600
    at = sender.start_ns
    while True:
        data = etinde.log_lines('{app="full"} | line_format "{{ __line__ | trunc 8 }}"', at, end,
                                limit=2000).json["data"]["result"]
        entries = sorted((int(e[0]), int(e[1].split()[0])) for s in data for e in s["values"])
        found.update(number for _, number in entries)
        if len(entries) < 2000:
            return found
        at = entries[-1][0] if entries[-1][0] > at else at + 1


def fill(sender):
    refused = None
    for _ in range(3000):
        answer = sender.send()
        if answer.status != 204:
            refused = answer
            break
    report.check("the disk gets full", refused is not None)
    report.equal("then a push gets", refused.status, 503)
    report.check("with Retry-After", refused.headers.get("Retry-After", "").isdigit(),
                 refused.headers.get("Retry-After"))
    report.contains("and the reason", refused.text, "space")


def while_full(etinde, sender):
    """For some seconds a sender tries four times a second."""
    ready, pushes = [], []
    until = time.monotonic() + 4
    while time.monotonic() < until:
        ready.append(etinde.get("/ready").status)
        pushes.append(sender.send().status)
        ready.append(etinde.get("/ready").status)
        time.sleep(0.12)
    report.equal("/ready does not waver", set(ready), {503})
    report.equal("nor do pushes", set(pushes), {503})
    answer = etinde.get("/loki/api/v1/query_range",
                        {"query": 'count_over_time({app="full"}[1h])',
                         "start": sender.start_ns, "end": sender.start_ns + 10**10})
    report.equal("queries answer", answer.status, 200)
    report.check("with all there is", numbers_of(etinde, sender) >= set(sender.acknowledged))


def room_again(etinde, sender, filler):
    os.unlink(filler)
    began = time.monotonic()
    good = e2e.wait_until(lambda: etinde.get("/ready").status == 200, 10)
    report.check("ready within 10 s after there is space", good)
    report.equal("and it takes writes", sender.send().status, 204)
    print(f"recovered after {time.monotonic() - began:.1f} s", flush=True)


def test(folder):
    filler = os.path.join(folder, "filler")
    data = os.path.join(folder, "d")
    os.mkdir(data)
    with open(filler, "wb") as file:
        file.write(bytes(12 * 1024 * 1024))
    etinde = e2e.Etinde(data)
    etinde.start()
    sender = Sender(etinde)
    try:
        fill(sender)
        while_full(etinde, sender)
        room_again(etinde, sender, filler)
        threading.Event().wait(0.2)
        etinde.stop(signal.SIGKILL)
        etinde.start()
        missing = set(sender.acknowledged) - numbers_of(etinde, sender)
        report.check("after kill -9 everything acknowledged is there", not missing, missing)
    finally:
        if etinde.process:
            etinde.stop()


def main():
    with e2e.folder() as path:
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "etinde", path],
                               capture_output=True, check=False)
        if mount.returncode != 0:
            e2e.skip("no file system can be mounted: " + mount.stderr.decode().strip())
        try:
            test(path)
        finally:
            subprocess.run(["umount", path], check=False)
    report.finish()


if __name__ == "__main__":
    main()
