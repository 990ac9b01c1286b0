#!/usr/bin/env python3
"""The agent's metrics are node_exporter's: names, labels, types and values.

Debian's prometheus-node-exporter is asked right before and after one scrape of
the agent.  Every series of the collectors that the agent has must be there with
the same labels; a counter must lie between the two looks (or at them), a gauge that
stands still must be equal.
"""
import os
import re
import time

import agent_tools as tools
import etinde as e2e

e2e.need("prometheus-node-exporter")
report = e2e.Report()
COLLECTORS = ["cpu", "stat", "loadavg", "meminfo", "diskstats", "netdev", "filesystem", "uname",
              "time"]
# Not measured by the agent: names of those collectors that no dashboard asks for.
LEFT_OUT = re.compile(r"node_(time_clocksource|time_zone|exporter_build|scrape_collector|"
                      r"network_receive_nohandler|disk_info)")
# Disks that newer ones of node_exporter leave out as well.
NO_DISK = re.compile(r"zram\d+$")
# Gauges that do not move within a second on any machine.
STILL = re.compile(r"node_(filesystem_(size_bytes|files|readonly|device_error)|uname_info|"
                   r"boot_time_seconds|memory_(MemTotal|SwapTotal|HugePages|Hugepagesize|"
                   r"VmallocTotal).*)$")
# As MetricMetadata numbers them.
TYPES = {"counter": 1, "gauge": 2}


def parse_labels(text):
    return {name: value.encode().decode("unicode_escape")
            for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', text or "")}


def look(port):
    """{(name, labels): value} and {name: type} of node_exporter."""
    values, types = {}, {}
    answer = e2e.request(port, "GET", "/metrics")
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind
        elif line.startswith("node_"):
            name, labels, value = re.match(r"(\w+)(?:\{(.*)\})? (\S+)$", line).groups()
            kept = tuple(sorted((k, v) for k, v in parse_labels(labels).items() if v))
            values[name, kept] = float(value)
    return values, types


def own(receiver):
    """The same of the agent's only scrape, without job and instance."""
    batch = next(b for b in receiver.batches if not b.is_logs)
    series, families = tools.read_write_request(batch.raw)
    values = {}
    for labels, samples in series:
        name = labels.pop("__name__")
        report.check(f"{name} carries job and instance",
                     labels.pop("job", "") == "node-exporter" and labels.pop("instance", "") != "")
        values[name, tuple(sorted(labels.items()))] = samples[0][1]
    return values, families


def compare(before, after, agent):
    for key, low in before.items():
        name, labels = key
        if (LEFT_OUT.match(name) or key not in after or
                NO_DISK.match(dict(labels).get("device", ""))):
            continue
        if not report.check(f"{name} {dict(labels)} is there", key in agent):
            continue
        value, high = agent[key], after[key]
        if name.endswith("_total"):
            report.check(f"{name} {dict(labels)} lies between", low - 0.011 <= value <= high + 0.011,
                         f"{low} {value} {high}")
        elif STILL.match(name):
            report.equal(f"{name} {dict(labels)}", value, low)


with e2e.folder() as folder:
    port = e2e.free_port()
    exporter = e2e.Process(
        ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}",
         "--collector.disable-defaults", *(f"--collector.{c}" for c in COLLECTORS)],
        os.path.join(folder, "exporter.log"))
    receiver = tools.Receiver()
    try:
        def answers():
            try:
                return e2e.request(port, "GET", "/metrics").status == 200
            except OSError:
                return False

        report.check("node_exporter answers", e2e.wait_until(answers, 20), exporter.tail())
        before, types = look(port)
        agent = tools.Agent(folder, receiver.url, "--once")
        code = agent.child.wait(30)
        after, _ = look(port)
        report.equal("--once ends with success", code, 0)
        values, families = own(receiver)
        compare(before, after, values)
        for name, kind in types.items():
            if name in families and kind in TYPES:
                report.equal(f"type of {name}", families[name][0], TYPES[kind])
        report.equal("up", values.get(("up", ())), 1.0)
        report.check("it tells its time", abs(values["node_time_seconds", ()] - time.time()) < 60)
        print(f"{len(before)} series of node_exporter, {len(values)} of the agent")
    finally:
        exporter.stop()
        receiver.close()
report.finish()
