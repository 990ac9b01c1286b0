#!/usr/bin/env python3
"""Many clients at once: pushes are whole or not there, and every answer is an answer.

Each writer gives all its series one value per batch, and ten lines to its
stream.  Readers never see a batch in part: within a writer all values are
equal, and the number of lines is a multiple of ten.  At the
end everything acknowledged is counted.
"""
import http.client
import json
import os
import random
import threading
import time

import etinde as e2e

report = e2e.Report()
SECONDS = float(os.environ.get("E2E_SECONDS", "8"))
WRITERS, READERS, SERIES = 4, 6, 40


class Client(threading.Thread):
    """Repeats one step on a connection of its own until the time is over."""

    def __init__(self, etinde, number, until):
        super().__init__()
        self.number, self.until, self.steps = number, until, 0
        self.connection = http.client.HTTPConnection("127.0.0.1", etinde.port, timeout=60)
        self.problems = []

    def run(self):
        try:
            while time.monotonic() < self.until and len(self.problems) < 3:
                self.step()
                self.steps += 1
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")
        self.connection.close()

    def ask(self, method, path, params=None, body=None, headers=None):
        if params:
            path += "?" + e2e.urllib.parse.urlencode(params)
        self.connection.request(method, path, body, headers or {})
        answer = self.connection.getresponse()
        return e2e.Response(answer.status, answer.headers, answer.read())

    def expect(self, answer, status):
        if answer.status != status:
            self.problems.append(repr(answer))
        return answer.status == status


class MetricWriter(Client):
    last_ms = 0

    def step(self):
        ms = max(int(time.time() * 1000), self.last_ms + 1)
        self.last_ms = ms
        body = e2e.snappy(e2e.write_request(
            [({"__name__": "par", "w": str(self.number), "n": str(n)},
              [(ms, float(self.steps))]) for n in range(SERIES)]))
        self.expect(self.ask("POST", "/api/v1/write", None, body,
                             {"Content-Type": "application/x-protobuf",
                              "Content-Encoding": "snappy"}), 204)


class LogWriter(Client):
    def step(self):
        ns = time.time_ns()
        body = {"streams": [{"stream": {"app": "par", "w": str(self.number)},
                             "values": [[str(ns + i), f"{self.steps} {i}"] for i in range(10)]}]}
        self.expect(self.ask("POST", "/loki/api/v1/push", None, json.dumps(body),
                             {"Content-Type": "application/json"}), 204)


class Reader(Client):
    """Asks one question after another, and checks those whose answer is known."""

    def step(self):
        now = time.time()
        random.choice([self.spread, self.apart, self.lines, self.ranged, self.names, self.series, self.page])(now)

    def vector(self, path, query, at):
        answer = self.ask("GET", path, {"query": query, "time": at})
        return answer.json["data"]["result"] if self.expect(answer, 200) else []

    def spread(self, now):
        for one in self.vector("/api/v1/query", "stdvar by (w) (par)", now + 1):
            if float(one["value"][1]) != 0:
                self.problems.append(f"a batch of metrics seen in part: {one}")

    def apart(self, now):
        for query in ("max by (w) (par) - min by (w) (par)",
                      "count by (w) (par) - count by (w) (par)"
                      " + (sum by (w) (par) - 40 * max by (w) (par))"):
            for one in self.vector("/api/v1/query", query, now + 1):
                if float(one["value"][1]) != 0:
                    self.problems.append(f"two selectors saw different batches: {one}")

    def lines(self, now):
        for one in self.vector("/loki/api/v1/query",
                               'sum by (w) (count_over_time({app="par"}[1h]))',
                               int((now + 1) * 1e9)):
            if int(one["value"][1]) % 10 != 0:
                self.problems.append(f"a batch of lines seen in part: {one}")

    def ranged(self, now):
        self.expect(self.ask("GET", "/api/v1/query_range", {
            "query": "sum by (n) (rate(par[5s]))", "start": now - 10, "end": now, "step": 1}), 200)

    def names(self, now):
        self.expect(self.ask("GET", "/api/v1/label/w/values"), 200)
        self.expect(self.ask("GET", "/loki/api/v1/labels"), 200)

    def series(self, now):
        self.expect(self.ask("GET", "/api/v1/series", {"match[]": 'par{n=~"1.*"}'}), 200)
        self.expect(self.ask("GET", "/metrics"), 200)

    def page(self, now):
        self.expect(self.ask("GET", "/loki/api/v1/query_range", {
            "query": '{app="par"} |~ "[0-9] [3-5]"', "limit": 50}), 200)


def check_totals(etinde, writers, loggers):
    answer = etinde.query("sum by (w) (count_over_time(par[1h]))", time.time() + 2)
    got = {r["metric"]["w"]: int(r["value"][1]) for r in answer.json["data"]["result"]}
    report.equal("every acknowledged sample counts", got,
                 {str(w.number): w.steps * SERIES for w in writers})
    answer = etinde.get("/loki/api/v1/query", {
        "query": 'sum by (w) (count_over_time({app="par"}[1h]))',
        "time": time.time_ns() + 2 * 10**9})
    got = {r["metric"]["w"]: int(r["value"][1]) for r in answer.json["data"]["result"]}
    report.equal("every acknowledged line counts", got, {str(w.number): w.steps * 10
                                                         for w in loggers})


def main():
    random.seed(3)
    with e2e.server("--storage.seal_interval", "1s") as etinde:
        until = time.monotonic() + SECONDS
        writers = [MetricWriter(etinde, i, until) for i in range(WRITERS)]
        loggers = [LogWriter(etinde, i, until) for i in range(WRITERS)]
        readers = [Reader(etinde, i, until) for i in range(READERS)]
        clients = writers + loggers + readers
        for client in clients:
            client.start()
        for client in clients:
            client.join()
            report.check(f"{type(client).__name__} {client.number} got what it asked for",
                         not client.problems, "; ".join(client.problems))
        print(f"{sum(w.steps for w in writers)} metric pushes, {sum(w.steps for w in loggers)} log "
              f"pushes, {sum(r.steps for r in readers)} questions in {SECONDS:g} s")
        check_totals(etinde, writers, loggers)
        etinde.stop(e2e.signal.SIGKILL)
        etinde.start()
        check_totals(etinde, writers, loggers)
        report.equal("a clean end", etinde.stop(), 0)
    report.finish()


main()
