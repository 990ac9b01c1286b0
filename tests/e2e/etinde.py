"""etinde.py - what the end-to-end tests share.

A test starts the real server in a temporary folder on a port that the system
chose, talks to it over HTTP, and ends only processes that it started itself.
Checks are counted; the last line is "N passed, N failed, N skipped".
"""
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = 77


# ---- counting ----

class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, name, good, detail=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {name}" + (f": {detail}" if detail != "" else ""), flush=True)
        return bool(good)

    def equal(self, name, got, wanted):
        return self.check(name, got == wanted, f"got {got!r}, wanted {wanted!r}")

    def contains(self, name, text, *words):
        missing = [w for w in words if w.lower() not in text.lower()]
        return self.check(name, not missing, f"{text!r} lacks {missing!r}")

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        sys.exit(1 if self.failed else 0)


def skip(why):
    """Something that the test needs is missing."""
    print(f"skipped: {why}", flush=True)
    sys.exit(SKIPPED)


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            skip(f"{program} is not installed")


# ---- processes ----

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def server_binary():
    path = os.environ.get("ETINDE_BIN", os.path.join(ROOT, "build/release/bin/etinde"))
    if not os.path.exists(path):
        skip(f"{path} is not built")
    return path


class Process:
    """A child process with its output in a file."""

    def __init__(self, arguments, log, environment=None):
        self.arguments = arguments
        self.log = log
        env = dict(os.environ, **(environment or {}))
        with open(log, "ab") as out:
            self.child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=subprocess.STDOUT, env=env)

    def running(self):
        return self.child.poll() is None

    def stop(self, sig=signal.SIGTERM, timeout=30):
        """Returns the exit code, or None when it had to be killed."""
        if self.running():
            self.child.send_signal(sig)
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            return None

    def tail(self, size=2000):
        with open(self.log, "rb") as f:
            return f.read()[-size:].decode("utf-8", "replace")


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.text[:300]!r}"


def request(port, method, path, params=None, body=None, headers=None, timeout=60):
    """`params` is a dict or a list of pairs; a list keeps repeats such as match[]."""
    if params:
        path += "?" + urllib.parse.urlencode(params)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Response(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


class Etinde:
    def __init__(self, folder, *options, data=None):
        self.folder = folder
        self.options = list(options)
        self.data = data or os.path.join(folder, "data")
        self.port = free_port()
        self.process = None

    def start(self, timeout=30):
        self.process = Process(
            [server_binary(), "--data", self.data, "--listen", f"127.0.0.1:{self.port}",
             *self.options], os.path.join(self.folder, "etinde.log"))
        self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=30):
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if not self.process.running():
                raise RuntimeError("etinde ended: " + self.process.tail())
            with contextlib.suppress(OSError):
                if self.get("/ready").status == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError("etinde does not become ready: " + self.process.tail())

    def stop(self, sig=signal.SIGTERM):
        code = self.process.stop(sig)
        self.process = None
        return code

    def get(self, path, params=None, headers=None):
        return request(self.port, "GET", path, params, headers=headers)

    def post(self, path, body=b"", headers=None, params=None):
        return request(self.port, "POST", path, params, body, headers)

    def post_form(self, path, fields, headers=None, params=None):
        return request(self.port, "POST", path, params, urllib.parse.urlencode(fields),
                       {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})})

    def write(self, series, headers=None):
        """Remote-write 1.0: [(labels, [(milliseconds, value)])]."""
        return self.post("/api/v1/write", snappy(write_request(series)),
                         {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                          "X-Prometheus-Remote-Write-Version": "0.1.0", **(headers or {})})

    def push(self, streams, headers=None):
        """Loki push as JSON: [(labels, [(nanoseconds, line[, metadata])])]."""
        body = {"streams": [{"stream": labels,
                             "values": [[str(e[0]), *e[1:]] for e in entries]}
                            for labels, entries in streams]}
        return self.post("/loki/api/v1/push", json.dumps(body),
                         {"Content-Type": "application/json", **(headers or {})})

    def query(self, query, at, **more):
        return self.get("/api/v1/query", {"query": query, "time": at, **more})

    def query_range(self, query, start, end, step, **more):
        return self.get("/api/v1/query_range",
                        {"query": query, "start": start, "end": end, "step": step, **more})

    def log_lines(self, query, start_ns, end_ns, limit=5000, direction="forward", headers=None):
        return self.get("/loki/api/v1/query_range",
                        {"query": query, "start": start_ns, "end": end_ns, "limit": limit,
                         "direction": direction}, headers)


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(prefix="etinde-e2e-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def server(*options):
    with folder() as path:
        etinde = Etinde(path, *options)
        try:
            yield etinde.start()
        finally:
            if etinde.process:
                etinde.stop()


def wait_until(condition, timeout, pause=0.2):
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(pause)
    return False


# ---- protobuf and snappy, by hand ----

def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, payload):
    """A length-delimited field."""
    if isinstance(payload, str):
        payload = payload.encode()
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def number_field(number, value):
    return varint(number << 3) + varint(value)


def double_field(number, value):
    return varint(number << 3 | 1) + struct.pack("<d", value)


def write_request(series):
    """`labels` may be a dict or a list of pairs (for repeated names)."""
    out = b""
    for labels, samples in series:
        pairs = labels if isinstance(labels, list) else sorted(labels.items())
        message = b"".join(field(1, field(1, n) + field(2, v)) for n, v in pairs)
        message += b"".join(field(2, double_field(1, v) + number_field(2, t)) for t, v in samples)
        out += field(1, message)
    return out


def push_request(streams):
    """Loki's protobuf: [(label text, [(nanoseconds, line)])]."""
    out = b""
    for labels, entries in streams:
        message = field(1, labels)
        for nanoseconds, line in entries:
            when = number_field(1, nanoseconds // 10**9) + number_field(2, nanoseconds % 10**9)
            message += field(2, field(1, when) + field(2, line))
        out += field(1, message)
    return out


def snappy(data):
    """Snappy's block format, all literals."""
    out = bytearray(varint(len(data)))
    for at in range(0, len(data), 65536):
        piece = data[at:at + 65536]
        out.append(61 << 2)
        out += struct.pack("<H", len(piece) - 1)
        out += piece
    return bytes(out)
