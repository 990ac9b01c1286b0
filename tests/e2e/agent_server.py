#!/usr/bin/env python3
"""Agent and server together: both are killed with kill -9, and every line is there once.

The server remembers the numbers of the agent's batches over its own crashes, and
the agent sends a batch that was under way again under its old number.  So a plain
line, which has no time of its own, is stored once although it may be sent twice.
"""
import os
import random
import signal
import threading
import time

import agent_tools as tools
import etinde as e2e

report = e2e.Report()
ROUNDS = 5
random.seed(3)


class Writer(threading.Thread):
    def __init__(self, path):
        super().__init__()
        self.path, self.lines, self.stopping = path, 0, False

    def run(self):
        while not self.stopping:
            with open(self.path, "a") as f:
                for _ in range(random.randint(1, 8)):
                    self.lines += 1
                    f.write(f"line {self.lines} same text\n")
            time.sleep(random.uniform(0.005, 0.03))


def stored(etinde):
    """The numbers of all lines that the server has."""
    numbers, end = [], int((time.time() + 60) * 1e9)
    start = end - 3600 * 10**9
    while True:
        answer = etinde.log_lines('{job="logs"}', start, end, limit=5000)
        values = [v for s in answer.json["data"]["result"] for v in s["values"]]
        numbers += [int(line.split()[1]) for _, line in values]
        if len(values) < 5000:
            return sorted(numbers)
        start = max(int(when) for when, _ in values) + 1


def scrapes_are_there(etinde):
    answer = etinde.query('count_over_time(up{job="node-exporter"}[1h])', time.time() + 1)
    result = answer.json["data"]["result"]
    return report.check("scrapes are there", len(result) == 1 and int(result[0]["value"][1]) > ROUNDS,
                        answer.text[:300])


with e2e.folder() as folder:
    path = os.path.join(folder, "app.log")
    etinde = e2e.Etinde(folder).start()
    options = ["--interval", "500ms", "--logs", path]
    url = f"http://127.0.0.1:{etinde.port}"
    writer = Writer(path)
    writer.start()
    agent = tools.Agent(folder, url, *options)
    for round_ in range(ROUNDS):
        time.sleep(random.uniform(0.5, 2))
        if round_ % 2 == 0:
            etinde.stop(signal.SIGKILL)
            time.sleep(random.uniform(0, 0.7))
            etinde.start()
            time.sleep(0.3)
        agent.stop(signal.SIGKILL)
        agent = tools.Agent(folder, url, *options)
    writer.stopping = True
    writer.join()
    report.check("everything arrives",
                 e2e.wait_until(lambda: len(stored(etinde)) >= writer.lines, 40, 0.5), agent.tail())
    numbers = stored(etinde)
    report.equal("every line is there", sorted(set(numbers)), list(range(1, writer.lines + 1)))
    report.equal("and none twice", len(numbers), len(set(numbers)))
    scrapes_are_there(etinde)
    report.equal("the agent stops cleanly", agent.stop(), 0)
    report.equal("the server stops cleanly", etinde.stop(), 0)
    print(f"{writer.lines} lines, {ROUNDS} kills of the agent, {(ROUNDS + 1) // 2} of the server")
report.finish()
