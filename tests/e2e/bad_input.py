#!/usr/bin/env python3
"""Bad input gets a status and a text that names the cause, and never costs the good part.

Every kind of bad input that the two push protocols and the query endpoints can
meet is sent to a real server.  Where a request holds good data beside the bad,
the good data is read back.
"""
import gzip
import json
import time

import etinde as e2e

report = e2e.Report()
RW = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
      "X-Prometheus-Remote-Write-Version": "0.1.0"}
JSON = {"Content-Type": "application/json"}
BODY_LIMIT = 8 << 20


def now_ms():
    return int(time.time() * 1000)


def now_ns():
    return time.time_ns()


def wants(name, answer, status, *words):
    report.check(f"{name}: status", answer.status == status, f"{answer!r}, wanted {status}")
    if words:
        report.contains(f"{name}: text", answer.text, *words)


def stored(etinde, name, metric, value):
    answer = etinde.query(metric, time.time())
    result = answer.json["data"]["result"] if answer.status == 200 else None
    good = result and len(result) == 1 and float(result[0]["value"][1]) == value
    report.check(f"{name}: the good part is stored", good, repr(answer))


def stored_lines(etinde, name, selector, lines):
    answer = etinde.log_lines(selector, now_ns() - 3600 * 10**9, now_ns() + 10**9)
    got = sorted(v[1] for s in answer.json["data"]["result"] for v in s["values"]) \
        if answer.status == 200 else answer
    report.equal(f"{name}: the good part is stored", got, sorted(lines))


# ---- remote-write ----

def remote_write_headers(etinde):
    broken = b"\xff\xff not snappy at all"
    for what, header, value in [
            ("wrong type", "Content-Type", "application/json"),
            ("wrong proto", "Content-Type", "application/x-protobuf;proto=io.example.Request"),
            ("2.0 proto", "Content-Type",
             "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
            ("wrong encoding", "Content-Encoding", "gzip"),
            ("unknown encoding", "Content-Encoding", "sdch")]:
        answer = etinde.post("/api/v1/write", broken, {**RW, header: value})
        wants(f"remote-write, {what} with a broken body", answer, 415,
              value.split(";proto=")[-1])
    answer = etinde.get("/api/v1/write")
    wants("remote-write, GET", answer, 405)


def remote_write_bodies(etinde):
    good = e2e.snappy(e2e.write_request([({"__name__": "m"}, [(now_ms(), 1.0)])]))
    wants("corrupt snappy", etinde.post("/api/v1/write", b"\x20\xff\xff\xff\xff", RW), 400, "snappy")
    wants("cut snappy", etinde.post("/api/v1/write", good[:-3], RW), 400, "snappy")
    four_gib = e2e.varint((1 << 32) - 1) + good[1:]
    wants("a declared length of 4 GiB", etinde.post("/api/v1/write", four_gib, RW), 400,
          "4294967295")
    plain = e2e.write_request([({"__name__": "m", "x": "y"}, [(now_ms(), 1.0)])])
    wants("truncated protobuf", etinde.post("/api/v1/write", e2e.snappy(plain[:-4]), RW), 400,
          "runs past the end")
    wants("garbage for protobuf", etinde.post("/api/v1/write", e2e.snappy(b"\x0f\xff" * 20), RW),
          400, "wire type")
    wants("an empty body", etinde.post("/api/v1/write", b"", RW), 400)
    over = e2e.snappy(b"\x0a" * (BODY_LIMIT + 1))
    wants("a body over the limit", etinde.post("/api/v1/write", over, RW), 413, str(BODY_LIMIT))
    small = e2e.varint(BODY_LIMIT + 1) + good[1:]
    answer = etinde.post("/api/v1/write", small, RW)
    report.check("a declared length over the limit: status", answer.status in (400, 413),
                 repr(answer))


def remote_write_series(etinde):
    t = now_ms()
    cases = [
        ("no metric name", [("a", "b")], "name"),
        ("a label twice", [("__name__", "bad"), ("a", "1"), ("a", "2")], "a"),
        ("an empty label name", [("", "x"), ("__name__", "bad")], "label"),
        ("a label that is not UTF-8", [("__name__", "bad"), ("a", b"\xff\xfe")], "utf-8"),
        ("a label name that is not UTF-8", [("__name__", "bad"), (b"\xff", "a")], "utf-8"),
        ("an endless label value", [("__name__", "bad"), ("a", "x" * 100000)], "a"),
        ("too many labels",
         [("__name__", "bad")] + [(f"l{i:04}", "x") for i in range(500)], "labels"),
    ]
    for i, (what, labels, word) in enumerate(cases):
        name = f"good_{i}"
        answer = etinde.write([(labels, [(t, 5)]), ({"__name__": name}, [(t, i + 0.5)])])
        wants(f"remote-write, {what}", answer, 400, word)
        stored(etinde, f"remote-write, {what}", name, i + 0.5)
    wants("nothing of the bad series is stored",
          etinde.query("count(bad)", time.time()), 200, '"result":[]')


def remote_write_times(etinde):
    t = now_ms()
    for i, (what, when) in enumerate([("far in the future", t + 3 * 3600 * 1000),
                                      ("the largest time", (1 << 63) - 1),
                                      ("the smallest time", -(1 << 63))]):
        name = f"time_{i}"
        answer = etinde.write([({"__name__": "bad_time"}, [(when, 1)]),
                               ({"__name__": name}, [(t, 7)])])
        wants(f"remote-write, {what}", answer, 400, "out of bounds")
        stored(etinde, f"remote-write, {what}", name, 7)
    etinde.write([({"__name__": "ordered"}, [(t, 1)])])
    wants("the same sample again", etinde.write([({"__name__": "ordered"}, [(t, 1)])]), 204)
    answer = etinde.write([({"__name__": "ordered"}, [(t, 2)]), ({"__name__": "other"}, [(t, 3)])])
    wants("another value at the same time", answer, 400, "duplicate", "ordered")
    stored(etinde, "another value at the same time", "other", 3)
    stored(etinde, "the first value stays", "ordered", 1)


# ---- Loki push ----

def loki_headers(etinde):
    message = e2e.snappy(e2e.push_request([('{app="typed"}', [(now_ns(), "by protobuf")])]))
    answer = etinde.post("/loki/api/v1/push", message, {"Content-Type": "application/whatever"})
    wants("Loki push, an unknown type is read as protobuf", answer, 204)
    stored_lines(etinde, "Loki push, an unknown type", '{app="typed"}', ["by protobuf"])
    answer = etinde.post("/loki/api/v1/push", b"{}", {**JSON, "Content-Encoding": "br"})
    wants("Loki push, an unknown encoding", answer, 400, "br", "not supported")
    answer = etinde.post("/loki/api/v1/push", b"{}", {"Content-Type": "///"})
    wants("Loki push, a malformed type", answer, 400)
    wants("Loki push, GET", etinde.get("/loki/api/v1/push"), 405)


def loki_bodies(etinde):
    push = "/loki/api/v1/push"
    wants("Loki push, no JSON", etinde.post(push, b"hello", JSON), 400)
    wants("Loki push, cut JSON", etinde.post(push, b'{"streams":[{"stream":{"a":"b"},', JSON), 400)
    deep = b'{"streams":' + b"[" * 100000 + b"]" * 100000 + b"}"
    wants("Loki push, deep JSON", etinde.post(push, deep, JSON), 400)
    deep = b'{"other":' + b'{"a":' * 50000 + b"1" + b"}" * 50000 + b',"streams":[]}'
    wants("Loki push, deep JSON in an unknown key", etinde.post(push, deep, JSON), 400)
    number = b'{"streams":[{"stream":{"a":"b"},"values":[[1700000000000000000,"x"]]}]}'
    wants("Loki push, a number for a time", etinde.post(push, number, JSON), 400)
    wants("Loki push, corrupt gzip",
          etinde.post(push, b"\x1f\x8b\x08 nonsense", {**JSON, "Content-Encoding": "gzip"}), 400,
          "gzip")
    bomb = gzip.compress(b" " * (BODY_LIMIT * 4))
    wants("Loki push, gzip that grows over the limit",
          etinde.post(push, bomb, {**JSON, "Content-Encoding": "gzip"}), 413, "limit")
    wants("Loki push, a body over the limit",
          etinde.post(push, b" " * (BODY_LIMIT + 1), JSON), 413, str(BODY_LIMIT))
    proto = {"Content-Type": "application/x-protobuf"}
    wants("Loki push, corrupt snappy", etinde.post(push, b"\x40\xff\xff", proto), 400, "snappy")
    cut = e2e.snappy(e2e.push_request([('{a="b"}', [(now_ns(), "x")])])[:-1])
    wants("Loki push, truncated protobuf", etinde.post(push, cut, proto), 400,
          "runs past the end")
    wants("Loki push, no streams", etinde.push([]), 400)
    wants("Loki push, no labels", etinde.push([({}, [(now_ns(), "x")])]), 400, "label")


def loki_streams(etinde):
    t = now_ns()
    cases = [
        ("a bad label name", {"not a name": "x"}, [(t, "bad")], "not a name"),
        ("too many labels", {f"l{i}": "x" for i in range(40)}, [(t, "bad")], "label"),
        ("a label value too long", {"a": "x" * 5000}, [(t, "bad")], "value"),
        ("a time far ahead", {"app": "bad"}, [(t + 3600 * 10**9, "bad")], "too new"),
        ("a time long ago", {"app": "bad"}, [(t - 30 * 86400 * 10**9, "bad")], "too old"),
        ("a line too long", {"app": "bad"}, [(t, "y" * 300000)], "max entry size"),
    ]
    for i, (what, labels, entries, word) in enumerate(cases):
        good = {"app": f"good{i}"}
        answer = etinde.push([(labels, entries), (good, [(t, f"good line {i}")])])
        wants(f"Loki push, {what}", answer, 400, word)
        report.contains(f"Loki push, {what}: counts", answer.text, "total ignored: 1 out of 2")
        stored_lines(etinde, f"Loki push, {what}", f'{{app="good{i}"}}', [f"good line {i}"])
    text = e2e.snappy(e2e.push_request([('{app="unclosed', [(t, "bad")]),
                                        ('{app="closed"}', [(t, "good")])]))
    answer = etinde.post("/loki/api/v1/push", text, {"Content-Type": "application/x-protobuf"})
    wants("Loki push, labels that do not parse", answer, 400, "unclosed")
    stored_lines(etinde, "Loki push, labels that do not parse", '{app="closed"}', ["good"])


def loki_bad_utf8(etinde):
    t = now_ns()
    body = b'{"streams":[{"stream":{"app":"utf8"},"values":[["%d","a\xffb"]]}]}' % t
    answer = etinde.post("/loki/api/v1/push", body, JSON)
    report.check("Loki push, bad UTF-8 in a JSON line: taken or refused with a text",
                 answer.status == 204 or (answer.status == 400 and "utf-8" in answer.text.lower()),
                 repr(answer))
    message = e2e.snappy(e2e.push_request([('{app="utf8proto"}', [(t, b"a\xffb")])]))
    answer = etinde.post("/loki/api/v1/push", message, {"Content-Type": "application/x-protobuf"})
    if report.check("Loki push, any bytes in a protobuf line", answer.status == 204, repr(answer)):
        answer = etinde.log_lines('{app="utf8proto"}', t - 10**9, t + 10**9)
        report.equal("the answer is valid JSON with U+FFFD",
                     answer.json["data"]["result"][0]["values"][0][1], "a\ufffdb")
    message = e2e.snappy(e2e.push_request([(b'{app="\xff"}', [(t, "x")])]))
    answer = etinde.post("/loki/api/v1/push", message, {"Content-Type": "application/x-protobuf"})
    wants("Loki push, a label that is not UTF-8", answer, 400, "utf-8")


# ---- queries ----

def bad_data(name, answer, *words, kind="bad_data", status=400):
    wants(name, answer, status, *words)
    try:
        shape = answer.json
    except ValueError:
        shape = {}
    report.check(f"{name}: JSON error", shape.get("status") == "error"
                 and shape.get("errorType") == kind, repr(answer))


def prometheus_queries(etinde):
    now = time.time()
    bad_data("a syntax error", etinde.query("sum(rate(up[5m])", now), "1:17", "expected")
    bad_data("an unexpected operator", etinde.query("up + * 2", now), "1:6", "unexpected")
    bad_data("an unknown function", etinde.query("nosuch(up)", now), "nosuch")
    bad_data("an unclosed string", etinde.query('up{a="b}', now), "1:", "string")
    bad_data("a wrong argument type", etinde.query("rate(up)", now), "expected type range vector")
    bad_data("a bad regex", etinde.query('up{a=~"("}', now), "error parsing regexp",
             "missing closing )")
    bad_data("a selector that matches everything", etinde.query('{a=~".*"}', now), "matcher")
    bad_data("bad UTF-8 in a query", etinde.get("/api/v1/query", {"query": b"up{a=\"\xff\"}"}),
             "utf-8")
    bad_data("no query", etinde.get("/api/v1/query"), "query")
    bad_data("a bad time", etinde.get("/api/v1/query", {"query": "1", "time": "soon"}), "time")
    bad_data("no step", etinde.get("/api/v1/query_range", {"query": "1", "start": 1, "end": 2}),
             "step")
    bad_data("a step of zero", etinde.query_range("1", 0, 10, 0), "step")
    bad_data("an end before the start", etinde.query_range("1", 10, 0, 1), "end")
    bad_data("too many points", etinde.query_range("1", 0, 11001 * 15 + 15, 15), "11,000")
    bad_data("series without a match", etinde.get("/api/v1/series"), "match[]")
    bad_data("a bad label name", etinde.get("/api/v1/label/%ff/values"), "label name")
    bad_data("a bad limit", etinde.get("/api/v1/labels", {"limit": "many"}), "limit")
    long = etinde.post_form("/api/v1/query", {"query": "1" + "+1" * 3_000_000})
    report.check("an endless query: status", long.status in (400, 413), repr(long))
    deep = etinde.post_form("/api/v1/query", {"query": "(" * 50000 + "1" + ")" * 50000})
    report.check("a deeply nested query: status", deep.status == 400, repr(deep))
    report.contains("a deeply nested query: text", deep.text, "deep")


def query_limits(etinde):
    t = now_ms()
    series = [({"__name__": "wide", "n": str(i)}, [(t - 1000, i), (t, i)]) for i in range(300)]
    wants("300 series", etinde.write(series), 204)
    bad_data("a query over the limit of series", etinde.query("wide", time.time()), "limit", "200",
             kind="execution", status=422)
    bad_data("too many samples", etinde.query_range("vector(1)", 0, 9000, 1), "too many samples",
             kind="execution", status=422)


def posts_without_a_form(etinde):
    for path in ("/api/v1/query", "/loki/api/v1/query"):
        answer = etinde.post(path, b"", {"Content-Type": "application/json"},
                             {"query": "vector(1)", "time": "1700000000"})
        wants(f"POST {path} with an empty JSON body", answer, 200, '"success"')
        for kind in ("text/plain", "application/x-protobuf", "nonsense"):
            answer = etinde.post(path, b"", {"Content-Type": kind},
                                 {"query": "vector(1)", "time": "1700000000"})
            report.check(f"POST {path} as {kind} is never 415", answer.status == 200, repr(answer))


def loki_queries(etinde):
    now = now_ns()
    def ask(query, **more):
        return etinde.get("/loki/api/v1/query_range",
                          {"query": query, "start": now - 10**9, "end": now, **more})
    for name, query, words in [
            ("a syntax error", '{app="a"} |= ', ("parse error", "line 1, col 14", "unexpected")),
            ("an unknown stage", '{app="a"} | nosuch |', ("parse error", "col")),
            ("no matcher", "{}", ("at least one",)),
            ("an empty-compatible matcher", '{app=~".*"}', ("empty-compatible",)),
            ("an unclosed selector", '{app="a"', ("parse error", "col")),
            ("single quotes", "{app='a'}", ("parse error",)),
            ("a bad regex", '{app=~"("}', ("error parsing regexp", "missing closing )"))]:
        wants(f"LogQL, {name}", ask(query), 400, *words)
        kind = ask(query).headers.get("Content-Type", "")
        report.check(f"LogQL, {name}: plain text", kind.startswith("text/plain"), kind)
    wants("LogQL, a limit over the limit", ask('{app="a"}', limit=100000), 400, "5000")
    wants("LogQL, no limit", ask('{app="a"}', limit=-1), 400)
    wants("LogQL, a bad direction", ask('{app="a"}', direction="sideways"), 400, "direction")
    wants("LogQL, logs as an instant query",
          etinde.get("/loki/api/v1/query", {"query": '{app="a"}'}), 400, "not supported")
    wants("LogQL, too many points",
          etinde.get("/loki/api/v1/query_range", {"query": 'count_over_time({app="a"}[1s])',
                                                  "start": 0, "end": 20000, "step": "1s"}),
          400, "11,000")


def routes(etinde):
    for path in ("/nosuch", "/api/v1/nosuch", "/loki/api/v1/nosuch", "/api/prom/rules"):
        wants(f"GET {path}", etinde.get(path), 404, "page not found")
    wants("a tenant with a bad name",
          etinde.get("/api/v1/labels", headers={"X-Scope-OrgID": "../x"}), 400)
    report.check("the server still works", etinde.get("/-/healthy").status == 200)


def main():
    with e2e.server("--http.body_size", f"{BODY_LIMIT}", "--query.series", "200",
                    "--query.samples", "5000") as etinde:
        for part in (remote_write_headers, remote_write_bodies, remote_write_series,
                     remote_write_times, loki_headers, loki_bodies, loki_streams, loki_bad_utf8,
                     prometheus_queries, query_limits, posts_without_a_form, loki_queries, routes):
            try:
                part(etinde)
            except Exception as error:  # an answer that is no HTTP is a failure of its own
                report.check(f"{part.__name__} ran to its end", False,
                             f"{type(error).__name__}: {error}")
        report.equal("a clean end", etinde.stop(), 0)
    report.finish()


main()
