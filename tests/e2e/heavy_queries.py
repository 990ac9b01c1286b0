#!/usr/bin/env python3
"""Queries that take long end when the client leaves or the time is over; pushes never wait for them."""
import socket
import threading
import time
import urllib.parse

import etinde as e2e

report = e2e.Report()
SERIES, SAMPLES = 200, 300
# Regressions over some 10,000 points, 10,000 of them for each series: no window slides there.
SLOW = "sum(deriv(rate(heavy[5m])[20m:50ms]))"


def fill(etinde):
    """Samples of the last five minutes, one a second; the end in seconds."""
    end = int(time.time())
    for at in range(0, SAMPLES, 100):
        answer = etinde.write([
            ({"__name__": "heavy", "n": str(n)},
             [((end - SAMPLES + at + i) * 1000, float((at + i) * 7 % 13)) for i in range(100)])
            for n in range(SERIES)])
        if answer.status != 204:
            report.check("samples are taken", False, repr(answer))
    return end


def slow_parameters(end):
    return {"query": SLOW, "start": end - 300, "end": end, "step": 0.03}


def metric(etinde, name):
    for line in etinde.get("/metrics").text.split("\n"):
        if line.startswith(name + " "):
            return float(line.split()[-1])
    return None


def leave(etinde, end):
    """The client goes away in the middle of a query."""
    path = "/api/v1/query_range?" + urllib.parse.urlencode(slow_parameters(end))
    with socket.create_connection(("127.0.0.1", etinde.port)) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        running = e2e.wait_until(lambda: metric(etinde, "prometheus_engine_queries") == 1, 5, 0.02)
        report.check("the query runs", running)
        time.sleep(0.2)
        report.equal("it still runs", metric(etinde, "prometheus_engine_queries"), 1)
    left = time.monotonic()
    ended = e2e.wait_until(lambda: metric(etinde, "prometheus_engine_queries") == 0, 10, 0.01)
    took = time.monotonic() - left
    report.check("it ends when its client has left", ended and took < 1.0, f"{took:.3f} s")
    print(f"a query ended {took * 1000:.0f} ms after its client had left")


def push_meanwhile(etinde, end):
    """Pushes stay quick while every query slot is taken."""
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        etinde.get("/api/v1/query_range", slow_parameters(end)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    e2e.wait_until(lambda: metric(etinde, "prometheus_engine_queries") >= 2, 5, 0.02)
    slowest = 0.0
    for i in range(20):
        start = time.monotonic()
        answer = etinde.write([({"__name__": "meanwhile"}, [((end + i) * 1000, 1.0)])])
        slowest = max(slowest, time.monotonic() - start)
        report.check("a push meanwhile", answer.status == 204, repr(answer))
    report.check("pushes are quick meanwhile", slowest < 1.0, f"{slowest:.3f} s")
    for thread in threads:
        thread.join()
    statuses = sorted(a.status for a in answers)
    report.equal("one of three has no place to wait, the others run out of time", statuses,
                 [503, 503, 503])
    texts = " ".join(a.text for a in answers)
    report.contains("each says why", texts[:1000], "timed out", "too many queries")
    print(f"the slowest push beside the queries took {slowest * 1000:.0f} ms")


def main():
    with e2e.server("--query.concurrency", "1", "--query.queue", "1",
                    "--query.timeout", "2s") as etinde:
        end = fill(etinde)
        leave(etinde, end)
        push_meanwhile(etinde, end)
        answer = etinde.query("count(heavy)", end)
        report.check("and then it answers as before",
                     answer.status == 200 and '"200"' in answer.text, repr(answer))
        report.equal("a clean end", etinde.stop(), 0)
    report.finish()


main()
