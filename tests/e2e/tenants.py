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


def check_several(name, etinde):
    """blue|green reads both; each series says whose it is."""
    both = of("blue|green")

    def ask(query, path="/api/v1/query"):
        answer = etinde.get(path, {"query": query, "time": time.time()}, both)
        if answer.status != 200:
            return answer.status
        return sorted((r["metric"].get("__tenant_id__"), r["value"][1])
                      for r in answer.json["data"]["result"])

    report.equal(f"{name}: both", ask("m"), [("blue", "2"), ("green", "3")])
    report.equal(f"{name}: one of both", ask('m{__tenant_id__="green"}'), [("green", "3")])
    report.equal(f"{name}: all but one", ask('m{__tenant_id__!~"gr.*"}'), [("blue", "2")])
    report.equal(f"{name}: none", ask('m{__tenant_id__="default"}'), [])
    report.equal(f"{name}: a sum", ask("sum(m) + min(m)"), [(None, "7")])
    report.equal(f"{name}: grouped", ask("sum by (__tenant_id__) (m) * 2"),
                 [("blue", "4"), ("green", "6")])
    report.equal(f"{name}: lines counted",
                 ask('sum by (__tenant_id__) (count_over_time({app="x"} |= "line" [1h]))',
                     "/loki/api/v1/query"), [("blue", "1"), ("green", "1")])
    streams = etinde.log_lines('{app="x"} |= "line"', time.time_ns() - 10**12,
                               time.time_ns() + 10**9, headers=both).json["data"]["result"]
    report.equal(f"{name}: lines", sorted((s["stream"]["__tenant_id__"], v[1])
                                          for s in streams for v in s["values"]),
                 [("blue", "line 2"), ("green", "line 3")])
    for api in ("/api/v1", "/loki/api/v1"):
        names = etinde.get(f"{api}/labels", headers=both).json["data"]
        report.check(f"{name}: {api} label names", {"__tenant_id__", "who"} <= set(names), names)
        values = etinde.get(f"{api}/label/who/values", headers=both).json["data"]
        report.equal(f"{name}: {api} label values", values, ["blue", "green"])
        values = etinde.get(f"{api}/label/__tenant_id__/values", headers=both).json["data"]
        report.equal(f"{name}: {api} tenants", values, ["blue", "green"])
    series = etinde.get("/api/v1/series", {"match[]": 'm{__tenant_id__="blue"}'}, both)
    report.equal(f"{name}: series", series.json["data"],
                 [{"__name__": "m", "__tenant_id__": "blue", "who": "blue"}])
    report.equal(f"{name}: one twice is one", value(etinde, "blue|blue", "m"), ["2"])
    report.equal(f"{name}: with one that nobody knows", value(etinde, "blue|nobody"), ["2"])


def check_several_refusals(etinde):
    for bad in ("blue|", "|", "blue||green", "blue|a/b"):
        report.equal(f"the names {bad}", value(etinde, bad), 400)
    many = "|".join(f"t{i}" for i in range(33))
    report.check("33 tenants", value(etinde, many) in (400, 422), value(etinde, many))
    sample = [({"__name__": "m"}, [(int(time.time() * 1000), 1)])]
    report.equal("nobody writes to two", etinde.write(sample, of("blue|green")).status, 400)


def check_rates():
    """A tenant over its rate gets 429 and is told when to come again; others go on."""
    with e2e.server("--logs.rate", "1KiB", "--logs.rate_burst", "20KiB") as etinde:
        def push(tenant, text):
            return etinde.push([({"app": "x"}, [(time.time_ns(), text)])], of(tenant))
        report.equal("within the burst", push("loud", "a" * 15000).status, 204)
        answer = push("loud", "b" * 15000)
        report.equal("over it", answer.status, 429)
        report.contains("and why", answer.text, "ingestion rate limit exceeded for user loud")
        report.check("and when to come again", answer.headers.get("Retry-After"), answer.headers)
        report.equal("another tenant", push("quiet", "c" * 15000).status, 204)
        stored = etinde.log_lines('{app="x"}', time.time_ns() - 10**12, time.time_ns() + 10**9,
                                  headers=of("loud")).json["data"]["result"]
        report.equal("nothing of it is stored", [v[1][0] for s in stored for v in s["values"]],
                     ["a"])


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
        check_several("at once", etinde)
        check_several_refusals(etinde)
        for bad in ("a/b", "..", "a b", "x" * 65, "\u00e9".encode()):
            answer = etinde.get("/api/v1/labels", headers={"X-Scope-OrgID": bad})
            report.equal(f"the name {bad!r}", answer.status, 400)
            answer = etinde.write([({"__name__": "m"}, [(1, 1)])], {"X-Scope-OrgID": bad})
            report.equal(f"writing as {bad!r}", answer.status, 400)
        etinde.stop(e2e.signal.SIGKILL)
        etinde.start()
        check_isolation("after kill -9", etinde)
        check_several("after kill -9", etinde)
        report.check("reading creates no tenant", "unknown" not in tenants_on_disk(etinde),
                     tenants_on_disk(etinde))
        report.equal("a clean end", etinde.stop(), 0)
    check_rates()
    report.finish()


main()
