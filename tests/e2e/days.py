#!/usr/bin/env python3
"""Three days of metrics and logs: sealed into day partitions, merged with the head, restarted.

Samples and lines are sent in order from three days ago until now.  While they
are sealed, and after a restart, the same questions must get the same answers:
windows over midnight, single days, names of a day that has other series.
"""
import datetime
import os
import time

import etinde as e2e

report = e2e.Report()
DAY, STEP = 86400, 60


def start_of_days():
    """Midnights (UTC) of the day before yesterday, yesterday and today."""
    today = int(time.time()) // DAY * DAY
    return [today - 2 * DAY, today - DAY, today]


def name_of_day(t):
    return time.strftime("%Y%m%d", time.gmtime(t))


def send_metrics(etinde, begin, end):
    """One counter and one gauge all the time, and a series that lives on one day only."""
    times = list(range(begin, end, STEP))
    for at in range(0, len(times), 1000):
        part = times[at:at + 1000]
        series = [({"__name__": "ticks_total", "job": "days"},
                   [(t * 1000, float((t - begin) // STEP)) for t in part]),
                  ({"__name__": "hour", "job": "days"},
                   [(t * 1000, float(t % DAY // 3600)) for t in part])]
        for day in sorted({t // DAY for t in part}):
            series.append(({"__name__": "churn", "day": name_of_day(day * DAY)},
                           [(t * 1000, 1.0) for t in part if t // DAY == day]))
        answer = etinde.write(series)
        if answer.status != 204:
            report.check("samples are taken", False, repr(answer))
            return times
    return times


def send_logs(etinde, begin, end):
    """A line every five minutes."""
    times = list(range(begin, end, 300))
    for at in range(0, len(times), 500):
        lines = [(t * 10**9 + 7, f"line at {t}") for t in times[at:at + 500]]
        answer = etinde.push([({"app": "days"}, lines)])
        if answer.status != 204:
            report.check("lines are taken", False, repr(answer))
            break
    return times


def value_of(etinde, query, at):
    answer = etinde.query(query, at)
    result = answer.json["data"]["result"] if answer.status == 200 else repr(answer)
    return float(result[0]["value"][1]) if isinstance(result, list) and len(result) == 1 else result


def ask(name, etinde, days, times, log_times):
    end = times[-1]
    report.equal(f"{name}: every sample counts",
                 value_of(etinde, "count_over_time(ticks_total[4d])", end), float(len(times)))
    for midnight in days[1:]:
        report.equal(f"{name}: a window over midnight",
                     value_of(etinde, "count_over_time(ticks_total[1h])", midnight + 1800), 60.0)
        increase = value_of(etinde, "increase(ticks_total[2h])", midnight + 3600)
        report.check(f"{name}: an increase over midnight",
                     isinstance(increase, float) and abs(increase - 120) < 1e-9, increase)
        report.equal(f"{name}: the last hour before midnight",
                     value_of(etinde, "hour", midnight - 30), 23.0)
    answer = etinde.query_range("sum(hour)", days[1] - 600, days[1] + 600, 60)
    points = answer.json["data"]["result"][0]["values"] if answer.status == 200 else []
    report.equal(f"{name}: a range over midnight",
                 [p[1] for p in points], ["23"] * 10 + ["0"] * 11)
    for i, midnight in enumerate(days[:2]):
        names = etinde.get("/api/v1/label/day/values", {
            "start": midnight + 3600, "end": midnight + 7200}).json["data"]
        report.equal(f"{name}: names of day {i}",
                     names, [name_of_day(midnight)])
    answer = etinde.get("/loki/api/v1/query", {
        "query": 'sum(count_over_time({app="days"}[96h]))', "time": (end + 60) * 10**9})
    result = answer.json["data"]["result"] if answer.status == 200 else []
    report.equal(f"{name}: every line counts",
                 [r["value"][1] for r in result], [str(len(log_times))])
    for direction in ("forward", "backward"):
        answer = etinde.log_lines('{app="days"} |= "line"', (days[1] - 1800) * 10**9,
                                  (days[1] + 1800) * 10**9, 100, direction)
        lines = [v[1] for s in answer.json["data"]["result"] for v in s["values"]] \
            if answer.status == 200 else []
        wanted = [f"line at {t}" for t in log_times if days[1] - 1800 <= t < days[1] + 1800]
        report.equal(f"{name}: lines around midnight, {direction}", lines,
                     wanted if direction == "forward" else wanted[::-1])


def partitions(etinde):
    found = []
    for folder, _, files in os.walk(etinde.data):
        found += [os.path.join(folder, f) for f in files if f.endswith(".mdb")]
    days = {part for path in found for part in path.split(os.sep) if len(part) == 10
            and part.count("-") == 2}
    return days


def main():
    with e2e.folder() as path:
        etinde = e2e.Etinde(path, "--storage.seal_interval", "1s", "--logs.out_of_order", "0").start()
        days = start_of_days()
        end = int(time.time()) // STEP * STEP - STEP
        begin = days[0] - 3600
        times, log_times = send_metrics(etinde, begin, end), send_logs(etinde, begin, end)
        ask("at once", etinde, days, times, log_times)
        wanted = {datetime.datetime.fromtimestamp(d, datetime.timezone.utc).strftime("%Y-%m-%d")
                  for d in days[:2]}
        sealed = e2e.wait_until(lambda: wanted <= partitions(etinde), 20)
        report.check("the past days are in partitions", sealed, sorted(partitions(etinde)))
        ask("sealed", etinde, days, times, log_times)
        report.equal("a clean end", etinde.stop(), 0)
        etinde.start()
        ask("after SIGTERM", etinde, days, times, log_times)
        etinde.stop(e2e.signal.SIGKILL)
        etinde.start()
        ask("after kill -9", etinde, days, times, log_times)
        report.equal("a clean end", etinde.stop(), 0)
    report.finish()


main()
