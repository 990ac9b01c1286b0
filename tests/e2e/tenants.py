#!/usr/bin/env python3
"""Tenants see their own data only, and reading creates nothing."""
import os
import time

import etinde as e2e

report = e2e.Report()


def of(tenant):
    return {"X-Scope-OrgID": tenant} if tenant else {}


def value(etinde, tenant, query="m"):
    answer = etinde.get("/api/v1/query", {"query": query, "time": time.time()}, of(tenant))
    return [r["value"][1] for r in answer.json["data"]["result"]] if answer.status == 200 \
        else answer.status


def lines(etinde, tenant):
    answer = etinde.log_lines('{app="x"}', time.time_ns() - 10**12, time.time_ns() + 10**9,
                              headers=of(tenant))
    return [v[1] for s in answer.json["data"]["result"] for v in s["values"]] \
        if answer.status == 200 else answer.status


def check_isolation(name, etinde):
    for tenant, number in (("", 1), ("default", 1), ("blue", 2), ("green", 3)):
        report.equal(f"{name}: metrics of {tenant or 'nobody'}", value(etinde, tenant),
                     [str(number)])
        report.equal(f"{name}: lines of {tenant or 'nobody'}", lines(etinde, tenant),
                     [f"line {number}"])
    report.equal(f"{name}: a tenant without data", (value(etinde, "unknown"),
                                                    lines(etinde, "unknown")), ([], []))
    values = etinde.get("/api/v1/label/who/values", headers=of("blue")).json["data"]
    report.equal(f"{name}: label values", values, ["blue"])
    series = etinde.get("/loki/api/v1/series", {"match[]": '{app="x"}'}, of("green"))
    report.equal(f"{name}: series", [s["who"] for s in series.json["data"]], ["green"])


def tenants_on_disk(etinde):
    return sorted(d for d in os.listdir(etinde.data)
                  if os.path.isdir(os.path.join(etinde.data, d)) and d not in ("wal", "meta"))


def main():
    with e2e.folder() as path:
        etinde = e2e.Etinde(path, "--storage.seal_interval", "1s").start()
        for tenant, number in (("default", 1), ("blue", 2), ("green", 3)):
            ms = int(time.time() * 1000)
            report.equal("samples are taken", etinde.write(
                [({"__name__": "m", "who": tenant}, [(ms, number)])], of(tenant)).status, 204)
            report.equal("lines are taken", etinde.push(
                [({"app": "x", "who": tenant}, [(ms * 10**6, f"line {number}")])],
                of(tenant)).status, 204)
        check_isolation("at once", etinde)
        for bad in ("a/b", "..", "a b", "x" * 65, "\u00e9".encode()):
            answer = etinde.get("/api/v1/labels", headers={"X-Scope-OrgID": bad})
            report.equal(f"the name {bad!r}", answer.status, 400)
            answer = etinde.write([({"__name__": "m"}, [(1, 1)])], {"X-Scope-OrgID": bad})
            report.equal(f"writing as {bad!r}", answer.status, 400)
        etinde.stop(e2e.signal.SIGKILL)
        etinde.start()
        check_isolation("after kill -9", etinde)
        report.check("reading creates no tenant", "unknown" not in tenants_on_disk(etinde),
                     tenants_on_disk(etinde))
        report.equal("a clean end", etinde.stop(), 0)
    report.finish()


main()
