#!/usr/bin/env python3
"""Connections and request lines that not every client sends.

Idle connections beyond the limit do not keep others out; request lines with the whole URL; requests whose
body's length is in doubt; bodies that come too slowly; a low limit of descriptors.
"""
import contextlib
import resource
import socket
import time

import etinde as e2e

report = e2e.Report()


def talk(etinde, text, timeout=20):
    """All that comes back until the server closes, or what came before `timeout`."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", etinde.port),
                                                     timeout=timeout)) as s:
        s.sendall(text.encode())
        out = b""
        with contextlib.suppress(OSError):
            while piece := s.recv(65536):
                out += piece
        return out.decode(errors="replace")


def idle_connections(etinde):
    idle = []
    for _ in range(600): # the limit is 512
        s = socket.socket()
        s.settimeout(2)
        with contextlib.suppress(OSError):
            s.connect(("127.0.0.1", etinde.port))
            idle.append(s)
    times = []
    for _ in range(20):
        began = time.monotonic()
        status = 0
        with contextlib.suppress(OSError):
            status = etinde.get("/-/healthy").status
        times.append((status, time.monotonic() - began))
    report.equal("with 600 idle connections others are answered", {s for s, _ in times}, {200})
    report.check("soon", max(t for _, t in times) < 2, max(t for _, t in times))
    for s in idle:
        s.close()


def request_lines(etinde):
    host = f"127.0.0.1:{etinde.port}"
    for target in (f"http://{host}/-/healthy", f"HTTP://{host}/-/healthy?x=1"):
        answer = talk(etinde, f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        report.contains(f"GET {target.split(host)[0]}...", answer, "200 OK", "Healthy")
    answer = talk(etinde, f"GET http://{host} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    report.contains("a URL without a path is the start page", answer, "200 OK")


def doubtful_lengths(etinde):
    body = "{}"
    for name, headers in (
            ("two lengths", "Content-Length: 2\r\nContent-Length: 30\r\n"),
            ("two equal lengths", "Content-Length: 2\r\nContent-Length: 2\r\n"),
            ("a length and chunks", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n")):
        began = time.monotonic()
        answer = talk(etinde, "POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\n"
                              f"Content-Type: application/json\r\n{headers}\r\n{body}"
                              "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        report.contains(name, answer, " 400 ")
        report.check(f"{name}: what follows is not a request", "Healthy" not in answer, answer)
        report.check(f"{name}: closed", time.monotonic() - began < 10)


def slow_body(etinde):
    began = time.monotonic()
    answer = talk(etinde, "POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\n"
                          "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
    took = time.monotonic() - began
    report.check("a body that does not come is not waited for", 3 < took < 12, took)
    report.check("nor answered as if it were good", " 204 " not in answer, answer)


def few_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, hard))
    try:
        with e2e.folder() as path:
            etinde = e2e.Etinde(path).start()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            held = []
            for _ in range(150):
                s = socket.socket()
                s.settimeout(1)
                with contextlib.suppress(OSError):
                    s.connect(("127.0.0.1", etinde.port))
                    held.append(s)
            time.sleep(0.5)
            for s in held:
                s.close()
            good = e2e.wait_until(lambda: answered(etinde), 10)
            report.check("after the descriptors ran out it serves again", good)
            at = int(time.time() * 1000)
            report.equal("and stores", etinde.write([({"__name__": "m"}, [(at, 1)])]).status, 204)
            report.equal("and stops in peace", etinde.stop(), 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answered(etinde):
    with contextlib.suppress(OSError):
        return etinde.get("/-/healthy").status == 200
    return False


def main():
    with e2e.server() as etinde:
        request_lines(etinde)
        doubtful_lengths(etinde)
        idle_connections(etinde)
        slow_body(etinde)
    few_descriptors()
    report.finish()


if __name__ == "__main__":
    main()
