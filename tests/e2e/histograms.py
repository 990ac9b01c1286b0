#!/usr/bin/env python3
"""Native histograms over remote-write: stored, refused by name, there after kill -9 and sealing."""
import os
import signal
import subprocess
import time

import etinde as e2e

report = e2e.Report()


def zigzag(value):
    return value << 1 ^ value >> 63


def packed(number, values):
    return e2e.field(number, b"".join(e2e.varint(zigzag(v)) for v in values))


def histogram(ms, deltas, count=None, schema=0, hint=0):
    """Buckets 1, 2, ... of `schema`, given as differences."""
    level, total = 0, 0
    for delta in deltas:
        level += delta
        total += level
    message = e2e.number_field(1, total if count is None else count)
    message += e2e.double_field(3, total / 2)
    message += e2e.number_field(4, zigzag(schema))
    message += e2e.field(11, e2e.number_field(1, zigzag(1)) + e2e.number_field(2, len(deltas)))
    message += packed(12, deltas)
    return message + e2e.number_field(14, hint) + e2e.number_field(15, ms)


def request(series):
    out = b""
    for name, histograms in series:
        labels = e2e.field(1, e2e.field(1, "__name__") + e2e.field(2, name))
        out += e2e.field(1, labels + b"".join(e2e.field(4, h) for h in histograms))
    return e2e.snappy(out)


def push(etinde, series):
    return etinde.post("/api/v1/write", request(series), {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0"})


def answers(etinde, t):
    """Instant and range answers, byte for byte."""
    return (etinde.query("h", t).body.decode(),
            etinde.query_range("h", t - 30, t, 15).body.decode())


def run(path):
    etinde = e2e.Etinde(path).start()
    t = int(time.time()) // 15 * 15 - 30
    answer = push(etinde, [("h", [histogram((t - 30) * 1000, [2, 1]),
                                  histogram((t - 15) * 1000, [3, 2]),
                                  histogram(t * 1000, [1, 0, 4])])])
    report.equal("a push", (answer.status, answer.body), (204, b""))
    answer = push(etinde, [("h", [histogram(t * 1000, [1, 0, 4])])])
    report.equal("the same again", answer.status, 204)
    answer = push(etinde, [("h", [histogram(t * 1000, [2, 0, 4])])])
    report.equal("another at the same time", answer.status, 400)
    report.contains("it says so", answer.text, "duplicate")
    answer = push(etinde, [("good", [histogram(t * 1000, [1])]),
                           ("bad", [histogram(t * 1000, [1], count=5)]),
                           ("worse", [histogram(t * 1000, [1], schema=-7)])])
    report.equal("invalid ones", answer.status, 400)
    report.contains("they are named", answer.text, "1 observations found in buckets",
                    "must be between -4 and 8")
    report.equal("the good one is stored",
                 len(etinde.query("good", t).json["data"]["result"]), 1)
    report.equal("the bad one is not", etinde.query("bad", t).json["data"]["result"], [])

    wanted = [t, {"count": "7", "sum": "3.5",
                  "buckets": [[0, "1", "2", "1"], [0, "2", "4", "1"], [0, "4", "8", "5"]]}]
    result = etinde.query("h", t).json["data"]["result"][0]
    report.equal("an instant query", result.get("histogram"), wanted)
    result = etinde.query_range("h", t - 30, t, 15).json["data"]["result"][0]
    report.equal("a range query has three", len(result.get("histograms", [])), 3)
    report.equal("and no floats", result.get("values"), None)
    before = answers(etinde, t)
    etinde.stop(signal.SIGKILL)
    etinde.start()
    report.equal("after kill -9", answers(etinde, t), before)
    etinde.stop()
    verify = subprocess.run([e2e.server_binary(), "verify", "--data", os.path.join(path, "data")],
                            capture_output=True, text=True)
    report.equal("etinde verify finds nothing", verify.returncode, 0)
    etinde.start()
    report.equal("after a clean stop, sealed", answers(etinde, t), before)
    etinde.stop()


with e2e.folder() as where:
    run(where)
report.finish()
