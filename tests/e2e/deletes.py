#!/usr/bin/env python3
"""Deletes through Prometheus' and Loki's APIs: at once, for good, and never more than asked.

Yesterday and today have metrics and logs.  What is deleted is gone from queries, series, labels
and values with the answer, stays so through SIGTERM and kill -9 and the rewrite of closed days,
which frees bytes; what is sent again is kept.
"""
import os
import signal
import time

import etinde as e2e

report = e2e.Report()
DAY = 86400
NOW = int(time.time())
YESTERDAY = NOW // DAY * DAY - DAY + 3600
ADMIN = "/api/v1/admin/tsdb/"


def fill(etinde):
    """An hour of yesterday and the last minutes: two jobs, two apps."""
    times = [YESTERDAY + i * 10 for i in range(2000)] + [NOW - 300 + i * 10 for i in range(20)]
    for job in ("a", "b"):
        answer = etinde.write([({"__name__": "m", "job": job, "i": str(n)},
                                [(t * 1000, t * 0.37 * (n + 1) % 17) for t in times])
                               for n in range(20)])
        report.equal("samples are taken", answer.status, 204)
        answer = etinde.push([({"app": job}, [(t * 10**9, f"{job} {'error' if t % 30 == 0 else 'fine'} "
                                               f"at {t}", {"trace": str(t % 7)}) for t in times])])
        report.equal("lines are taken", answer.status, 204)
    return times


def samples(etinde, job):
    answer = etinde.query(f'm{{job="{job}",i="0"}}[2d]', NOW)
    result = answer.json["data"]["result"]
    return [round(t) for t, _ in result[0]["values"]] if result else []


def lines(etinde, query):
    found, start = [], (YESTERDAY - 10) * 10**9
    while True:
        answer = etinde.log_lines(query, start, (NOW + 10) * 10**9)
        page = sorted((int(t), line) for s in answer.json["data"]["result"]
                      for t, line in (v[:2] for v in s["values"]))
        found += page
        if len(page) < 5000:
            return found
        start = page[-1][0] + 1


def state(etinde):
    return (samples(etinde, "a"), samples(etinde, "b"),
            lines(etinde, '{app="a"}'), lines(etinde, '{app="b"}'))


def delete(etinde, method="POST", **params):
    return e2e.request(etinde.port, method, ADMIN + "delete_series",
                       [("match[]", m) for m in params.pop("match", [])] + list(params.items()))


def values(etinde, label, **more):
    return etinde.get(f"/api/v1/label/{label}/values", more).json["data"]


def disk_bytes(etinde):
    return sum(os.stat(os.path.join(root, name)).st_blocks * 512
               for root, _, names in os.walk(etinde.data) for name in names
               if name.endswith(".mdb") and os.sep + "default" + os.sep in root)


def check_errors(etinde):
    answer = delete(etinde)
    report.equal("no match[]: 400", answer.status, 400)
    report.equal("its body", answer.json, {"status": "error", "errorType": "bad_data",
                                            "error": "no match[] parameter provided"})
    report.equal("a bad selector: 400", delete(etinde, match=["m{"]).status, 400)
    report.equal("an empty selector: 400", delete(etinde, match=["{}"]).status, 400)
    report.equal("a bad time: 400", delete(etinde, match=["m"], start="x").status, 400)
    report.equal("several tenants: 400", e2e.request(
        etinde.port, "POST", ADMIN + "delete_series", [("match[]", "m")],
        headers={"X-Scope-OrgID": "a|b"}).status, 400)
    report.equal("GET: 405", etinde.get(ADMIN + "delete_series").status, 405)
    loki = "/loki/api/v1/delete"
    for name, params, word in [
            ("no query", {"start": NOW - 10}, "query not set"),
            ("no start", {"query": '{app="a"}'}, "start time not set"),
            ("a bad start", {"query": '{app="a"}', "start": "x"}, "invalid start time"),
            ("the future", {"query": '{app="a"}', "start": NOW, "end": NOW + 1000}, "future"),
            ("turned around", {"query": '{app="a"}', "start": NOW - 5, "end": NOW - 9}, "greater"),
            ("a metric query", {"query": 'rate({app="a"}[5m])', "start": NOW - 5}, "log lines"),
            ("no LogQL", {"query": '{app=', "start": NOW - 5}, "parse error"),
            ("no interval", {"query": '{app="a"}', "start": NOW - 5, "max_interval": "x"},
             "max_interval")]:
        answer = etinde.post(loki, params=params)
        report.equal(f"{name}: 400", answer.status, 400)
        report.contains(f"{name}: its text", answer.text, word)
    report.equal("cancel of what is not there",
                 e2e.request(etinde.port, "DELETE", loki, {"request_id": "00000000"}).status, 404)
    report.equal("cancel of nothing", e2e.request(etinde.port, "DELETE", loki).status, 400)


def check_metrics(etinde, times):
    cut = times[1000]
    answer = delete(etinde, match=['m{job="a"}'], end=cut)
    report.equal("a delete: 204", (answer.status, answer.body), (204, b""))
    report.equal("what is left", samples(etinde, "a"), [t for t in times if t > cut])
    report.equal("the other job has all", samples(etinde, "b"), times)
    report.equal("PUT, two selectors",
                 delete(etinde, "PUT", match=['m{job="b",i="1"}', 'm{job="b",i="2"}']).status, 204)
    report.check("a deleted series is in no list", "1" in values(etinde, "i") and
                 "1" not in values(etinde, "i", **{"match[]": 'm{job="b"}'}))
    series = etinde.get("/api/v1/series", {"match[]": 'm{job="b"}'}).json["data"]
    report.equal("and in no answer of series", len(series), 18)
    count = etinde.query('count(m{job="b"})', NOW - 100).json["data"]["result"][0]["value"][1]
    report.equal("and in no query", count, "18")
    again = etinde.write([({"__name__": "m", "job": "b", "i": "1"}, [((NOW - 60) * 1000, 5.0)])])
    report.equal("sent again", again.status, 204)
    series = etinde.get("/api/v1/series", {"match[]": 'm{job="b"}'}).json["data"]
    report.equal("and there again", len(series), 19)


def requests_of(etinde):
    return etinde.get("/loki/api/v1/delete").json


def check_logs(etinde, times):
    loki = "/loki/api/v1/delete"
    cut = times[1500]
    start = {"start": YESTERDAY - 100}
    answer = etinde.post(loki, params={"query": '{app="a"}', "end": cut, **start})
    report.equal("a selector: 204", (answer.status, answer.body), (204, b""))
    report.equal("gone at once", [t // 10**9 for t, _ in lines(etinde, '{app="a"}')],
                 [t for t in times if t > cut])
    answer = e2e.request(etinde.port, "PUT", loki,
                         {"query": '{app="b"} |= "error" | trace="3"', "max_interval": "1h", **start})
    report.equal("a pipeline: 204", answer.status, 204)
    done = e2e.wait_until(lambda: all(r["status"] == "processed" for r in requests_of(etinde)), 30)
    report.check("it is processed", done, requests_of(etinde))
    wanted = [t for t in times if not (t % 30 == 0 and t % 7 == 3)]
    report.equal("without those lines", [t // 10**9 for t, _ in lines(etinde, '{app="b"}')], wanted)
    report.equal("filtered, too", [t // 10**9 for t, _ in lines(etinde, '{app="b"} |= "error"')],
                 [t for t in wanted if t % 30 == 0])
    count = etinde.get("/loki/api/v1/query", {"query": 'sum(count_over_time({app="b"}[2d]))',
                                              "time": NOW}).json["data"]["result"][0]["value"][1]
    report.equal("counted, too", int(count), len(wanted))
    listed = requests_of(etinde)
    report.equal("two are listed", len(listed), 2)
    report.equal("their fields", sorted(listed[0]), ["created_at", "end_time", "query", "request_id",
                                                     "start_time", "status"])
    report.equal("the first's query", (listed[0]["query"], listed[0]["start_time"],
                                       listed[0]["end_time"]), ('{app="a"}', YESTERDAY - 100, cut))
    one = {"request_id": listed[0]["request_id"]}
    report.equal("what is done is not taken back",
                 e2e.request(etinde.port, "DELETE", loki, one).status, 400)
    report.equal("but by force", e2e.request(etinde.port, "DELETE", loki,
                                             {**one, "force": "true"}).status, 204)
    report.equal("one is left", len(requests_of(etinde)), 1)
    report.equal("other tenants see none",
                 etinde.get(loki, headers={"X-Scope-OrgID": "other"}).json, [])


def check_life(etinde):
    before = state(etinde)
    for name, sig in (("kill -9", signal.SIGKILL), ("SIGTERM", signal.SIGTERM),
                      ("kill -9 again", signal.SIGKILL)):
        etinde.stop(sig)
        etinde.start()
        report.check(f"the same after {name}", state(etinde) == before)
    report.equal("the list of requests, too", len(requests_of(etinde)), 1)
    answer = etinde.post(ADMIN + "clean_tombstones")
    report.equal("clean_tombstones: 204", (answer.status, answer.body), (204, b""))
    report.check("the same after it", state(etinde) == before)
    size = disk_bytes(etinde)
    delete(etinde, match=["m"], end=NOW // DAY * DAY - 1)
    etinde.post("/loki/api/v1/delete", params={"query": '{app=~".+"}', "start": YESTERDAY - 100,
                                               "end": NOW // DAY * DAY - 1})
    report.equal("yesterday is empty", [s for s in state(etinde)[0] if s < NOW // DAY * DAY], [])
    e2e.request(etinde.port, "PUT", ADMIN + "clean_tombstones")
    report.check("its bytes are free", disk_bytes(etinde) < size * 0.6, (size, disk_bytes(etinde)))
    before = state(etinde)
    etinde.stop(signal.SIGKILL)
    etinde.start()
    report.check("and it does not come back", state(etinde) == before)


def check_interrupted(etinde):
    """A request whose work is cut off by kill -9 is done after the restart."""
    now = int(time.time())
    for part in range(20):
        etinde.push([({"app": "many", "part": str(part)},
                      [(now * 10**9 + i, f"line {i} {'x' * 200}") for i in range(2000)])])
    etinde.post("/loki/api/v1/delete", params={"query": '{app="many"} |~ "line [0-9]*7 "',
                                               "start": now - 10, "end": now + 1})
    time.sleep(1.1)
    answer = etinde.post("/loki/api/v1/delete",
                         params={"query": '{app="many"} |~ "line [0-9]*7 "', "start": now - 10,
                                 "end": now + 1})
    report.equal("a query over much is taken", answer.status, 204)
    etinde.stop(signal.SIGKILL)
    etinde.start()
    done = e2e.wait_until(lambda: all(r["status"] == "processed" for r in requests_of(etinde)), 60)
    report.check("and done after the restart", done, requests_of(etinde))
    answer = etinde.get("/loki/api/v1/query", {"query": 'sum(count_over_time({app="many"}[1h]))',
                                               "time": now + 60})
    report.equal("all of it", answer.json["data"]["result"][0]["value"][1], str(20 * 1800))


def check_retention():
    """A rule for one stream hides what is due, through a restart, and no more."""
    rule = '[{"selector": "{app=\\"short\\"}", "period": "1h", "priority": 1}]'
    with e2e.server("--retention_stream", rule) as etinde:
        now = int(time.time())
        for app in ("short", "long"):
            etinde.push([({"app": app}, [(t * 10**9, "x") for t in (now - 7200, now - 60)])])
            etinde.write([({"__name__": "kept", "app": app}, [(t * 1000, 1) for t in
                                                              (now - 7200, now - 60)])])
        for _ in range(2):
            found = etinde.log_lines('{app=~".+"}', (now - 10000) * 10**9, (now + 5) * 10**9)
            counts = {s["stream"]["app"]: len(s["values"]) for s in found.json["data"]["result"]}
            report.equal("lines by stream", counts, {"short": 1, "long": 2})
            answer = etinde.query("count_over_time(kept[3h])", now)
            counts = {s["metric"]["app"]: s["value"][1] for s in answer.json["data"]["result"]}
            report.equal("samples by series", counts, {"short": "1", "long": "2"})
            etinde.stop(signal.SIGKILL)
            etinde.start()


def check_disabled():
    with e2e.server() as etinde:
        answer = delete(etinde, match=["m"])
        report.equal("off by default: 503", answer.status, 503)
        report.contains("its text", answer.text, "admin APIs disabled")
        report.equal("clean_tombstones", etinde.post(ADMIN + "clean_tombstones").status, 503)
        report.equal("Loki's", etinde.get("/loki/api/v1/delete").status, 403)


def main():
    with e2e.server("--web.enable_admin_api", "true") as etinde:
        check_errors(etinde)
        times = fill(etinde)
        check_metrics(etinde, times)
        check_logs(etinde, times)
        check_life(etinde)
        check_interrupted(etinde)
    check_retention()
    check_disabled()


main()
report.finish()
