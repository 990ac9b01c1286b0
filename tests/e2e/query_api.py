#!/usr/bin/env python3
"""PromQL over HTTP beside results: the cache, explain, statistics, trees, layout, /federate."""
import time

import etinde as e2e

report = e2e.Report()


def metric(etinde, name):
    for line in etinde.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    return 0


def write(etinde, t, value, host="a"):
    answer = etinde.write([({"__name__": "load", "host": host}, [(t * 1000, value)])])
    report.equal("a push", answer.status, 204)


def cache(etinde, t):
    hits = 'etinde_query_cache_total{outcome="hit"}'
    partial = 'etinde_query_cache_total{outcome="partial"}'
    ask = lambda **more: etinde.query_range("sum(load)", t - 120, t, 15, **more).body
    first = ask()
    report.equal("asked again", ask(), first)
    report.equal("that was a hit", metric(etinde, hits), 1)
    report.equal("without the cache", ask(nocache="1"), first)
    report.equal("that was none", metric(etinde, hits), 1)
    write(etinde, t - 60, 7, "late")
    changed = ask()
    report.check("a late sample shows", changed != first)
    report.equal("as without the cache", ask(nocache="1"), changed)
    report.equal("from its time on", metric(etinde, partial), 1)
    answer = etinde.post("/api/v1/admin/tsdb/delete_series", params={
        "match[]": 'load{host="late"}', "start": t - 600, "end": t + 600})
    if answer.status == 204:
        report.equal("a delete shows", ask(), first)
    again = etinde.get("/api/v1/query_range", {"query": "sum(load)", "start": t - 120, "end": t,
                                               "step": 15}, {"Cache-Control": "no-cache"})
    report.equal("Cache-Control passes it by", again.body, ask())


def plans(etinde, t):
    answer = etinde.get("/api/v1/explain", {"query": "sum(rate(load[1m]))", "start": t - 60,
                                            "end": t, "step": 15}).json["data"]
    plan = answer["plan"]
    report.equal("the root", (plan["node"], plan["text"]), ("aggregation", "sum(rate(load[1m]))"))
    leaf = plan["children"][0]["children"][0]
    report.equal("the selector", (leaf["node"], leaf["selectedSeries"] > 0, leaf["samples"] > 0),
                 ("matrixSelector", True, True))
    report.check("statistics", answer["stats"]["samples"]["samplesRead"] == leaf["samples"])
    report.equal("explain of nonsense", etinde.get("/api/v1/explain", {"query": "sum("}).status,
                 400)
    stats = etinde.query_range("load", t - 30, t, 15, stats="all").json["data"]["stats"]
    steps = stats["samples"]["totalQueryableSamplesPerStep"]
    report.equal("a count per step", [s[0] for s in steps], [t - 30, t - 15, t])
    report.equal("their sum", stats["samples"]["totalQueryableSamples"], sum(s[1] for s in steps))
    report.check("timings", set(stats["timings"]) == {
        "evalTotalTime", "resultSortTime", "queryPreparationTime", "innerEvalTime",
        "execQueueTime", "execTotalTime"})
    tree = etinde.get("/api/v1/parse_query", {"query": "load > 1"}).json["data"]
    report.equal("a tree", (tree["type"], tree["op"], tree["rhs"]["val"]), ("binaryExpr", ">", "1"))
    report.equal("no tree", etinde.get("/api/v1/parse_query", {"query": "load >"}).status, 400)
    report.equal("layout", etinde.get("/api/v1/format_query", {"query": "sum(load)by(a)"}).json,
                 {"status": "success", "data": "sum by (a) (load)"})


def federate(etinde, t):
    now = int(time.time()) * 1000
    etinde.write([({"__name__": "up", "instance": "x:1", "q": 'a"\\\n'}, [(now - 2000, 1.5)]),
                  ({"__name__": "apples"}, [(now - 1000, 2e21)]),
                  ({"__name__": "gone"}, [(now - 1000, float("nan"))])])
    text = etinde.get("/federate", {"match[]": '{__name__=~"up|apples"}'}).text
    report.equal("/federate", text, (
        f'# TYPE apples untyped\napples{{instance=""}} 2e+21 {now - 1000}\n'
        f'# TYPE up untyped\nup{{instance="x:1",q="a\\"\\\\\\n"}} 1.5 {now - 2000}\n'))
    report.equal("nothing asked", etinde.get("/federate").text, "")
    report.equal("a bad selector", etinde.get("/federate", {"match[]": "{"}).status, 400)


def run(path):
    etinde = e2e.Etinde(path).start()
    t = int(time.time()) // 15 * 15 - 30
    for i in range(40, -1, -1):
        etinde.write([({"__name__": "load", "host": "a"}, [((t - 15 * i) * 1000, i)])])
    cache(etinde, t)
    plans(etinde, t)
    federate(etinde, t)
    etinde.stop()


with e2e.folder() as where:
    run(where)
report.finish()
