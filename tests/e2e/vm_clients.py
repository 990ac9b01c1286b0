#!/usr/bin/env python3
"""VictoriaMetrics' vmagent scrapes and pushes to Etinde; its vmalert queries and writes back.

Two more clients of the remote-write and query protocols, with their own habits:
vmagent sends large blocks over several connections, vmalert asks by a POST with
an empty body, and writes the results of rules as new series.
"""
import os
import time

import etinde as e2e

report = e2e.Report()

SCRAPE = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - {{job_name: node, static_configs: [{{targets: ["127.0.0.1:{node}"]}}]}}
"""
RULES = """
groups:
  - name: e2e
    interval: 1s
    rules:
      - {record: "load:avg", expr: "avg(node_load1) + 0", labels: {by: vmalert}}
      - {alert: AlwaysOn, expr: "count(node_load1) > 0"}
"""


def result(etinde, query):
    answer = etinde.query(query, time.time())
    return answer.json["data"]["result"] if answer.status == 200 else []


def run(etinde, path):
    node = e2e.free_port()
    with open(os.path.join(path, "scrape.yml"), "w") as f:
        f.write(SCRAPE.format(node=node))
    with open(os.path.join(path, "rules.yml"), "w") as f:
        f.write(RULES)
    url = f"http://127.0.0.1:{etinde.port}"
    processes = [
        e2e.Process(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{node}"],
                    os.path.join(path, "node.log")),
        e2e.Process(["vmagent", f"-promscrape.config={path}/scrape.yml",
                     f"-remoteWrite.url={url}/api/v1/write", f"-remoteWrite.tmpDataPath={path}/vmagent",
                     f"-httpListenAddr=127.0.0.1:{e2e.free_port()}"],
                    os.path.join(path, "vmagent.log"))]
    try:
        arrived = e2e.wait_until(lambda: len(result(etinde, "node_load1")) == 1, 20)
        report.check("vmagent's samples arrive", arrived, processes[1].tail(800))
        processes.append(e2e.Process(
            ["vmalert", f"-rule={path}/rules.yml", f"-datasource.url={url}",
             f"-remoteWrite.url={url}", f"-notifier.url=http://127.0.0.1:{e2e.free_port()}",
             f"-httpListenAddr=127.0.0.1:{e2e.free_port()}"], os.path.join(path, "vmalert.log")))
        recorded = e2e.wait_until(lambda: len(result(etinde, 'load:avg{by="vmalert"}')) == 1, 25)
        report.check("vmalert's recording rule is stored", recorded, processes[2].tail(1500))
        firing = e2e.wait_until(
            lambda: len(result(etinde, 'ALERTS{alertname="AlwaysOn",alertstate="firing"}')) == 1, 10)
        report.check("vmalert's alert is stored", firing, processes[2].tail(800))
        time.sleep(4)
        counts = result(etinde, "count_over_time(node_load1[4s])")
        report.check("a sample for each scrape", counts and 3 <= float(counts[0]["value"][1]) <= 5,
                     repr(counts))
        names = etinde.get("/api/v1/label/__name__/values").json["data"]
        report.check("a node's names", len([n for n in names if n.startswith("node_")]) > 50,
                     len(names))
        for process, name in zip(processes[1:], ("vmagent", "vmalert")):
            log = process.tail(1 << 20)
            bad = [line for line in log.split("\n") if "unexpected status code" in line
                   or "cannot push" in line or "error when executing" in line
                   or "failed to execute" in line]
            report.check(f"{name} has no complaint of us", not bad, bad[:2])
    finally:
        for process in processes:
            process.stop()


def main():
    e2e.need("vmagent", "vmalert", "prometheus-node-exporter")
    with e2e.server() as etinde:
        run(etinde, etinde.folder)
        report.equal("a clean end", etinde.stop(), 0)
    report.finish()


main()
