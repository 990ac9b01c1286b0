#!/usr/bin/env python3
"""The requests of Grafana's Prometheus and Loki datasources, as they are sent.

No Grafana runs here: the requests, headers and the fields that its parsers
rely on are known from its source.  Checked are status, content type, types,
and the order of keys in the JSON text, because Grafana's streaming parser
depends on it.
"""
import json
import time

import etinde as e2e

report = e2e.Report()
GRAFANA = {"User-Agent": "Grafana/13.2", "X-Grafana-Org-Id": "1", "X-Grafana-User": "admin",
           "X-Dashboard-Uid": "abc", "X-Panel-Id": "2", "X-Query-Group-Id": "g",
           "FromAlert": "false", "Accept-Encoding": "identity"}
LOKI = {**GRAFANA, "X-Loki-Response-Encoding-Flags": "categorize-labels",
        "X-Query-Tags": "Source=datasample",
        "X-Loki-Query-Limits-Context": json.dumps({"expr": "{}", "from": "", "to": ""})}


def success(name, answer):
    """The envelope's data, or an empty dict."""
    if not report.check(f"{name}: 200", answer.status == 200, repr(answer)):
        return {}
    kind = answer.headers.get("Content-Type", "")
    report.check(f"{name}: JSON", kind.startswith("application/json"), kind)
    shape = answer.json
    report.equal(f"{name}: status comes first", list(shape)[0], "status")
    report.equal(f"{name}: success", shape.get("status"), "success")
    return shape.get("data", {})


def key_order(name, data, *keys):
    order = [k for k in data if k in keys]
    report.equal(f"{name}: order of keys", order, [k for k in keys if k in data])


# ---- Prometheus datasource ----

def prometheus_save_and_test(etinde):
    for method in ("form", "get"):
        fields = {"query": "1+1", "time": "4"}
        answer = etinde.post_form("/api/v1/query", fields, GRAFANA) if method == "form" \
            else etinde.get("/api/v1/query", fields, GRAFANA)
        data = success(f"Save & test by {method}", answer)
        report.equal("a scalar", data, {"resultType": "scalar", "result": [4, "2"]})
        key_order("a scalar", data, "resultType", "result")
    data = success("buildinfo", etinde.get("/api/v1/status/buildinfo", headers=GRAFANA))
    report.check("buildinfo has a version", isinstance(data.get("version"), str)
                 and data["version"].split(".")[0].isdigit(), repr(data))
    report.check("buildinfo has no features", "features" not in data, repr(data))
    report.check("buildinfo holds text only", all(isinstance(v, str) for v in data.values()),
                 repr(data))


def prometheus_queries(etinde, t):
    fields = {"query": "rate(requests_total[1m])", "start": str(t - 60), "end": str(t),
              "step": "15"}
    for name, answer in [
            ("a panel", etinde.post_form("/api/v1/query_range", fields, GRAFANA)),
            ("a panel by GET", etinde.get("/api/v1/query_range", fields, GRAFANA)),
            ("parameters in the URL of a POST",
             etinde.post("/api/v1/query_range", b"",
                         {**GRAFANA, "Content-Type": "application/x-www-form-urlencoded"}, fields)),
            ("half in the URL, half in the form",
             etinde.post_form("/api/v1/query_range", {"query": fields["query"]}, GRAFANA,
                              {k: v for k, v in fields.items() if k != "query"}))]:
        data = success(name, answer)
        key_order(name, data, "resultType", "result")
        report.equal(f"{name}: a matrix", data.get("resultType"), "matrix")
        series = data.get("result", [])
        report.equal(f"{name}: two series", len(series), 2)
        for one in series:
            key_order(name, one, "metric", "values")
            good = one["values"] and all(isinstance(p[0], (int, float)) and isinstance(p[1], str)
                                         for p in one["values"])
            report.check(f"{name}: points are a number and a text", good, repr(one)[:200])
            report.check(f"{name}: a rate", all(abs(float(p[1]) - 1) < 1e-9
                                                for p in one["values"]), repr(one["values"]))
    data = success("query stats", etinde.post_form("/api/v1/query_range", fields, GRAFANA,
                                                   {"stats": "all"}))
    if "stats" in data:
        report.check("stats of samples",
                     isinstance(data["stats"]["samples"]["totalQueryableSamples"], int))
    data = success("an instant query",
                   etinde.post_form("/api/v1/query", {"query": "requests_total", "time": str(t)},
                                    GRAFANA))
    report.equal("a vector", data.get("resultType"), "vector")
    for one in data.get("result", []):
        key_order("a vector", one, "metric", "value")
        report.check("its time is a number", one["value"][0] == t, repr(one))
    data = success("a text", etinde.post_form("/api/v1/query", {"query": '"x"', "time": "7"}))
    report.equal("a text", data, {"resultType": "string", "result": [7, "x"]})
    answer = etinde.post("/api/v1/query", b"", {"Content-Type": "application/json"},
                         {"query": "requests_total", "time": str(t), "step": "300s"})
    report.equal("an alert rule's POST with an empty JSON body",
                 success("vmalert", answer).get("resultType"), "vector")
    answer = etinde.post_form("/api/v1/query", {"query": "requests_total offset 1h unless x"},
                              GRAFANA)
    report.equal("an empty vector", success("nothing", answer).get("result"), [])


def prometheus_names(etinde, t):
    start, end = str(t - 600), str(t + 60)
    names = success("metric names", etinde.get("/api/v1/label/__name__/values", {
        "start": start, "end": end, "limit": "40000"}, GRAFANA))
    report.check("metric names", "requests_total" in names and names == sorted(names), repr(names))
    labels = success("labels", etinde.post_form("/api/v1/labels", {
        "start": start, "end": end, "limit": "40000", "match[]": "requests_total"}, GRAFANA))
    report.equal("labels", labels, ["__name__", "code", "instance"])
    values = success("label values", etinde.get("/api/v1/label/code/values", [
        ("start", start), ("end", end), ("match[]", "requests_total"), ("limit", "0")], GRAFANA))
    report.equal("label values", values, ["200", "500"])
    values = success("label values by POST", etinde.post(
        "/api/v1/label/code/values", b"",
        {"Content-Type": "application/x-www-form-urlencoded"}, {"start": start, "end": end}))
    report.equal("label values by POST", values, ["200", "500"])
    values = success("an escaped name", etinde.get("/api/v1/label/U__http_2e_status/values",
                                                   {"start": start, "end": end}, GRAFANA))
    report.equal("an escaped name", values, ["ok"])
    cut = etinde.get("/api/v1/label/code/values", {"start": start, "end": end, "limit": "1"})
    report.equal("a limit", success("a limit", cut), ["200"])
    report.check("a limit warns", bool(cut.json.get("warnings")), repr(cut))
    for method in ("form", "get"):
        fields = [("match[]", '{__name__!=""}'), ("start", start), ("end", end)]
        answer = etinde.post_form("/api/v1/series", fields, GRAFANA) if method == "form" \
            else etinde.get("/api/v1/series", fields, GRAFANA)
        series = success(f"series by {method}", answer)
        report.check(f"series by {method}", any(s.get("__name__") == "requests_total"
                                                for s in series), repr(series)[:200])
    data = success("metadata", etinde.get("/api/v1/metadata", {"limit": "40000"}, GRAFANA))
    report.check("metadata is an object", isinstance(data, dict), repr(data)[:100])
    answer = etinde.get("/api/v1/labels", headers={"Accept-Encoding": "gzip"})
    report.equal("gzip where it was asked for", answer.status, 200)


def metrics_drilldown(etinde, t):
    query = ('group by (__name__) ({__name__!="",code!=""}) unless '
             '(group by (__name__) ({__name__!=""} offset 1h))')
    answer = etinde.post("/api/v1/query", b"",
                         {"Content-Type": "application/x-www-form-urlencoded"},
                         {"query": query, "time": str(t)})
    result = success("recent metrics", answer).get("result", [])
    report.equal("recent metrics", [r["metric"] for r in result],
                 [{"__name__": "requests_total"}])
    answer = etinde.get("/api/v1/query_range", {
        "query": 'sum(rate(requests_total{__ignore_usage__=""}[1m]))', "start": str(t - 30),
        "end": str(t), "step": "15s"}, GRAFANA)
    report.equal("an absent label equals nothing",
                 len(success("an absent label", answer).get("result", [])), 1)


# ---- Loki datasource ----

def loki_save_and_test(etinde):
    answer = etinde.get("/loki/api/v1/query", {"query": "vector(1)+vector(1)",
                                               "time": "4000000000", "direction": "backward"}, LOKI)
    data = success("Loki's Save & test", answer)
    key_order("Loki's Save & test", data, "resultType", "result", "stats")
    report.equal("a vector with one sample", data.get("resultType"), "vector")
    result = data.get("result", [])
    report.check("of value 2", len(result) == 1 and result[0]["value"][1] == "2", repr(result))


def loki_streams(etinde, t):
    ask = {"query": '{app="web"} | json', "start": str(t - 10**9), "end": str(t + 10**9),
           "direction": "backward", "limit": "1000", "step": "15000ms"}
    data = success("a log query", etinde.get("/loki/api/v1/query_range", ask, LOKI))
    key_order("a log query", data, "resultType", "encodingFlags", "result", "stats")
    report.equal("streams", data.get("resultType"), "streams")
    report.equal("its flags", data.get("encodingFlags"), ["categorize-labels"])
    report.check("statistics", isinstance(data.get("stats", {}).get("summary"), dict),
                 repr(data)[:300])
    entries = []
    for stream in data.get("result", []):
        key_order("a stream", stream, "stream", "values")
        report.check("only stream labels", "level" not in stream["stream"]
                     and "trace" not in stream["stream"], repr(stream["stream"]))
        for value in stream["values"]:
            report.check("three elements", len(value) == 3 and isinstance(value[0], str)
                         and isinstance(value[1], str) and isinstance(value[2], dict), repr(value))
            entries.append(value)
    report.equal("every line", len(entries), 3)
    by_line = {e[1]: e[2] for e in entries if len(e) == 3}
    first = by_line.get('{"level":"info","msg":"one"}', {})
    report.equal("parsed labels", first.get("parsed", {}).get("level"), "info")
    report.equal("structured metadata", first.get("structuredMetadata", {}).get("trace"), "t1")
    times = [int(e[0]) for e in entries]
    report.equal("newest first", times, sorted(times, reverse=True))

    plain = {k: v for k, v in LOKI.items() if k != "X-Loki-Response-Encoding-Flags"}
    data = success("without the flag", etinde.get("/loki/api/v1/query_range", ask, plain))
    report.check("no flags in the answer", "encodingFlags" not in data, repr(data)[:200])
    values = [v for s in data.get("result", []) for v in s["values"]]
    report.check("two elements", values and all(len(v) == 2 for v in values), repr(values)[:200])
    report.check("labels are folded into the stream",
                 any(s["stream"].get("level") == "info" and s["stream"].get("trace") == "t1"
                     for s in data.get("result", [])), repr(data)[:300])
    ask["query"] = '{app="nothing"}'
    data = success("no lines", etinde.get("/loki/api/v1/query_range", ask, LOKI))
    report.equal("no lines", data.get("result"), [])


def loki_metric_queries(etinde, t):
    volume = ('sum by (level, detected_level) (count_over_time({app="web"} '
              '| drop __error__ [1m]))')
    answer = etinde.get("/loki/api/v1/query_range", {
        "query": volume, "start": str(t - 60 * 10**9), "end": str(t + 60 * 10**9),
        "step": "60000ms", "direction": "backward"},
        {**LOKI, "X-Query-Tags": "Source=logvolhist"})
    data = success("the volume histogram", answer)
    key_order("the volume histogram", data, "resultType", "result", "stats")
    report.equal("a matrix", data.get("resultType"), "matrix")
    report.check("no flags on a matrix", "encodingFlags" not in data, repr(data)[:200])
    levels = {s["metric"].get("detected_level") for s in data.get("result", [])}
    report.check("detected levels colour it", {"info", "error"} <= levels, repr(levels))
    for one in data.get("result", []):
        key_order("a matrix", one, "metric", "values")
    answer = etinde.get("/loki/api/v1/query", {
        "query": 'sum(count_over_time({app="web"}[5m]))', "time": str(t + 10**9),
        "direction": "backward", "limit": "10"}, LOKI)
    data = success("an instant metric query", answer)
    result = data.get("result", [])
    report.check("three lines", len(result) == 1 and result[0]["value"][1] == "3", repr(result))


def loki_names(etinde, t):
    span = {"start": str(t - 3600 * 10**9), "end": str(t + 10**9)}
    labels = success("Loki labels", etinde.get("/loki/api/v1/labels", span, LOKI))
    report.equal("Loki labels", labels, ["app", "env", "service_name"])
    labels = success("Loki label", etinde.get("/loki/api/v1/label", span, LOKI))
    report.equal("Loki label", labels, ["app", "env", "service_name"])
    values = success("Loki values", etinde.get("/loki/api/v1/label/env/values",
                                               {**span, "query": '{app="web"}'}, LOKI))
    report.equal("Loki values", values, ["prod"])
    series = success("Loki series", etinde.get("/loki/api/v1/series", {
        **span, "match[]": '{app="web"}'}, LOKI))
    report.equal("Loki series", series, [{"app": "web", "env": "prod", "service_name": "web"}])
    answer = etinde.get("/loki/api/v1/label/__stream_shard__/values", span, LOKI)
    report.check("no shards", answer.status == 200 and not answer.json.get("data"), repr(answer))
    answer = etinde.get("/loki/api/v1/status/buildinfo", headers=LOKI)
    report.check("Loki's build", answer.status == 200 and "version" in answer.json, repr(answer))
    long = '{app="web"} |= "' + "x" * 60000 + '"'
    answer = etinde.get("/loki/api/v1/query_range", {**span, "query": long, "limit": "10"}, LOKI)
    report.equal("a query of 60 kB in the URL", answer.status, 200)
    for path in ("/api/prom/rules/x", "/loki/api/v2alpha/tail"):
        answer = etinde.get(path, headers=GRAFANA)
        report.check(f"{path} is not found", answer.status == 404
                     and "page not found" in answer.text, repr(answer))


def full_stats(etinde, t):
    answer = etinde.get("/loki/api/v1/query_range", {
        "query": '{app="web"}', "start": str(t - 10**9), "end": str(t + 10**9)}, LOKI)
    stats = success("statistics", answer).get("stats", {})
    report.equal("parts of the statistics", list(stats),
                 ["summary", "querier", "ingester", "cache", "index"])
    report.equal("lines of the summary", stats["summary"]["totalLinesProcessed"], 3)
    for place in ("querier", "ingester"):
        report.check(f"chunks of the {place}",
                     isinstance(stats[place]["store"]["chunk"]["decompressedLines"], int))
    report.equal("kinds of caches", list(stats["cache"]),
                 ["chunk", "index", "result", "statsResult", "volumeResult", "seriesResult",
                  "labelResult", "instantMetricResult"])
    for cache in stats["cache"].values():
        report.check("a cache has numbers", all(isinstance(v, int) for v in cache.values()))


def bytes_of_lines():
    return len('{"level":"info","msg":"one"}') + len('{"level":"error","msg":"two"}') + \
        len("level=warn no json")


def logs_drilldown(etinde, t):
    span = {"start": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(t / 1e9 - 600)),
            "end": time.strftime("%Y-%m-%dT%H:%M:%S.999Z", time.gmtime(t / 1e9 + 2))}
    answer = etinde.get("/loki/api/v1/drilldown-limits", headers=LOKI)
    report.equal("drilldown-limits: 200", answer.status, 200)
    report.equal("drilldown-limits: keys", list(answer.json),
                 ["limits", "pattern_ingester_enabled", "version"])
    limits = answer.json["limits"]
    report.check("limits by Loki's names", limits["volume_enabled"] is True
                 and limits["discover_log_levels"] is True
                 and limits["discover_service_name"][0] == "service"
                 and "level" in limits["log_level_fields"]
                 and limits["max_entries_limit_per_query"] == 5000
                 and isinstance(limits["retention_period"], str), repr(limits))
    data = success("the landing page", etinde.get("/loki/api/v1/index/volume", {
        **span, "query": '{service_name=~".+"}', "limit": "5000"}, LOKI))
    key_order("the landing page", data, "resultType", "result", "stats")
    report.equal("volume: a vector", data.get("resultType"), "vector")
    result = data.get("result", [])
    report.equal("volume: by service", [(r["metric"], r["value"][1]) for r in result],
                 [({"service_name": "web"}, str(bytes_of_lines())),
                  ({"service_name": "db"}, "5")])
    key_order("volume", result[0], "metric", "value")
    ask = {**span, "query": "{}", "aggregateBy": "labels", "targetLabels": "env"}
    data = success("volume by labels", etinde.get("/loki/api/v1/index/volume", ask, LOKI))
    report.equal("volume by labels", [(r["metric"], r["value"][1]) for r in data["result"]],
                 [({"env": ""}, str(bytes_of_lines()))])
    data = success("all labels", etinde.get("/loki/api/v1/index/volume", {
        **span, "query": "{}", "aggregateBy": "labels"}, LOKI))
    report.equal("all labels", [list(r["metric"])[0] for r in data["result"]],
                 ["app", "service_name", "env", "shard"])
    data = success("a limit", etinde.get("/loki/api/v1/index/volume", {
        **span, "query": '{app=~".+"}', "limit": "1"}, LOKI))
    report.equal("a limit keeps the largest", [r["metric"] for r in data["result"]],
                 [{"app": "web"}])
    answer = etinde.get("/loki/api/v1/index/volume", {**ask, "aggregateBy": "x"}, LOKI)
    report.equal("a wrong aggregation", answer.status, 400)
    data = success("volume_range", etinde.get("/loki/api/v1/index/volume_range", {
        **span, "query": '{service_name=~".+"}', "targetLabels": "app,env", "step": "60s"}, LOKI))
    report.equal("volume_range: a matrix", data.get("resultType"), "matrix")
    report.equal("volume_range: series with all target labels",
                 [r["metric"] for r in data["result"]], [{"app": "web", "env": "prod"}])
    key_order("volume_range", data["result"][0], "metric", "values")
    report.equal("volume_range: all bytes", sum(int(v[1]) for v in data["result"][0]["values"]),
                 bytes_of_lines())
    for query in ("", '{app="web"}'):
        answer = etinde.get("/loki/api/v1/detected_labels", {**span, "query": query}, LOKI)
        report.equal("detected_labels: 200", answer.status, 200)
        report.equal("detected_labels: bare", list(answer.json), ["detectedLabels"])
        labels = answer.json["detectedLabels"]
        report.equal("detected_labels: keys", list(labels[0]), ["label", "cardinality"])
        report.equal("detected_labels: ids are left out",
                     {e["label"]: e["cardinality"] for e in labels},
                     {"app": 1, "env": 1, "service_name": 1} if query else
                     {"app": 2, "env": 1, "service_name": 2})
    ask = {**span, "query": '{app="web"}', "limit": "1000"}
    answer = etinde.get("/loki/api/v1/detected_fields", ask, LOKI)
    report.equal("detected_fields: 200", answer.status, 200)
    report.equal("detected_fields: bare", list(answer.json), ["fields", "limit"])
    report.equal("detected_fields: limit", answer.json["limit"], 1000)
    fields = {f["label"]: f for f in answer.json["fields"]}
    for field in fields.values():
        key_order("a field", field, "label", "type", "cardinality", "parsers", "jsonPath")
    report.equal("detected_fields: a field of two formats", fields.get("level"), {
        "label": "level", "type": "string", "cardinality": 3, "parsers": ["json", "logfmt"],
        "jsonPath": ["level"]})
    report.equal("detected_fields: structured metadata", fields.get("trace"), {
        "label": "trace", "type": "string", "cardinality": 1, "parsers": None})
    answer = etinde.get("/loki/api/v1/detected_field/level/values", ask, LOKI)
    report.equal("detected_field/level/values: keys", list(answer.json), ["values", "limit"])
    report.equal("detected_field/level/values", sorted(answer.json["values"]),
                 ["error", "info", "warn"])
    answer = etinde.get("/loki/api/v1/detected_field/nothing/values", ask, LOKI)
    report.equal("an unknown field", answer.json, {"values": [], "limit": 1000})
    answer = etinde.get("/loki/api/v1/detected_fields", {
        **span, "query": 'rate({app="web"}[1m])'}, LOKI)
    report.equal("fields of a metric query", answer.status, 400)
    lines = [(t + 10 + i, f"user={name} took {i}ms", {"detected_level": "info"})
             for i, name in enumerate(("ann", "bob", "eve"))]
    report.equal("lines for patterns", etinde.push([({"app": "pat"}, lines)]).status, 204)
    data = success("patterns", etinde.get("/loki/api/v1/patterns", {
        **span, "query": '{app="pat"}', "step": "60s"}, LOKI))
    report.equal("patterns: one", len(data), 1)
    key_order("a pattern", data[0], "pattern", "level", "samples")
    report.equal("patterns: its text", data[0]["pattern"], "user=<_> took <_>")
    report.equal("patterns: its level", data[0]["level"], "info")
    report.check("patterns: samples are numbers", all(
        isinstance(s[0], int) and s[0] % 60 == 0 and isinstance(s[1], int)
        for s in data[0]["samples"]), repr(data))
    report.equal("patterns: every line", sum(s[1] for s in data[0]["samples"]), 3)
    found = success("a pattern filter", etinde.get("/loki/api/v1/query_range", {
        **span, "query": '{app="pat"} |> "' + data[0]["pattern"] + '"'}, LOKI))
    report.equal("a pattern finds its lines",
                 sum(len(s["values"]) for s in found["result"]), 3)
    report.equal("no patterns", success("no patterns", etinde.get("/loki/api/v1/patterns", {
        **span, "query": '{app="none"}'}, LOKI)), [])
    answer = etinde.get("/loki/api/v1/tail", {"query": '{app="web"}'}, LOKI)
    report.equal("tail without a WebSocket", answer.status, 400)
    answer = etinde.get("/config")
    report.check("/config is YAML", answer.status == 200 and "retention" in answer.text,
                 repr(answer))


def loki_before_version_1(etinde, t):
    span = {"start": str(t - 10**9), "end": str(t + 10**9)}
    answer = etinde.get("/api/prom/query", {**span, "query": '{app="web"} |= "one"'}, LOKI)
    report.equal("/api/prom/query: 200", answer.status, 200)
    report.equal("/api/prom/query: keys", list(answer.json), ["streams", "stats"])
    stream = answer.json["streams"][0]
    report.equal("/api/prom/query: a stream", list(stream), ["labels", "entries"])
    report.check("/api/prom/query: labels as text", 'app="web"' in stream["labels"])
    report.equal("/api/prom/query: an entry", list(stream["entries"][0]), ["ts", "line"])
    answer = etinde.get("/api/prom/query", {**span, "query": 'count_over_time({app="web"}[1m])'})
    report.equal("/api/prom/query: streams only", answer.status, 400)
    report.equal("/api/prom/label", etinde.get("/api/prom/label", span).json,
                 {"values": ["app", "env", "service_name"]})
    report.equal("/api/prom/label/env/values", etinde.get("/api/prom/label/env/values", span).json,
                 {"values": ["prod"]})
    series = success("/api/prom/series", etinde.get("/api/prom/series", {
        **span, "match": '{app="web"}'}))
    report.equal("/api/prom/series", len(series), 1)


def times_of_all_kinds(etinde, t):
    seconds = t / 1e9
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds - 5))
    for name, start in [("ns", str(t - 5 * 10**9)), ("seconds", str(int(seconds - 5))),
                        ("float seconds", f"{seconds - 5:.3f}"), ("RFC 3339", stamp + ".000Z")]:
        answer = etinde.get("/loki/api/v1/query_range", {
            "query": '{app="web"}', "start": start, "end": str(t + 10**9), "limit": "10"}, LOKI)
        lines = sum(len(s["values"]) for s in success(f"start as {name}", answer)
                    .get("result", []))
        report.equal(f"start as {name}", lines, 3)
    answer = etinde.get("/api/v1/query_range", {"query": "vector(1)", "start": stamp + "Z",
                                                "end": stamp + "Z", "step": "1m"})
    report.equal("RFC 3339 for PromQL", len(success("RFC 3339", answer)["result"][0]["values"]), 1)


def main():
    with e2e.server() as etinde:
        loki_save_and_test(etinde)  # also with nothing stored
        t = int(time.time())
        samples = {code: [((t - 300 + i * 15) * 1000, i * 15.0) for i in range(21)]
                   for code in ("200", "500")}
        answer = etinde.write([({"__name__": "requests_total", "code": code, "instance": "a:1"},
                                values) for code, values in samples.items()] +
                              [({"__name__": "utf8", "http.status": "ok"}, [(t * 1000, 1.0)])])
        report.equal("metrics are taken", answer.status, 204)
        ns = time.time_ns() - 5 * 10**8
        answer = etinde.push([({"app": "web", "env": "prod"}, [
            (ns, '{"level":"info","msg":"one"}', {"trace": "t1"}),
            (ns + 1, '{"level":"error","msg":"two"}'), (ns + 2, "level=warn no json")])])
        report.equal("lines are taken", answer.status, 204)
        for part, when in [(prometheus_queries, t), (prometheus_names, t), (metrics_drilldown, t),
                           (loki_streams, ns), (loki_metric_queries, ns), (loki_names, ns),
                           (times_of_all_kinds, ns), (full_stats, ns),
                           (loki_before_version_1, ns)]:
            try:
                part(etinde, when)
            except Exception as error:
                report.check(f"{part.__name__} ran to its end", False,
                             f"{type(error).__name__}: {error}")
        answer = etinde.push([({"app": "db", "shard": "17"}, [(ns + 3, "hello")])])
        report.equal("another stream is taken", answer.status, 204)
        try:
            logs_drilldown(etinde, ns)
        except Exception as error:
            report.check("logs_drilldown ran to its end", False, f"{type(error).__name__}: {error}")
        prometheus_save_and_test(etinde)
        loki_save_and_test(etinde)
        report.equal("a clean end", etinde.stop(), 0)
    report.finish()


main()
