#!/usr/bin/env python3
"""Exemplars over remote-write and /api/v1/query_exemplars, as Prometheus answers; they stay."""
import os
import signal
import subprocess
import time

import etinde as e2e

report = e2e.Report()


def labels(number, pairs):
    return b"".join(e2e.field(number, e2e.field(1, n) + e2e.field(2, v)) for n, v in pairs)


def series(pairs, samples, exemplars):
    message = labels(1, pairs)
    message += b"".join(e2e.field(2, e2e.double_field(1, v) + e2e.number_field(2, t))
                        for t, v in samples)
    for t, v, own in exemplars:
        message += e2e.field(3, labels(1, own) + e2e.double_field(2, v) + e2e.number_field(3, t))
    return e2e.field(1, message)


def push(etinde, *messages, headers=None):
    return etinde.post("/api/v1/write", e2e.snappy(b"".join(messages)), {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0", **(headers or {})})


def ask(etinde, query, **more):
    return etinde.get("/api/v1/query_exemplars", {"query": query, **more})


def metric(etinde, name):
    for line in etinde.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    return None


def run(path):
    etinde = e2e.Etinde(path, "--web.enable-admin-api").start()
    try:
        check(path, etinde)
    finally:
        if etinde.process and etinde.process.running():
            etinde.stop()


def check(path, etinde):
    t = int(time.time()) * 1000 - 60000
    a = [("__name__", "http_total"), ("path", "/a")]
    b = [("__name__", "http_total"), ("path", "/b")]
    trace = [("trace_id", "abc"), ("span", "1")]
    answer = push(etinde,
                  series(b, [(t, 5)], [(t, 0.25, [("trace_id", "b1")])]),
                  series(a, [(t, 6)], [(t - 1500, 6, trace), (t + 123, 1e21, [("trace_id", "a2")])]),
                  series([("__name__", "alone"), ("job", "x")], [], [(t, 1, [("trace_id", "c1")])]))
    report.equal("a push", (answer.status, answer.body), (204, b""))

    window = {"start": t / 1000 - 10, "end": t / 1000 + 10}
    wanted = (
        '{"status":"success","data":['
        '{"seriesLabels":{"__name__":"http_total","path":"/a"},"exemplars":['
        f'{{"labels":{{"span":"1","trace_id":"abc"}},"value":"6","timestamp":{(t - 1500) / 1000:.3f}}},'
        f'{{"labels":{{"trace_id":"a2"}},"value":"1e+21","timestamp":{(t + 123) / 1000:.3f}}}]}},'
        '{"seriesLabels":{"__name__":"http_total","path":"/b"},"exemplars":['
        f'{{"labels":{{"trace_id":"b1"}},"value":"0.25","timestamp":{t // 1000}}}]}}]}}')
    report.equal("selectors of an expression", ask(
        etinde, 'sum(rate(http_total{path="/a"}[5m])) / max(http_total{path=~"/b|/c"}) > 1',
        **window).text, wanted)
    report.equal("a form", etinde.post_form(
        "/api/v1/query_exemplars", {"query": "http_total", **window}).text, wanted)
    report.equal("all times when none is given", ask(etinde, "http_total").text, wanted)
    report.equal("a series without samples", len(ask(etinde, "alone").json["data"]), 1)
    report.equal("by time", [s["seriesLabels"]["path"] for s in ask(
        etinde, "http_total", start=t / 1000, end=t / 1000).json["data"]], ["/b"])
    report.equal("none in the range", ask(etinde, "http_total", start=1, end=2).text,
                 '{"status":"success","data":[]}')
    report.equal("no selector", ask(etinde, "1 + 1").json["status"], "success")
    report.equal("milliseconds for seconds", ask(etinde, "test", start=t, end=t + 1).json,
                 {"status": "success", "data": []})
    report.equal("another tenant", etinde.get("/api/v1/query_exemplars", {"query": "http_total"},
                                              {"X-Scope-OrgID": "other"}).json["data"], [])

    answer = ask(etinde, "sum(", **window)
    report.equal("a broken query", (answer.status, answer.json["errorType"]), (400, "bad_data"))
    answer = ask(etinde, "m", start=5, end=4)
    report.equal("end before start", answer.status, 400)
    report.contains("it says so", answer.text, "end timestamp must not be before start")
    report.equal("no time", ask(etinde, "m", start="x").status, 400)

    # What is wrong with an exemplar never fails the request.
    answer = push(etinde, series(a, [(t + 1, 7)], [
        (t + 123, 1e21, [("trace_id", "a2")]),              # the same again
        (t - 5000, 1, [("trace_id", "old")]),               # older than the newest
        (t + 200, 1, [("trace_id", "x" * 121)]),            # over 128 characters
        (t + 201, 1, [("trace_id", "x"), ("trace_id", "y")])]))
    report.equal("bad exemplars", answer.status, 204)
    report.equal("are not stored", ask(etinde, "http_total").text, wanted)
    report.equal("are counted", metric(
        etinde, 'etinde_push_refused_total{kind="metric",reason="bad_exemplar"}'), 2)
    report.equal("out of order ones, too", metric(
        etinde, "prometheus_tsdb_exemplar_out_of_order_exemplars_total"), 1)
    report.equal("how many there are", metric(
        etinde, "prometheus_tsdb_exemplar_exemplars_in_storage"), 4)

    copy = etinde.post("/api/v1/admin/tsdb/snapshot").json["data"]["name"]
    etinde.stop(signal.SIGKILL)
    etinde.start()
    report.equal("after kill -9", ask(etinde, "http_total").text, wanted)
    etinde.stop()
    etinde.start()
    report.equal("after a clean stop", ask(etinde, "http_total").text, wanted)
    etinde.stop()
    binary = e2e.server_binary()
    verify = subprocess.run([binary, "verify", "--data", etinde.data], capture_output=True)
    report.equal("etinde verify finds nothing", verify.returncode, 0)
    for root, folders, _ in os.walk(etinde.data):
        if copy in folders:
            second = e2e.Etinde(path, data=os.path.join(root, copy)).start()
            report.equal("a snapshot has them", ask(second, "http_total").text, wanted)
            second.stop()
            break
    else:
        report.check("there is a snapshot", False)


with e2e.folder() as where:
    run(where)
report.finish()
