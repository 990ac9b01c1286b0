#!/usr/bin/env python3
"""`etinde import`: what other programs stored is there afterwards, sample by sample.

Blocks come from promtool and from a Prometheus that took histograms and deleted
a series; both are compared with promtool's dump and Prometheus' own answers.
Then our own export, the lines of VictoriaMetrics, imports into days that exist and
into a running server, and what must be refused.
"""
import glob
import json
import os
import random
import re
import shutil
import struct
import subprocess
import time
import urllib.request

import etinde as e2e

report = e2e.Report()
DAY = 86400
STALE = struct.pack("<Q", 0x7ff0000000000002)


def command(*arguments, data=None, code=0):
    done = subprocess.run([e2e.server_binary(), *arguments], input=data, capture_output=True,
                          timeout=120)
    report.equal(f"{arguments[0]} {arguments[3:]} ends with {code}", (done.returncode,
                 done.stderr[-300:] if done.returncode != code else b""), (code, b""))
    return done


def take(data, *arguments, text=None, code=0):
    return command("import", "--data", data, *arguments, data=text, code=code).stderr.decode()


def export(data, *arguments):
    return command("export", "--data", data, *arguments).stdout


def openmetrics(now):
    """Text for promtool, and the samples that it stands for."""
    random.seed(7)
    lines, samples = ["# TYPE history gauge", "# HELP history What was."], set()
    for i in range(40):
        t, value = (now - 3 * DAY) * 1000 + i, 0.0
        while t < (now - 600) * 1000:
            value = random.choice([value + 1, value, random.random() * 1e9, -0.5, 1e-300])
            lines.append(f'history{{i="{i}",path="a \\"b\\""}} {value!r} {t // 1000}.{t % 1000:03}')
            samples.add((str(i), t, value))
            t += random.choice([15000, 15000, 15001, 900000])
    return "\n".join(lines + ["# EOF", ""]), samples


def dump(blocks):
    os.makedirs(os.path.join(blocks, "wal"), exist_ok=True)  # else dump refuses
    done = subprocess.run(["promtool", "tsdb", "dump", blocks], capture_output=True, text=True,
                          timeout=120)
    got = set()
    for line in done.stdout.splitlines():
        found = re.fullmatch(r"\{(.*)\} (\S+) (-?\d+)", line)
        i = re.search(r'\bi="(\d+)"', found.group(1)) if found else None
        if i:
            got.add((i.group(1), int(found.group(3)), float(found.group(2))))
    return got


def exported(data):
    got = set()
    for line in export(data, "--format", "json").splitlines():
        item = json.loads(line)
        for t, v in zip(item.get("timestamps", []), item.get("values", [])):
            got.add((item["metric"].get("i"), t, float(v)))
    return got


def check_promtool(path, now):
    text, samples = openmetrics(now)
    source, blocks = os.path.join(path, "text"), os.path.join(path, "blocks")
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    made = subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", source, blocks],
                          capture_output=True, text=True, timeout=120)
    report.equal("promtool makes blocks", (made.returncode, made.stderr), (0, ""))
    ours = os.path.join(path, "from-blocks")
    said = take(ours, blocks)
    report.contains("it says what it read", said, "read 40 series", f"{len(samples)} samples")
    want = dump(blocks)
    report.check("there are enough samples", len(want) > 20000, str(len(want)))
    report.check("blocks: every sample and nothing else", exported(ours) == want,
                 str(len(exported(ours) ^ want)))
    first = export(ours)
    report.contains("once more it merges", take(ours, blocks), "0 new days")
    report.check("and adds nothing", export(ours) == first)
    report.contains("every day's file is sound",
                    command("verify", "--data", ours).stdout.decode(), "0 problems")
    text_data = os.path.join(path, "from-text")
    take(text_data, source)
    report.check("OpenMetrics text: the same", exported(text_data) == samples)
    take(text_data, "-", text=text.replace("# EOF\n", "").encode(), code=1)
    return blocks, ours


def check_damage(path, blocks):
    """A flipped byte anywhere is found, named, and nothing of the source comes in."""
    random.seed(11)
    data = os.path.join(path, "damaged-data")
    block = sorted(glob.glob(blocks + "/*/index"))[0][:-len("/index")]
    for name in ("index", "chunks/000001"):
        with open(os.path.join(block, name), "rb") as f:
            size = len(f.read())
        end = size if name != "index" else 60000  # postings are not read
        for _ in range(6):
            broken = os.path.join(path, "broken")
            shutil.copytree(block, broken)
            at = random.randrange(8, min(size, end))
            with open(os.path.join(broken, name), "r+b") as f:
                f.seek(at)
                byte = f.read(1)[0]
                f.seek(at)
                f.write(bytes([byte ^ 1 << random.randrange(8)]))
            done = subprocess.run([e2e.server_binary(), "import", "--data", data, broken],
                                  capture_output=True, text=True, timeout=60)
            if done.returncode == 0:
                report.check(f"{name}: a flip at {at} that does no harm is in what is not read",
                             name == "index" and export(data) != b"")
                shutil.rmtree(data)
            else:
                report.contains(f"{name}: a flip at {at} is named", done.stderr,
                                os.path.join(broken, ""))
                report.check("and nothing came in", glob.glob(data + "/default/*") == [])
            shutil.rmtree(broken)
    report.equal("nothing unfinished stays", glob.glob(data + "/import/*.part"), [])


def histogram(ms, deltas, floats):
    level, total, counts = 0, 0, []
    for delta in deltas:
        level += delta
        total += level
        counts.append(level)
    zigzag = lambda v: v << 1 ^ v >> 63
    message = e2e.double_field(2, total) if floats else e2e.number_field(1, total)
    message += e2e.double_field(3, total / 2) + e2e.number_field(4, zigzag(1))
    message += e2e.double_field(5, 0.001)
    message += e2e.field(11, e2e.number_field(1, zigzag(1)) + e2e.number_field(2, 2))
    message += e2e.field(11, e2e.number_field(1, zigzag(3)) +
                         e2e.number_field(2, len(deltas) - 2))
    if floats:
        message += e2e.field(13, b"".join(struct.pack("<d", c) for c in counts))
    else:
        message += e2e.field(12, b"".join(e2e.varint(zigzag(v)) for v in deltas))
    return message + e2e.number_field(15, ms)


class Prometheus:
    def __init__(self, path, data):
        self.port = e2e.free_port()
        config = os.path.join(path, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("scrape_configs: []\n")
        self.log = open(os.path.join(path, "prometheus.log"), "wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-admin-api",
             "--web.enable-remote-write-receiver", "--enable-feature=native-histograms",
             "--storage.tsdb.retention.time=30d"],
            stdout=self.log, stderr=self.log)
        e2e.wait_until(lambda: self.call("GET", "/-/ready") is not None, 60)

    def call(self, method, path, body=None, headers=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body,
                                         headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read()
        except OSError:
            return None

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def sent_histograms(now, floats):
    series = b""
    for name in ("h", "g"):
        labels = e2e.field(1, e2e.field(1, "__name__") + e2e.field(2, name))
        series += e2e.field(1, labels + b"".join(
            e2e.field(4, histogram((now - 600 + 15 * i) * 1000, [1 + i, 2, -1, i % 3, 5], floats))
            for i in range(30)))
    return e2e.snappy(series)


def check_prometheus(path, blocks, now):
    """Deleted ranges and native histograms, as a Prometheus leaves them."""
    data = os.path.join(path, "prometheus-data")
    shutil.copytree(blocks, data)
    prometheus = Prometheus(path, data)
    start, end = now - 2 * DAY, now - DAY
    deleted = prometheus.call("POST", "/api/v1/admin/tsdb/delete_series?match[]=history%7Bi%3D%223"
                              f"%22%7D&start={start}&end={end}", b"")
    report.check("Prometheus deletes", deleted is not None)
    pushed = prometheus.call("POST", "/api/v1/write", sent_histograms(now, False), {
        "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0"})
    report.check("Prometheus takes histograms", pushed is not None)
    made = prometheus.call("POST", "/api/v1/admin/tsdb/snapshot", b"")
    query = f"/api/v1/query?time={now - 150}&query="
    # Nothing that Prometheus 2.42 computes otherwise than 3.x: no rates, no quantiles.
    questions = ["count_over_time(history[3d])", "h", "g[100s]", "histogram_count(h)",
                 "histogram_sum(g)", "sum_over_time(history[50h])"]
    quoted = [urllib.request.quote(q) for q in questions]
    answers = [json.loads(prometheus.call("GET", query + q)) for q in quoted]
    prometheus.stop()
    snapshot = os.path.join(data, "snapshots", json.loads(made)["data"]["name"])
    ours = os.path.join(path, "from-prometheus")
    take(ours, snapshot)
    got = exported(ours)
    gone = [t for i, t, _ in got if i == "3" and start * 1000 <= t <= end * 1000]
    report.equal("what was deleted stays deleted", gone, [])
    report.check("the same samples as promtool's dump", {s for s in got if s[0]} == dump(data))
    etinde = e2e.Etinde(path, data=ours).start()
    for question, theirs in zip(questions, answers):
        mine = etinde.query(question, now - 150).json
        for answer in (mine, theirs):
            answer["data"]["result"].sort(key=lambda s: json.dumps(s["metric"], sort_keys=True))
        # Bucket bounds differ in the last digit between versions.
        short = [re.sub(r"(\d\.\d{10})\d+", r"\1", json.dumps(answer["data"]))
                 for answer in (mine, theirs)]
        report.equal(f"{question}: Prometheus' answer", *short)
    etinde.stop()


def check_round_trip(path, now):
    """Export, import, export: the same bytes, for everything that can be stored."""
    etinde = e2e.Etinde(path, "--no-discover-log-levels",
                        data=os.path.join(path, "round")).start()
    base = (now - 2 * DAY) * 1000
    stale = struct.unpack("<d", STALE)[0]
    etinde.write([({"__name__": "floats", "i": str(i)}, [(base + 2 * DAY * 1000 - 500000 + 15000 * k,
                  [k * 0.1, -0.0, float("inf"), float("nan"), stale][k % 5]) for k in range(30)])
                  for i in range(5)])
    for floats in (False, True):
        etinde.post("/api/v1/write", sent_histograms(now - 3600 * floats, floats), {
            "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0"})
    etinde.push([({"app": "a", "n": str(i)}, [
        (now * 10**9 - 1000 * k, f'line {k} "\\ \x00 é', {"trace": str(k % 3)}) if k % 2
        else (now * 10**9 - 1000 * (k // 4), f"line {k}") for k in range(200)]) for i in range(3)])
    etinde.stop()
    first = os.path.join(path, "round")
    extra = (json.dumps({"metric": {"__name__": "started"}, "values": [1, 2],
                         "timestamps": [base, base + 1000], "starts": [base - 5000, base - 5000]})
             + '\n{"family":"started","type":"counter","help":"a \\"b\\"","unit":"s"}\n')
    take(first, "--format", "json", "-", text=extra.encode())
    odd = '{"stream":{"app":"odd"},"timestamp":"%d","line_hex":"ff00fe"}\n' % (now * 10**9)
    take(first, "--kind", "log", "-", text=odd.encode())
    for kind in ("metric", "log"):
        text = export(first, "--kind", kind, "--format", "json")
        again = os.path.join(path, "round-" + kind)
        take(again, "--kind", kind, "-", text=text)
        report.check(f"{kind}: export, import, export is the same text",
                     export(again, "--kind", kind, "--format", "json") == text)
        report.check(f"{kind}: it is not empty", len(text) > 5000)
        take(again, "--kind", kind, "-", text=text)
        report.check(f"{kind}: imported twice it is the same, too",
                     export(again, "--kind", kind, "--format", "json") == text)
        words = ["\"starts\"", "\"family\"", "histograms", "StaleNaN", "-0"] if kind == "metric" \
            else ["line_hex", "metadata"]
        report.contains(f"{kind}: with everything odd in it", text.decode(), *words)


def check_running(path, now):
    """Into a server that runs, into days that it has and has not."""
    etinde = e2e.Etinde(path, "--storage.seal_interval", "1s", data=os.path.join(path, "live"))
    etinde.start()
    report.equal("a sample of its own", etinde.write([
        ({"__name__": "live"}, [((now - 60) * 1000, 1.0)])]).status, 204)
    times = [(now - 60 - 3600 * k) * 1000 for k in range(80)]
    lines = json.dumps({"metric": {"__name__": "live"}, "timestamps": sorted(times),
                        "values": [7.0] * 80}) + "\n"
    lines += json.dumps({"metric": {"__name__": "fresh"}, "timestamps": sorted(times),
                         "values": [5.0] * 80}) + "\n"
    report.contains("the server takes it in", take(etinde.data, "-", text=lines.encode()),
                    "taken in")
    value = lambda q: [s["value"][1] for s in etinde.query(q, now).json["data"]["result"]]
    report.equal("all is there at once", value("count_over_time(live[5d])") +
                 value("count_over_time(fresh[5d])"), ["80", "80"])
    report.equal("what was stored before stays", value("live"), ["1"])
    take(etinde.data, "-", text=lines.encode())
    report.equal("again: nothing more", value("sum(sum_over_time(live[5d]))"), [str(79 * 7 + 1)])
    report.equal("the labels are found", value("count(last_over_time(fresh[5d]))"), ["1"])
    import signal
    etinde.stop(signal.SIGKILL)
    etinde.start()
    report.equal("a kill loses nothing", value("sum(sum_over_time(live[5d]))"), [str(79 * 7 + 1)])
    etinde.stop()
    etinde = e2e.Etinde(path, "--web.enable-admin-api", data=etinde.data).start()
    deleted = etinde.post("/api/v1/admin/tsdb/delete_series", params={"match[]": "fresh"})
    if deleted.status == 204:
        said = take(etinde.data, "--retention", "30d", "-", text=lines.encode(), code=1)
        report.contains("what a delete would hide is refused", said, "fresh", "not worked off")
        report.equal("and stays deleted", value("count(last_over_time(fresh[5d]))"), [])
    report.equal("it stops", etinde.stop(), 0)
    report.contains("and verifies", command("verify", "--data", etinde.data).stdout.decode(),
                    "0 problems")


def check_refusals(path, now):
    data = os.path.join(path, "refused")
    old = json.dumps({"metric": {"__name__": "old"}, "values": [1, 2, 3],
                      "timestamps": [(now - 20 * DAY) * 1000, now * 1000, (now + DAY) * 1000]})
    said = take(data, "--check", "-", text=old.encode())
    report.contains("what is too old is counted", said, "would import 1 series, 1 samples",
                    "left out 1 samples older than the retention of 15d", "in the future")
    report.check("--check writes nothing", not os.path.exists(data))
    take(data, "--retention", "30d", "-", text=old.encode())
    report.equal("with a longer retention it comes in", len(exported(data)), 2)
    bad = [b"{", b'{"metric":{"__name__":"x"},"values":[1],"timestamps":[1,2]}', b"x 1\n# EOF\n",
           b"x{ 1 2\n# EOF\n", b'{"stream":{"a":"b"}}']
    for text in bad:
        report.contains(f"{text} is refused by line", take(data, "-", text=text, code=1), "line 1")
    said = take(data, "-", text=b'{"metric":{"a":"\xff"},"values":[1],"timestamps":[%d]}'
                % (now * 1000))
    report.contains("a bad series costs itself", said, "1 invalid series")
    report.contains("no source", take(data, "/nonexistent", code=1), "/nonexistent")
    report.contains("no blocks", take(data, path, code=1), "holds no blocks")


def main():
    e2e.need("promtool", "prometheus")
    now = int(time.time())
    with e2e.folder() as path:
        blocks, _ = check_promtool(path, now)
        check_damage(path, blocks)
        check_prometheus(path, blocks, now)
        check_round_trip(path, now)
        check_running(path, now)
        check_refusals(path, now)
    report.finish()


main()
