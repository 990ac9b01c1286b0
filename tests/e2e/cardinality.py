#!/usr/bin/env python3
"""/api/v1/status/tsdb: the same answer as a Prometheus gives that took the same series."""
import json
import os
import subprocess
import time
import urllib.request

import etinde as e2e

report = e2e.Report()
RANKINGS = ("seriesCountByMetricName", "labelValueCountByLabelName", "memoryInBytesByLabelName",
            "seriesCountByLabelValuePair")


def series(now_ms):
    """Counts that differ, so that the order is given."""
    out = []
    for m in range(1, 6):
        for i in range(m * 7):
            labels = {"__name__": f"metric_{m}", "i": str(i), "job": "x"}
            if i % 3 == 0:
                labels["zone"] = "café" + str(i % 2)
            out.append((labels, [(now_ms - 1000, float(i)), (now_ms, 1.0)]))
    return out


def prometheus(path, written):
    port = e2e.free_port()
    config = os.path.join(path, "prometheus.yml")
    with open(config, "w", encoding="utf-8") as f:
        f.write("scrape_configs: []\n")
    with open(os.path.join(path, "log"), "wb") as log:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={path}/tsdb",
             f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"],
            stdout=log, stderr=log)

    def call(method, where, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{where}", data=body,
                                         method=method, headers={
            "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read() or b"{}"
        except OSError:
            return None
    try:
        e2e.wait_until(lambda: call("GET", "/-/ready"), 60)
        report.check("Prometheus takes the series",
                     call("POST", "/api/v1/write", e2e.snappy(e2e.write_request(written))))
        return json.loads(call("GET", "/api/v1/status/tsdb"))
    finally:
        process.terminate()
        process.wait(60)


def main():
    e2e.need("prometheus")
    now_ms = int(time.time() * 1000)
    written = series(now_ms)
    with e2e.server() as etinde, e2e.folder() as path:
        empty = etinde.get("/api/v1/status/tsdb").json
        report.equal("nothing yet", empty["data"]["headStats"], {
            "numSeries": 0, "numLabelPairs": 0, "chunkCount": 0, "minTime": 2**63 - 1,
            "maxTime": -2**63})
        report.equal("taken", etinde.write(written).status, 204)
        mine = etinde.get("/api/v1/status/tsdb").json
        theirs = prometheus(path, written)
        # Prometheus 3 counts each label of each series with the lengths in front; 2.42 did not.
        sizes = {}
        for labels, _ in written:
            for name, value in labels.items():
                sizes[name] = sizes.get(name, 0) + len(name) + len(value.encode()) + 2
        theirs["data"]["memoryInBytesByLabelName"] = [
            {"name": n, "value": v} for n, v in sorted(sizes.items(), key=lambda i: -i[1])]
        for ranking in RANKINGS:
            report.equal(f"{ranking}: the values", [r["value"] for r in mine["data"][ranking]],
                         [r["value"] for r in theirs["data"][ranking]])
            least = mine["data"][ranking][-1]["value"]
            top = [[r for r in answer["data"][ranking] if r["value"] > least]
                   for answer in (mine, theirs)]
            for names in top:
                names.sort(key=lambda r: (-r["value"], r["name"]))
            report.equal(f"{ranking}: the names", *top)
        for key, value in theirs["data"]["headStats"].items():
            report.equal(f"headStats: {key}", mine["data"]["headStats"][key], value)
        short = etinde.get("/api/v1/status/tsdb", {"limit": "2"}).json
        report.equal("limit", [len(short["data"][r]) for r in RANKINGS], [2] * 4)
        report.equal("the highest first", short["data"]["seriesCountByMetricName"],
                     [{"name": "metric_5", "value": 35}, {"name": "metric_4", "value": 28}])
        for limit, text in (("0", "limit must be a positive number"),
                            ("x", "limit must be a positive number"),
                            ("10001", "limit must not exceed 10000")):
            answer = etinde.get("/api/v1/status/tsdb", {"limit": limit})
            report.equal(f"limit {limit}", (answer.status, answer.json["errorType"],
                                            answer.json["error"]), (400, "bad_data", text))
        other = etinde.get("/api/v1/status/tsdb", headers={"X-Scope-OrgID": "nobody"}).json
        report.equal("another tenant", other["data"]["seriesCountByMetricName"], [])
    report.finish()


main()
