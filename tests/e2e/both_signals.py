"""both_signals.py - expressions over metrics and logs: every row of docs/query.md's table.

Each expression goes to both endpoints, as an instant query and as a range query whose last
step is the same moment.
"""
import os
import re
import tempfile
import time

from etinde import Etinde, ROOT, Report

STEP = 15  # seconds between samples


def rows():
    with open(os.path.join(ROOT, "docs/query.md")) as f:
        for line in f:
            cells = [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1]]
            if len(cells) == 4 and cells[0].startswith("`"):
                yield cells[0].strip("`"), cells[1], cells[2]


def fill(server, now):
    samples = [((now - 600 + STEP * i) * 1000, float(STEP * i)) for i in range(600 // STEP + 1)]
    lines = [((now - 600 + 5 * i) * 10**9,
              f"level=error msg=timeout n={i}" if i % 3 == 0 else f"level=info msg=ok n={i}")
             for i in range(121)]
    ok = server.write([({"__name__": "requests_total", "app": "web"}, samples)]).status == 204
    return server.push([({"app": "web"}, lines)]).status == 204 and ok


def value_of(answer):
    """A number, "none" for no series, the status of a refusal."""
    if answer.status != 200:
        return str(answer.status)
    result = answer.json["data"]["result"]
    if not result:
        return "none"
    if len(result) != 1:
        return f"{len(result)} series"
    series = result[0]
    return float(series["value"][1] if "value" in series else series["values"][-1][1])


def agrees(got, wanted):
    if wanted in ("400", "none"):
        return got == wanted
    return isinstance(got, float) and abs(got - float(wanted)) <= 0.001 * float(wanted)


def check_rows(report, server, now):
    count = 0
    for expression, promql, logql in rows():
        for api, wanted in (("/api/v1", promql), ("/loki/api/v1", logql)):
            instant = server.get(f"{api}/query", {"query": expression, "time": now})
            got = value_of(instant)
            report.check(f"{api}/query {expression}", agrees(got, wanted), f"{got}, not {wanted}")
            ranged = server.get(f"{api}/query_range", {"query": expression, "start": now - 60,
                                                       "end": now, "step": 60})
            if expression.startswith("{") and "|=" in expression and api.startswith("/loki"):
                continue  # lines: these a range query gives
            got = value_of(ranged)
            report.check(f"{api}/query_range {expression}", agrees(got, wanted),
                         f"{got}, not {wanted}")
            count += 1
    report.check("the table has its rows", count > 50, count)


def main():
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        server = Etinde(folder).start()
        now = int(time.time()) // 60 * 60
        report.check("samples and lines are taken", fill(server, now))
        check_rows(report, server, now)
        report.equal("stops", server.stop(), 0)
    report.finish()


main()
