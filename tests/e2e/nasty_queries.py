#!/usr/bin/env python3
"""The nastiest queries: each is refused or ends within its limits, while pushes go on as before.

All of them run at once, four at a time, on 2,000 series and 20,000 lines; a writer pushes samples
and lines all the while, and what it was promised must be there at the end.
"""
import concurrent.futures
import threading
import time

import etinde as e2e

report = e2e.Report()
SERIES, SAMPLES, STREAMS, LINES = 2000, 60, 20, 1000
TIMEOUT = 4  # seconds that a query may take
BOMB = "(((x+)+)+)+y"

PROMQL = [
    ("everything joined with itself", '{__name__=~".+"} * on () group_left () {__name__=~".+"}'),
    ("everything against everything", '{__name__=~".+"} + ignoring (n) {__name__=~".+"}'),
    ("a window of an hour at each millisecond", "sum(quantile_over_time(0.9, nasty[1h]))"),
    ("subqueries in subqueries", "max_over_time(avg_over_time(sum_over_time(rate(nasty[5m])"
                                 "[1h:1s])[1h:1s])[1h:1s])"),
    ("a subquery of a hundred years", "sum_over_time(nasty[100y:1ms])"),
    ("a regex bomb", '{__name__=~".+",blob=~"%s"}' % BOMB),
    ("a hundred regex bombs", "{%s}" % ",".join('blob=~"%s"' % BOMB for _ in range(100))),
    ("a regex with many repeats", '{blob=~"((a{1,100}){1,100}){1,100}"}'),
    ("a bomb in label_replace", 'label_replace(nasty, "x", "$1$1$1$1", "blob", "%s")' % BOMB),
    ("labels that grow", "label_join(" * 30 + "nasty" +
     ', "blob", ",", "blob", "blob", "blob")' * 30),
    ("a series per value", 'count_values("v", rate(nasty[5m]) * on (n) group_left () nasty)'),
    ("the largest of too many", "topk(1e18, nasty) or bottomk(1e18, nasty)"),
    ("deep parentheses", "(" * 100000 + "1" + ")" * 100000),
    ("deep minus", "-" * 60000 + "nasty"),
    ("a long sum", " + ".join(["nasty"] * 5000)),
    ("a text of megabytes", "nasty{n=\"" + "x" * 4000000 + "\"}"),
    ("a thousand selectors", " or ".join('nasty{n=~".*%d.*"}' % i for i in range(1000))),
    ("predictions of all", "predict_linear(nasty[1h:1s], 1e300) / deriv(nasty[1h:1s])"),
    ("sorted and named by itself", 'sort_by_label(label_replace(nasty, "n", "same", "n", ".*"), "n")'),
    ("all ages", "nasty offset 290y @ 9223372036 or nasty @ -9223372036"),
]
LOGQL = [
    ("a regex bomb over lines", 'count_over_time({app=~".+"} |~ "%s" [1h])' % BOMB),
    ("a bomb in regexp", 'count_over_time({app=~".+"} | regexp "(?P<a>%s)" [1h])' % BOMB),
    ("a series per line", 'count_over_time({app=~".+"} | logfmt [1h])'),
    ("a template that swells", '{app=~".+"} | line_format `{{ repeat 1000000000 "x" }}`'),
    ("templates upon templates", '{app=~".+"}' + " | line_format `{{.msg}}{{__line__}}{{__line__}}`" * 60),
    ("all parsers", 'sum by (id) (rate({app=~".+"} | json | logfmt | unpack | pattern "<a> <b>" [1h]))'),
    ("a value per line", 'quantile_over_time(0.5, {app=~".+"} | logfmt | unwrap id [1h]) by (id)'),
    ("both signals and all of it", 'count_over_time({app=~".+"} | logfmt [1h]) * on () group_left ()'
                                   ' nasty{}'),
]


def fill(etinde, end):
    for at in range(0, SERIES, 500):
        answer = etinde.write([
            ({"__name__": "nasty", "n": str(n), "blob": "x" * (20 + n % 40)},
             [((end - (SAMPLES - i) * 15) * 1000, float(i * n % 977)) for i in range(SAMPLES)])
            for n in range(at, at + 500)])
        report.equal("samples are taken", answer.status, 204)
    for s in range(STREAMS):
        answer = etinde.push([({"app": f"a{s}"}, [
            ((end - 900) * 10**9 + i * 10**8 * 8, f'id={s * LINES + i} msg="{"x" * 40}" dur={i}ms')
            for i in range(LINES)])])
        report.equal("lines are taken", answer.status, 204)


class Writer(threading.Thread):
    def __init__(self, etinde):
        super().__init__()
        self.etinde, self.done, self.pushes = etinde, False, []

    def run(self):
        count = 0
        while not self.done:
            now, begin = time.time(), time.monotonic()
            sample = self.etinde.write([({"__name__": "meanwhile"}, [(int(now * 1000), count)])])
            line = self.etinde.push([({"app": "meanwhile"}, [(int(now * 10**9), f"line {count}")])])
            self.pushes.append((sample.status, line.status, time.monotonic() - begin))
            count += 1
            time.sleep(0.02)


def ask(etinde, path, query, end):
    begin = time.monotonic()
    answer = e2e.request(etinde.port, "POST", path, None,
                         e2e.urllib.parse.urlencode({"query": query, "start": end - 11, "end": end,
                                                     "step": 0.001, "timeout": TIMEOUT}),
                         {"Content-Type": "application/x-www-form-urlencoded"})
    return answer, time.monotonic() - begin


def check(etinde, name, path, query, end):
    answer, took = ask(etinde, path, query, end)
    good = answer.status in (200, 400, 413, 414, 422, 429, 503, 504)
    report.check(f"{name}: answered or refused", good, repr(answer))
    # generous: the machine may be busy, and every slot and helper is
    report.check(f"{name}: within its limits", took < 3 * TIMEOUT + 10, f"{took:.1f} s")
    return name, answer.status, took


def rss_mib(etinde):
    with open(f"/proc/{etinde.process.child.pid}/status") as f:
        return next(int(line.split()[1]) // 1024 for line in f if line.startswith("VmHWM"))


def main():
    with e2e.server("--query.timeout", f"{TIMEOUT}s") as etinde:
        end = int(time.time())
        fill(etinde, end)
        writer = Writer(etinde)
        writer.start()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(check, etinde, name, path, query, end)
                    for queries, path in ((PROMQL, "/api/v1/query_range"),
                                          (LOGQL, "/loki/api/v1/query_range"))
                    for name, query in queries]
            for job in jobs:
                name, status, took = job.result()
                print(f"{status} {took:6.2f} s  {name}")
        writer.done = True
        writer.join()
        bad = [p for p in writer.pushes if p[0] != 204 or p[1] != 204]
        report.equal("every push is taken meanwhile", bad, [])
        slow = sorted(p[2] for p in writer.pushes)
        print(f"{len(slow)} pushes beside them, median {slow[len(slow) // 2] * 1000:.1f} ms, "
              f"slowest {slow[-1] * 1000:.0f} ms; most memory {rss_mib(etinde)} MiB")
        report.check("pushes go on", len(slow) > 20, len(slow))
        count = etinde.query("count_over_time(meanwhile[1h])", time.time()).json["data"]["result"]
        report.equal("and all of it is there", count[0]["value"][1], str(len(slow)))
    report.finish()


main()
