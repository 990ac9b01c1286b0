#!/usr/bin/env python3
"""What the agent does about answers: 4xx drops and goes on, Retry-After is kept, tenants are sent.

Also: two agents do not share a state directory, and an unreachable server ends
--once with an error and keeps what was not sent.
"""
import os
import time

import agent_tools as tools
import etinde as e2e

report = e2e.Report()


def metric(receiver, name, **labels):
    """The newest value of a series of the agent."""
    for batch in reversed(receiver.batches):
        if batch.is_logs:
            continue
        for found, samples in tools.read_write_request(batch.raw)[0]:
            if found["__name__"] == name and labels.items() <= found.items():
                return samples[0][1]
    return None


def append(path, text):
    with open(path, "a") as f:
        f.write(text)


def texts(receiver):
    return [line for found in receiver.lines().values() for _, line in found]


def refused_batches_are_dropped(folder):
    path = os.path.join(folder, "app.log")
    append(path, "poison\n")
    receiver = tools.Receiver(lambda batch: (False, 400, {}) if b"poison" in batch.raw
                              else (True, 204, {}))
    agent = tools.Agent(folder, receiver.url, "--interval", "200ms", "--logs", path,
                        "--tenant", "shop", "--label", "zone=a", "--label", "job=mine")
    report.check("a refused batch is counted", e2e.wait_until(
        lambda: metric(receiver, "etinde_agent_batches_dropped_total", signal="logs") == 1.0, 20))
    append(path, "good\n")
    report.check("the next lines come", e2e.wait_until(lambda: texts(receiver) == ["good"], 20),
                 str(texts(receiver)))
    report.equal("labels are sent", list(receiver.lines()), [
        f'{{filename="{path}", instance="{os.uname().nodename}", job="mine", '
        'service_name="app", zone="a"}'])
    report.equal("the tenant is sent", {b.headers["X-Scope-OrgID"] for b in receiver.batches},
                 {"shop"})
    second = tools.Agent(folder, receiver.url)
    report.equal("a second agent on the same state ends", second.child.wait(10), 1)
    report.contains("and says why", second.tail(), "another agent uses")
    report.equal("the agent stops cleanly", agent.stop(), 0)
    receiver.close()


def retry_after_is_kept(folder):
    path = os.path.join(folder, "b.log")
    append(path, "line\n")
    seen = []

    def judge(batch):
        if batch.is_logs:
            seen.append(time.monotonic())
            if len(seen) == 1:
                return False, 503, {"Retry-After": "3"}
        return True, 204, {}

    receiver = tools.Receiver(judge)
    agent = tools.Agent(folder, receiver.url, "--logs", path, "--no-metrics", "--once")
    report.equal("--once ends with success", agent.child.wait(30), 0)
    report.equal("the line came", texts(receiver), ["line"])
    report.check("after the pause that the server asked for",
                 len(seen) == 2 and seen[1] - seen[0] >= 2.9, str(seen))
    receiver.close()


def an_outage_loses_nothing(folder):
    path = os.path.join(folder, "c.log")
    append(path, "one\ntwo\n")
    nobody = e2e.free_port()
    agent = tools.Agent(folder, f"http://127.0.0.1:{nobody}", "--interval", "200ms", "--logs", path)
    time.sleep(2)
    report.equal("it stops cleanly without a server", agent.stop(), 0)
    spooled = len([n for n in os.listdir(os.path.join(folder, "state", "metrics"))
                   if n.endswith(".batch")])
    report.check("scrapes wait on disk", spooled >= 5, str(spooled))
    receiver = tools.Receiver()
    agent = tools.Agent(folder, receiver.url, "--logs", path, "--once")
    report.equal("--once sends everything", agent.child.wait(30), 0)
    report.equal("the lines came", texts(receiver), ["one", "two"])
    report.equal("and the scrapes", len([b for b in receiver.batches if not b.is_logs]), spooled + 1)
    receiver.close()


for test in (refused_batches_are_dropped, retry_after_is_kept, an_outage_loses_nothing):
    with e2e.folder() as path:
        test(path)
report.finish()
