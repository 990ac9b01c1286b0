#!/usr/bin/env python3
"""The agent loses no line and no scrape, whatever happens to it and to the server.

A writer fills a plain log that is rotated all the time and a container log with
cut lines.  The receiver fails at random, before or after it took a batch, or
hangs up.  The agent is killed with kill -9 at random moments.  In the end every
line has arrived, in its file's order, and only once when repeats of a batch are
left out by their number; a repeat always holds the same bytes.
"""
import os
import random
import signal
import threading
import time

import agent_tools as tools
import etinde as e2e

report = e2e.Report()
SECONDS, KILLS = 16, 8
random.seed(7)


class Writer(threading.Thread):
    """Numbered lines; the plain log is rotated by renaming, the old ones are kept."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.stopping = folder, False
        self.plain, self.container, self.rotations = 0, 0, 0
        self.pod = os.path.join(folder, "pods", "shop_web-1_77", "app")
        os.makedirs(self.pod)

    def run(self):
        rotate_at = time.monotonic() + 1
        while not self.stopping:
            self.write_plain()
            self.write_container()
            if time.monotonic() > rotate_at:
                self.rotate()
                rotate_at = time.monotonic() + random.uniform(0.5, 1.5)
            time.sleep(random.uniform(0.002, 0.02))

    def write_plain(self):
        text = ""
        for _ in range(random.randint(1, 20)):
            self.plain += 1
            text += f"line {self.plain} {'x' * random.randint(0, 200)}\n"
        half = random.randint(0, len(text))  # readers may see half a line
        with open(os.path.join(self.folder, "app.log"), "a") as f:
            f.write(text[:half])
            f.flush()
            f.write(text[half:])

    def write_container(self):
        self.container += 1
        stamp = f"{1700000000 + self.container}"
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(stamp)))
        with open(os.path.join(self.pod, "0.log"), "a") as f:
            f.write(f"{when}.1Z stdout P cut {self.container} \n")
            f.write(f"{when}.2Z stderr F error {self.container}\n")
            f.write(f"{when}.3Z stdout F whole\n")

    def rotate(self):
        self.rotations += 1
        path = os.path.join(self.folder, "app.log")
        os.rename(path, f"{path}.{self.rotations:03}")


def judge(batch):
    """Mostly fine; else fails before or after taking the batch, or hangs up after."""
    what = random.random()
    if what < 0.75:
        return True, 204, {}
    if what < 0.82:
        return False, 503, {"Retry-After": "0"}
    if what < 0.89:
        return True, 503, {}
    if what < 0.94:
        return False, 429, {"Retry-After": "1"}
    return True, None, {}


def check_plain(lines, writer):
    everything = [line for labels, found in lines.items() if "filename" in labels
                  for _, line in found]
    numbers = sorted(int(line.split()[1]) for line in everything)
    report.equal("every plain line came once", numbers, list(range(1, writer.plain + 1)))
    for labels, found in lines.items():
        if "filename" in labels:
            order = [int(line.split()[1]) for _, line in found]
            report.equal(f"in the order of the file {labels}", order, sorted(order))
            times = [when for when, _ in found]
            report.equal(f"no two lines of {labels} share a time", len(set(times)), len(times))


def check_container(lines, writer):
    streams = {labels: found for labels, found in lines.items() if "namespace" in labels}
    report.equal("streams of the container", len(streams), 2)
    for labels, found in streams.items():
        report.contains("labels of the pod", labels, 'namespace="shop"', 'pod="web-1"',
                        'container="app"', 'service_name="app"')
        out = "stdout" in labels
        wanted = [f"cut {n} whole" if out else f"error {n}" for n in range(1, writer.container + 1)]
        report.equal("lines of the container", [line for _, line in found], wanted)
        report.equal("their own times", [when // 10**9 for when, _ in found],
                     [1700000000 + n for n in range(1, writer.container + 1)])


def check_scrapes(receiver):
    epochs = {}
    for batch in receiver.batches:
        if not batch.is_logs:
            epochs.setdefault(batch.key[1], []).append(batch.key[2])
    report.check("scrapes of most runs came", len(epochs) > KILLS // 2, str(len(epochs)))
    for epoch, numbers in epochs.items():
        report.equal(f"scrapes of {epoch} without a gap", numbers, list(range(1, len(numbers) + 1)))


def all_lines_came(receiver, writer):
    lines = receiver.lines()
    plain = sum(len(found) for labels, found in lines.items() if "filename" in labels)
    rest = sum(len(found) for labels, found in lines.items() if "namespace" in labels)
    return plain >= writer.plain and rest >= 2 * writer.container


with e2e.folder() as folder:
    receiver = tools.Receiver(judge)
    writer = Writer(folder)
    options = ["--interval", "300ms", "--logs", os.path.join(folder, "app.log*"),
               "--logs", os.path.join(folder, "pods/**/*.log"), "--path.rootfs", "/"]
    writer.start()
    agent = tools.Agent(folder, receiver.url, *options)
    for _ in range(KILLS):
        time.sleep(random.uniform(0.3, SECONDS / KILLS * 1.4))
        agent.stop(signal.SIGKILL)
        agent = tools.Agent(folder, receiver.url, *options)
    writer.stopping = True
    writer.join()
    receiver.judge = lambda batch: (True, 204, {})
    report.check("everything arrives", e2e.wait_until(lambda: all_lines_came(receiver, writer), 40),
                 agent.tail())
    report.equal("the agent stops cleanly", agent.stop(), 0)
    print(f"{writer.plain} plain lines, {writer.rotations} rotations, {writer.container} container "
          f"records, {len(receiver.batches)} batches, {receiver.repeats} repeats, {KILLS} kills")
    check_plain(receiver.lines(), writer)
    check_container(receiver.lines(), writer)
    check_scrapes(receiver)
    report.equal("a repeated batch holds the same bytes", receiver.changed, [])
    receiver.close()
report.finish()
