#!/usr/bin/env python3
"""Recorded cases of LogQL through HTTP: pushed as JSON, asked with the query API.

Takes up to CASES of each group, spread evenly (all of them with the argument
"all"), each in a tenant of its own.  What the drivers check through the query
facade is checked here through the whole server, with the switches that conformance
runs need.  Cases that are known to fail stand in the list of the driver.
"""
import glob
import json
import math
import os
import sys

import etinde as e2e

CASES = 12
FOLDER = os.path.join(e2e.ROOT, "..", "shared", "conformance", "logql")
PASSING = os.path.join(e2e.ROOT, "tests", "conformance", "logql-passing.txt")

report = e2e.Report()


def seconds(duration):
    """A Go duration such as 1m30s."""
    total, number = 0.0, ""
    units = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
    i = 0
    while i < len(duration):
        if duration[i].isdigit() or duration[i] == ".":
            number += duration[i]
            i += 1
            continue
        unit = duration[i:i + 2] if duration[i:i + 2] in units else duration[i]
        total += float(number) * units[unit]
        number = ""
        i += len(unit)
    return total


def same_number(a, b):
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    return x == y or abs(x - y) <= 1e-9 * max(abs(x), abs(y))


def key(labels):
    return json.dumps(labels, sort_keys=True)


def same_points(got, wanted):
    return len(got) == len(wanted) and all(
        round(g[0] * 1000) == int(w[0]) and same_number(g[1], w[1]) for g, w in zip(got, wanted))


def check_metric(case, answer):
    expect = case["expect"]
    data = answer.json["data"]
    if expect["result_type"] == "scalar":
        return data["resultType"] == "scalar" and same_number(data["result"][1], expect["value"])
    got = {key(s["metric"]): s.get("values") or [s["value"]] for s in data["result"]}
    wanted = {key(s["metric"]): s["values"] for s in expect["result"]}
    return data["resultType"] == expect["result_type"] and got.keys() == wanted.keys() and all(
        same_points(got[k], wanted[k]) for k in wanted)


def check_log(case, answer):
    got = {key(s["stream"]): s["values"] for s in answer.json["data"]["result"]}
    wanted = {key(s["stream"]): s["values"] for s in case["expect"]["result"]}
    return got.keys() == wanted.keys() and all(
        [v[0] for v in got[k]] == [v[0] for v in wanted[k]] and
        sorted(map(tuple, got[k])) == sorted(map(tuple, wanted[k])) for k in wanted)


def ask(etinde, case, tenant):
    headers = {"X-Scope-OrgID": tenant}
    if case["kind"] == "format":
        return etinde.get("/loki/api/v1/format_query", {"query": case["query"]}, headers)
    if case["kind"] == "metric" and case.get("instant"):
        return etinde.get("/loki/api/v1/query", {"query": case["query"], "time": case["end"]},
                          headers)
    params = {"query": case["query"], "start": case.get("start", "1700000000000000000"),
              "end": case.get("end", "1700000060000000000")}
    if case["kind"] == "metric":
        params["step"] = repr(seconds(case["step"]))
    if case["kind"] == "log":
        params.update(limit=case["limit"], direction=case["direction"])
        if case.get("interval"):
            params["interval"] = repr(seconds(case["interval"]))
    return etinde.get("/loki/api/v1/query_range", params, headers)


def check_case(etinde, case, tenant):
    if case.get("input"):
        pushed = etinde.post("/loki/api/v1/push", json.dumps({"streams": case["input"]}),
                             {"Content-Type": "application/json", "X-Scope-OrgID": tenant})
        if not report.equal(f"{case['id']} is taken", pushed.status, 204):
            return
    answer = ask(etinde, case, tenant)
    name = f"{case['id']} {case['query']}"
    if case["expect"].get("fail"):
        report.equal(name, answer.status, 400)
    elif report.equal(name + ": status", answer.status, 200):
        if case["kind"] == "metric":
            report.check(name, check_metric(case, answer), answer)
        elif case["kind"] == "log":
            report.check(name, check_log(case, answer), answer)
        elif case["kind"] == "format":
            report.equal(name, answer.json["data"], case["expect"]["pretty"])


def selection(path, passing):
    with open(path, encoding="ascii") as f:
        cases = [json.loads(line) for line in f]
    cases = [c for c in cases if c["id"] in passing and
             (c["kind"] in ("metric", "log", "format") or
              (c["kind"] == "parse" and c["expect"].get("fail")))]
    every = 1 if "all" in sys.argv[1:] else max(1, len(cases) // CASES)
    return cases[::every]


def main():
    files = sorted(glob.glob(os.path.join(FOLDER, "*.jsonl")))
    if not files:
        e2e.skip("the recorded cases of LogQL are not here")
    with open(PASSING, encoding="utf-8") as f:
        passing = set(f.read().split())
    with e2e.folder() as folder:
        etinde = e2e.Etinde(folder, "--ack", "process", "--no-reject-old-samples",
                            "--no-discover-service-name", "--no-discover-log-levels",
                            "--storage.tenants", "5000").start()
        for path in files:
            for i, case in enumerate(selection(path, passing)):
                group = os.path.basename(path).split(".")[0]
                check_case(etinde, case, f"{group}-{i}")
        report.equal("the server stops cleanly", etinde.stop(), 0)
    report.finish()


main()
