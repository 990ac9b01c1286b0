#!/usr/bin/env python3
"""The HTTP side of the server: what goes in comes out, and how it behaves on the wire.

Both signals there and back, answers gzipped, methods and routes, tenants apart,
batches sent twice, clients that hang up or are slow, a clean stop under load, and
everything acknowledged is there after kill -9.
"""
import gzip
import json
import signal
import socket
import threading
import time

import etinde as e2e

report = e2e.Report()


def metric_of(etinde, name):
    """The sum of a family on /metrics."""
    total = 0.0
    for line in etinde.get("/metrics").text.splitlines():
        if line.startswith((name + " ", name + "{")):
            total += float(line.split()[-1])
    return total


def raw(etinde, text):
    s = socket.create_connection(("127.0.0.1", etinde.port), timeout=30)
    s.sendall(text.encode())
    return s


def there_and_back(etinde):
    t = int(time.time())
    answer = etinde.write([({"__name__": "m", "a": "b"}, [((t - 15) * 1000, 1.5), (t * 1000, 2.5)])])
    report.equal("a write", (answer.status, answer.body), (204, b""))
    answer = etinde.query("m", t)
    report.equal("an instant query", answer.body.decode(),
                 '{"status":"success","data":{"resultType":"vector","result":[{"metric":'
                 '{"__name__":"m","a":"b"},"value":[%d,"2.5"]}]}}' % t)
    answer = etinde.query_range("m", t - 15, t, 15)
    report.equal("a range query", answer.json["data"]["result"][0]["values"],
                 [[t - 15, "1.5"], [t, "2.5"]])
    report.equal("values", etinde.get("/api/v1/label/a/values").json["data"], ["b"])
    ns = time.time_ns()
    answer = etinde.push([({"app": "x"}, [(ns, "one"), (ns + 1, "level=warn two", {"k": "v"})])])
    report.equal("a push", (answer.status, answer.body), (204, b""))
    answer = etinde.log_lines('{app="x"}', ns - 10**9, ns + 10**9)
    got = {v[1]: s["stream"] for s in answer.json["data"]["result"] for v in s["values"]}
    report.equal("both lines with their labels", got, {
        "one": {"app": "x", "service_name": "x", "detected_level": "unknown"},
        "level=warn two": {"app": "x", "service_name": "x", "detected_level": "warn", "k": "v"}})


def wire_format(etinde):
    answer = etinde.get("/metrics", headers={"Accept-Encoding": "gzip;q=1.0, deflate"})
    report.equal("gzip", answer.headers.get("Content-Encoding"), "gzip")
    report.contains("it unpacks", gzip.decompress(answer.body).decode(), "etinde_build_info")
    answer = etinde.get("/metrics", headers={"Accept-Encoding": "br, gzip;q=0"})
    report.equal("no gzip when refused", answer.headers.get("Content-Encoding"), None)
    answer = etinde.get("/-/ready", headers={"Accept-Encoding": "gzip"})
    report.equal("no gzip when small", answer.headers.get("Content-Encoding"), None)
    answer = e2e.request(etinde.port, "HEAD", "/metrics")
    report.check("HEAD", answer.status == 200 and answer.body == b"", repr(answer))
    answer = e2e.request(etinde.port, "OPTIONS", "/api/v1/query")
    report.check("OPTIONS", answer.status == 204
                 and answer.headers.get("Access-Control-Allow-Origin") == "*", repr(answer))
    answer = e2e.request(etinde.port, "DELETE", "/api/v1/query")
    report.equal("a wrong method", (answer.status, answer.headers.get("Allow")),
                 (405, "GET, HEAD, POST, OPTIONS"))
    answer = etinde.get("/nothing/here")
    report.equal("no such route", (answer.status, answer.text), (404, "404 page not found\n"))
    answer = etinde.post("/api/v1/write", b"x" * (33 << 20), {"Content-Type": "application/x-protobuf"})
    report.equal("a body over the limit", answer.status, 413)
    answer = etinde.post("/api/v1/write", b"x", {"Content-Type": "text/plain"})
    report.equal("a wrong type", answer.status, 415)
    report.equal("a long URL", etinde.get("/api/v1/query", {"query": "1" + " " * 60000}).status, 200)
    report.equal("a URL far too long",
                 etinde.get("/api/v1/query", {"query": "1" * 200000}).status, 414)
    answer = etinde.get("/api/v1/query?query=%zz")
    report.check("a broken escape", answer.status == 400 and "escape" in answer.text, repr(answer))
    page = etinde.get("/")
    report.check("the start page", page.status == 200 and "<title>Etinde</title>" in page.text)
    report.equal("its numbers", etinde.get("/api/etinde/state").json["writable"], True)
    text = "POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" \
           "Transfer-Encoding: chunked\r\n\r\n"
    with raw(etinde, text) as s:
        s.sendall(b"e\r\n{\"streams\":[]}\r\n0\r\n\r\n")
        report.contains("a chunked body", s.recv(4096).decode(), "400 Bad Request", "at least one")


def large_pushes(etinde):
    """They are decoded on threads of their own."""
    ns = time.time_ns()
    entries = [(ns + i, f"line {i} " + "x" * 1000) for i in range(1000)]
    body = json.dumps({"streams": [{"stream": {"app": "large"},
                                    "values": [[str(t), line] for t, line in entries]}]}).encode()
    headers = {"Content-Type": "application/json"}
    report.equal("a large push", etinde.post("/loki/api/v1/push", body, headers).status, 204)
    body = body.replace(b"large", b"packed")
    packed = gzip.compress(body.replace(b"xxxx", b"abcd"), 0)
    answer = etinde.post("/loki/api/v1/push", packed, {**headers, "Content-Encoding": "gzip"})
    report.equal("a large gzipped push", answer.status, 204)
    for app in ("large", "packed"):
        answer = etinde.log_lines(f'{{app="{app}"}}', ns - 10**9, ns + 10**9)
        count = sum(len(s["values"]) for s in answer.json["data"]["result"])
        report.equal(f"every line of the {app} push", count, 1000)
    answer = etinde.post("/loki/api/v1/push", body[:-1000], {**headers, "Content-Encoding": "gzip"})
    report.check("a large push that is not gzip", answer.status == 400, repr(answer))
    answer = etinde.post("/loki/api/v1/push", body[:-1000], headers)
    report.check("a large push that ends early", answer.status == 400, repr(answer))


def tenants(etinde):
    t = int(time.time())
    for name in ("one", "two"):
        report.equal(f"tenant {name} writes", etinde.write(
            [({"__name__": "whose", "of": name}, [(t * 1000, 1)])], {"X-Scope-OrgID": name}).status, 204)
        etinde.push([({"of": name}, [(time.time_ns(), name)])], {"X-Scope-OrgID": name})
    for name in ("one", "two"):
        own = {"X-Scope-OrgID": name}
        values = etinde.get("/api/v1/label/of/values", headers=own).json["data"]
        report.equal(f"tenant {name} sees its own metrics", values, [name])
        values = etinde.get("/loki/api/v1/label/of/values", headers=own).json["data"]
        report.equal(f"tenant {name} sees its own logs", values, [name])
    report.equal("no tenant sees neither", etinde.query("whose", t).json["data"]["result"], [])
    answer = etinde.get("/api/v1/labels", headers={"X-Scope-OrgID": "never-seen"})
    report.equal("an unknown tenant is empty", answer.json["data"], [])
    report.equal("a bad tenant name", etinde.write([], {"X-Scope-OrgID": "a/b"}).status, 400)


def sent_twice(etinde):
    ns = time.time_ns()
    headers = {"X-Etinde-Producer": "test", "X-Etinde-Epoch": "7", "X-Etinde-Sequence": "1"}
    for i in range(2):
        answer = etinde.push([({"app": "twice"}, [(ns + i, f"try {i}")])], headers)
        report.equal(f"try {i} is acknowledged", answer.status, 204)
    lines = etinde.log_lines('{app="twice"}', ns - 10**9, ns + 10**9).json["data"]["result"]
    report.equal("the repeat is not stored", [v[1] for s in lines for v in s["values"]], ["try 0"])
    answer = etinde.push([], {"X-Etinde-Producer": "test", "X-Etinde-Epoch": "x"})
    report.equal("a producer without numbers", answer.status, 400)


def clients_that_leave(etinde):
    before = metric_of(etinde, "etinde_http_hangups_total")
    path = "/api/v1/query_range?start=1000000&end=1003000&step=1&query=" \
           "quantile_over_time(0.5,sin(vector(time()))[5m:1ms])"
    s = raw(etinde, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
    report.check("a long query runs", e2e.wait_until(
        lambda: metric_of(etinde, "prometheus_engine_queries") > 0, 5, 0.01))
    s.close()
    closed = time.monotonic()
    gone = e2e.wait_until(lambda: metric_of(etinde, "prometheus_engine_queries") == 0, 10, 0.01)
    took = time.monotonic() - closed
    report.check("a query whose client left ends", gone)
    hangups = metric_of(etinde, "etinde_http_hangups_total") - before
    report.check("within 200 ms", took < 0.2 + 0.15, f"{took:.3f} s, {hangups:.0f} hang-ups seen")


def slow_clients(etinde):
    head = raw(etinde, "GET /metrics HTTP/1.1\r\nHo")
    body = raw(etinde, "POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\n"
                       "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    until, cut = time.monotonic() + 20, {}
    began = time.monotonic()
    while time.monotonic() < until and len(cut) < 2:
        for name, s in (("head", head), ("body", body)):
            if name in cut:
                continue
            try:
                s.settimeout(0.01)
                s.sendall(b"x")
                if s.recv(1000) == b"":
                    cut[name] = time.monotonic() - began
            except socket.timeout:
                pass
            except OSError:
                cut[name] = time.monotonic() - began
        report.check("others are served meanwhile", etinde.get("/-/healthy").status == 200)
        time.sleep(0.2)
    report.check("a slow head is cut", 9 < cut.get("head", 0) < 14, repr(cut))
    report.check("a slow body is cut", 4 < cut.get("body", 0) < 9, repr(cut))


class Writer(threading.Thread):
    """Pushes one numbered sample and line after the other and keeps what was acknowledged."""

    def __init__(self, etinde):
        super().__init__(daemon=True)
        self.etinde, self.acked, self.refused, self.going = etinde, [], [], True

    def run(self):
        number = 0
        base = int(time.time() * 1000) - 3600 * 1000
        while self.going:
            number += 1
            try:
                a = self.etinde.write([({"__name__": "seq"}, [(base + number, number)])])
                b = self.etinde.push([({"app": "seq"}, [((base + number) * 10**6, str(number))])])
            except OSError:
                break
            if (a.status, b.status) == (204, 204):
                self.acked.append(number)
            else:
                self.refused.append((a, b))
        self.base = base


def all_there(etinde, name, writer):
    base = writer.base
    answer = etinde.query(f"count_over_time(seq[2h])", time.time())
    result = answer.json["data"]["result"]
    samples = int(result[0]["value"][1]) if result else 0
    lines = set()
    for start in range(0, writer.acked[-1] + 2, 4000):
        answer = etinde.log_lines('{app="seq"}', (base + start) * 10**6, (base + start + 4000) * 10**6)
        lines |= {int(v[1]) for s in answer.json["data"]["result"] for v in s["values"]}
    report.check(f"{name}: every sample", samples >= len(writer.acked),
                 f"{samples} of {len(writer.acked)}")
    missing = set(writer.acked) - lines
    report.check(f"{name}: every line", not missing, f"{len(missing)} of {len(writer.acked)} missing")


def stops(name, sig, wanted):
    with e2e.folder() as path:
        etinde = e2e.Etinde(path).start()
        writer = Writer(etinde)
        writer.start()
        enough = e2e.wait_until(lambda: len(writer.acked) > 20, 60, 0.05)
        code = etinde.stop(sig)
        report.equal(f"{name}: the exit code", code, wanted)
        writer.going = False
        writer.join(30)
        report.equal(f"{name}: nothing was refused", writer.refused, [])
        report.check(f"{name}: something was acknowledged", enough, len(writer.acked))
        etinde.start()
        all_there(etinde, name, writer)
        report.equal(f"{name}: a clean end", etinde.stop(), 0)


def main():
    with e2e.server() as etinde:
        for part in (there_and_back, wire_format, large_pushes, tenants, sent_twice, clients_that_leave,
                     slow_clients):
            try:
                part(etinde)
            except Exception as error:
                report.check(f"{part.__name__} ran to its end", False,
                             f"{type(error).__name__}: {error}")
        report.equal("a clean end", etinde.stop(), 0)
    stops("SIGTERM under load", signal.SIGTERM, 0)
    stops("kill -9 under load", signal.SIGKILL, -signal.SIGKILL)
    report.finish()


main()
