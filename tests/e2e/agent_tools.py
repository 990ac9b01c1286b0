"""agent_tools.py - what the tests of the agent share: a receiver that reads pushes.

The receiver stands in for the server.  A test gives it a `judge` that decides
what to answer, so that it can fail on purpose before or after it has taken a batch.
"""
import http.server
import os
import struct
import threading

import etinde as e2e


def agent_binary():
    path = os.path.join(os.path.dirname(e2e.server_binary()), "etinde-agent")
    if not os.path.exists(path):
        e2e.skip(f"{path} is not built")
    return path


def unsnap(data):
    """Decode a snappy block."""
    size, at = read_varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        kind = tag & 3
        if kind == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(data[at:at + extra], "little")
                at += extra
            out += data[at:at + length + 1]
            at += length + 1
            continue
        if kind == 1:
            length, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at]
            at += 1
        else:
            width = 2 if kind == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(data[at:at + width], "little")
            at += width
        for _ in range(length):
            out.append(out[-offset])
    assert len(out) == size, (len(out), size)
    return bytes(out)


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def fields(data):
    """(number, value) of each field of a message; values are ints, bytes or doubles."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = read_varint(data, at)
        elif kind == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif kind == 2:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {kind}")
        yield tag >> 3, value


def pair(data):
    found = dict(fields(data))
    return found.get(1, b"").decode(), found.get(2, b"").decode()


def read_write_request(data):
    """[(labels, [(ms, value)])] and {family: (type, help)}."""
    series, families = [], {}
    for number, value in fields(data):
        if number == 1:
            labels, samples = {}, []
            for inner, content in fields(value):
                if inner == 1:
                    name, text = pair(content)
                    labels[name] = text
                elif inner == 2:
                    sample = dict(fields(content))
                    samples.append((sample.get(2, 0), sample.get(1, 0.0)))
            series.append((labels, samples))
        elif number == 3:
            found = dict(fields(value))
            families[found[2].decode()] = (found.get(1, 0), found.get(4, b"").decode())
    return series, families


def read_push_request(data):
    """[(label text, [(ns, line)])]."""
    streams = []
    for number, value in fields(data):
        if number != 1:
            continue
        labels, entries = "", []
        for inner, content in fields(value):
            if inner == 1:
                labels = content.decode()
            elif inner == 2:
                found = dict(fields(content))
                when = dict(fields(found.get(1, b"")))
                entries.append((when.get(1, 0) * 10**9 + when.get(2, 0),
                                found.get(2, b"").decode()))
        streams.append((labels, entries))
    return streams


class Batch:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.raw = path, headers, unsnap(body)
        self.key = (headers["X-Etinde-Producer"], int(headers["X-Etinde-Epoch"]),
                    int(headers["X-Etinde-Sequence"]))

    @property
    def is_logs(self):
        return self.path == "/loki/api/v1/push"


class Receiver:
    """Keeps the batches that it took, each once, in the order of their arrival.

    `judge(batch)` gives (take it?, status or None to hang up, headers).
    """

    def __init__(self, judge=None):
        self.judge = judge or (lambda batch: (True, 204, {}))
        self.lock = threading.Lock()
        self.batches, self.keys, self.repeats, self.changed = [], {}, 0, []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.receive(self, Batch(self.path, self.headers, body))

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a killed agent leaves broken connections behind

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def receive(self, handler, batch):
        with self.lock:
            take, status, headers = self.judge(batch)
            if take:
                self.take(batch)
        if status is None:
            handler.close_connection = True
            handler.connection.close()
            return
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def take(self, batch):
        if batch.key in self.keys:
            self.repeats += 1
            if self.keys[batch.key].raw != batch.raw:
                self.changed.append(batch.key)
            return
        self.keys[batch.key] = batch
        self.batches.append(batch)

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def lines(self):
        """{label text: [(ns, line)]} of all log batches."""
        out = {}
        with self.lock:
            batches = [b for b in self.batches if b.is_logs]
        for batch in batches:
            for labels, entries in read_push_request(batch.raw):
                out.setdefault(labels, []).extend(entries)
        return out


class Agent(e2e.Process):
    def __init__(self, folder, url, *options):
        super().__init__([agent_binary(), "--server", url, "--state", os.path.join(folder, "state"),
                          *options], os.path.join(folder, "agent.log"))
