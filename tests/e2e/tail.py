#!/usr/bin/env python3
"""Live tail over a WebSocket: backlog, new entries, order, limits, ends."""
import base64
import json
import os
import socket
import struct
import time
import urllib.parse

import etinde as e2e

report = e2e.Report()


class Tail:
    """A WebSocket client of the standard library alone."""

    def __init__(self, etinde, query, headers=None, **params):
        self.socket = socket.create_connection(("127.0.0.1", etinde.port), timeout=10)
        self.data = b""
        path = "/loki/api/v1/tail?" + urllib.parse.urlencode({"query": query, **params})
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}",
                 *(f"{k}: {v}" for k, v in (headers or {}).items()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        while b"\r\n\r\n" not in self.data:
            more = self.socket.recv(4096)
            if not more:
                break
            self.data += more
        self.head, _, self.data = self.data.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1])

    def need(self, size):
        while len(self.data) < size:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.data += more

    def frame(self):
        self.need(2)
        opcode, size, head = self.data[0] & 15, self.data[1] & 127, 2
        if size == 126:
            self.need(4)
            size, head = struct.unpack(">H", self.data[2:4])[0], 4
        elif size == 127:
            self.need(10)
            size, head = struct.unpack(">Q", self.data[2:10])[0], 10
        self.need(head + size)
        payload, self.data = self.data[head:head + size], self.data[head + size:]
        return opcode, payload

    def send(self, opcode, payload):
        mask = os.urandom(4)
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked)

    def messages(self, seconds):
        """Text frames that come within `seconds`."""
        until, found = time.monotonic() + seconds, []
        while time.monotonic() < until:
            self.socket.settimeout(max(0.01, until - time.monotonic()))
            try:
                opcode, payload = self.frame()
            except (TimeoutError, socket.timeout):
                break
            if opcode == 1:
                found.append(json.loads(payload))
        self.socket.settimeout(10)
        return found

    def lines(self, seconds, count=None):
        """Lines within `seconds`, or as soon as there are `count`."""
        until, found = time.monotonic() + seconds, []
        while time.monotonic() < until and (count is None or len(found) < count):
            for message in self.messages(0.3):
                found += [v[1] for s in message["streams"] for v in s["values"]]
        return found

    def close(self):
        self.socket.close()


def backlog_and_news(etinde):
    now = time.time_ns()
    etinde.push([({"app": "t"}, [(now - (10 - i) * 10**9, f"old {i}") for i in range(5)])])
    tail = Tail(etinde, '{app="t"} |= "o"', limit=3)
    report.equal("the protocol is switched", tail.status, 101)
    report.equal("the newest of the backlog, oldest first", tail.lines(3, 3),
                 ["old 2", "old 3", "old 4"])
    wanted = []
    for i in range(20):
        now = time.time_ns()
        etinde.push([({"app": "t"}, [(now, f"one {i}"), (now + 1, f"no match? so {i}"),
                                     (now + 2, f"hidden {i}")]),
                     ({"app": "other"}, [(now, f"other {i}")])])
        wanted += [f"one {i}", f"no match? so {i}"]
        time.sleep(0.05)
    report.equal("every new line, once, in order", tail.lines(5, len(wanted)), wanted)
    now = time.time_ns()
    etinde.push([({"app": "t"}, [(now - 5 * 10**9, "old but new")])])
    report.equal("a line that comes late", tail.lines(3, 1), ["old but new"])
    etinde.push([({"app": "t"}, [(now - 5 * 10**9, "old but new")])])
    report.equal("nothing comes twice", tail.lines(1.5), [])
    tail.send(9, b"hello")
    report.equal("a ping is answered", tail.frame(), (10, b"hello"))
    tail.send(8, struct.pack(">H", 1000))
    report.equal("a close is answered", tail.frame()[0], 8)
    tail.close()


def shape(etinde):
    now = time.time_ns()
    etinde.push([({"app": "c"}, [(now, "level=info x=1", {"trace": "t"})])])
    for headers in ({"X-Loki-Response-Encoding-Flags": "categorize-labels"}, {}):
        tail = Tail(etinde, '{app="c"} | logfmt', headers, limit=10)
        message = tail.messages(2)[0]
        stream = message["streams"][0]
        report.equal("keys of a stream", list(stream), ["stream", "values"])
        report.equal("a time is a text", stream["values"][0][:2], [str(now), "level=info x=1"])
        if headers:
            report.equal("flags", message.get("encodingFlags"), ["categorize-labels"])
            report.equal("categories", stream["values"][0][2]["parsed"]["x"], "1")
            report.check("only stream labels", "x" not in stream["stream"], repr(stream))
        else:
            report.check("folded labels", stream["stream"].get("trace") == "t", repr(stream))
        tail.close()


def many_lines(etinde):
    """Larger than one batch, pushed while the tail runs."""
    tail = Tail(etinde, '{app="many"}', limit=10)
    start = time.time_ns()
    total = 30000
    for at in range(0, total, 5000):
        etinde.push([({"app": "many", "n": str(at % 2)},
                      [(start + i * 1000, f"line {i}") for i in range(at, at + 5000)])])
    lines = tail.lines(30, total)
    report.equal("every line of many", len(lines), total)
    report.equal("each once", len(set(lines)), total)
    tail.close()


def refusals(etinde):
    for query in ('rate({app="t"}[1m])', '{app="t"', '{}', ""):
        report.equal(f"a wrong query: {query}", Tail(etinde, query).status, 400)
    report.equal("a long delay", Tail(etinde, '{app="t"}', delay_for=6).status, 400)
    answer = etinde.get("/loki/api/v1/tail", {"query": '{app="t"}'})
    report.equal("no WebSocket", answer.status, 400)
    wrong = Tail(etinde, '{app="t"}')
    wrong.socket.sendall(b"\x81\x01x")
    opcode, payload = wrong.frame()
    while opcode == 1:  # the backlog
        opcode, payload = wrong.frame()
    report.equal("an unmasked frame ends it", (opcode, payload[:2]), (8, struct.pack(">H", 1002)))
    wrong.close()
    huge = Tail(etinde, '{app="t"}')
    huge.socket.sendall(b"\x81\xff" + struct.pack(">Q", 1 << 40))
    opcode, payload = huge.frame()
    while opcode == 1:
        opcode, payload = huge.frame()
    report.equal("a huge frame ends it", payload[:2], struct.pack(">H", 1009))
    huge.close()


def limits_and_end(etinde):
    tails = [Tail(etinde, '{app="none"}') for _ in range(10)]
    report.equal("ten tails", [t.status for t in tails], [101] * 10)
    report.equal("not eleven", Tail(etinde, '{app="none"}').status, 429)
    other = Tail(etinde, '{app="none"}', {"X-Scope-OrgID": "other"})
    report.equal("another tenant has its own", other.status, 101)
    tails.pop().close()
    report.check("a place becomes free", e2e.wait_until(
        lambda: Tail(etinde, '{app="none"}').status == 101, 5))
    began = time.monotonic()
    report.equal("the server ends with tails open", etinde.stop(), 0)
    report.check("and soon", time.monotonic() - began < 10)
    opcode, payload = tails[0].frame()
    report.equal("and says that it goes", (opcode, payload[:2]), (8, struct.pack(">H", 1001)))


def main():
    with e2e.server() as etinde:
        for part in (backlog_and_news, shape, many_lines, refusals):
            try:
                part(etinde)
            except Exception as error:
                report.check(f"{part.__name__} ran to its end", False,
                             f"{type(error).__name__}: {error}")
        time.sleep(0.5)
        limits_and_end(etinde)
    report.finish()


main()
