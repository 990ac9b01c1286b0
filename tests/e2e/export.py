#!/usr/bin/env python3
"""What `etinde export` prints is what was sent: JSON lines, and OpenMetrics read by promtool."""
import json
import os
import random
import re
import struct
import subprocess
import time

import etinde as e2e

report = e2e.Report()
STALE = struct.unpack("<d", struct.pack("<Q", 0x7ff0000000000002))[0]
ODD = 'quote " backslash \\ newline \n end'


def export(data, *arguments):
    done = subprocess.run([e2e.server_binary(), "export", "--data", data, *arguments],
                          capture_output=True, timeout=120)
    report.equal(f"export {arguments} succeeds", (done.returncode, done.stderr[-200:]
                                                  if done.returncode else b""), (0, b""))
    return done.stdout.decode()


def sent_metrics(now_ms):
    """Series: (labels, [(ms, value)])."""
    random.seed(5)
    series = []
    for i in range(20):
        labels = {"__name__": f"exported_{i % 2}", "i": str(i), "odd": ODD}
        ms, samples = now_ms - 3 * 86400 * 1000, []
        while ms < now_ms:
            samples.append((ms, random.choice([random.random() * 1e6, random.randrange(1000),
                                               1e300, -1e-7, 0.1])))
            ms += random.randrange(1000, 900000)
        series.append((labels, samples))
    series.append(({"__name__": "odd_values"}, [
        (now_ms - 4000, float("inf")), (now_ms - 3000, float("-inf")),
        (now_ms - 2000, float("nan")), (now_ms - 1000, STALE)]))
    return series


def key(labels):
    return tuple(sorted(labels.items()))


def check_json(data, series):
    got = {}
    for line in export(data, "--format", "json").splitlines():
        item = json.loads(line)
        report.check("as many values as times", len(item["values"]) == len(item["timestamps"]))
        got.setdefault(key(item["metric"]), []).extend(zip(item["timestamps"], item["values"]))
    wanted = {key(labels): samples for labels, samples in series}
    odd = got.pop(key({"__name__": "odd_values"}), None)
    wanted.pop(key({"__name__": "odd_values"}))
    report.check("JSON has every sample and nothing else", got == wanted)
    report.equal("values that JSON lacks are texts", [v for _, v in odd or []],
                 ["+Inf", "-Inf", "NaN", "StaleNaN"])


def check_promtool(path, data, series):
    text, blocks = os.path.join(path, "text"), os.path.join(path, "blocks")
    with open(text, "w", encoding="utf-8") as f:
        f.write(export(data))
    made = subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", text, blocks],
                          capture_output=True, text=True, timeout=120)
    report.equal("promtool reads the OpenMetrics text", (made.returncode, made.stderr), (0, ""))
    os.makedirs(os.path.join(blocks, "wal"), exist_ok=True)  # else dump refuses
    dump = subprocess.run(["promtool", "tsdb", "dump", blocks], capture_output=True, text=True,
                          timeout=120)
    got = set()
    for line in dump.stdout.splitlines():
        labels, value, ms = re.fullmatch(r"\{(.*)\} (\S+) (-?\d+)", line).groups()
        i = re.search(r'\bi="(\d+)"', labels)
        if i:
            got.add((int(i.group(1)), int(ms), float(value)))
    wanted = {(int(labels["i"]), ms, float(v)) for labels, samples in series if "i" in labels
              for ms, v in samples}
    report.check("promtool's blocks have every sample at its millisecond", got == wanted,
                 f"{len(got)} of {len(wanted)}, lacks {sorted(wanted - got)[:2]}, "
                 f"more {sorted(got - wanted)[:2]}")
    report.check("infinities are there", len(re.findall(r"odd_values.* [+-]Inf ", dump.stdout)) == 2)


def check_selection(data, series, now_ms):
    text = export(data, "--match", 'exported_1{i=~"1|3"}')
    report.equal("--match", len(text.splitlines()) - 1,
                 sum(len(s) for labels, s in series if labels.get("i") in ("1", "3")))
    start = now_ms - 86400 * 1000
    text = export(data, "--start", str(start / 1000), "--match", '{__name__=~"exported.*"}')
    report.equal("--start", len(text.splitlines()) - 1,
                 sum(ms >= start for labels, s in series if "i" in labels for ms, _ in s))
    report.equal("an unknown tenant is empty", export(data, "--tenant", "nobody"), "# EOF\n")
    bad = subprocess.run([e2e.server_binary(), "export", "--data", data, "--kind", "trace"],
                         capture_output=True, text=True, timeout=60)
    report.equal("a wrong kind is wrong usage", bad.returncode, 2)
    bad = subprocess.run([e2e.server_binary(), "export", "--data", data + "-none"],
                         capture_output=True, text=True, timeout=60)
    report.equal("no store is a failure", bad.returncode, 1)
    report.check("and none is made", not os.path.exists(data + "-none"))


def check_logs(data, lines):
    got = [json.loads(line) for line in export(data, "--kind", "log").splitlines()]
    report.equal("logs: every line with its metadata",
                 sorted((int(e["timestamp"]), e["line"], e["stream"]["app"],
                         e.get("metadata", {}).get("trace", "")) for e in got), sorted(lines))


def main():
    e2e.need("promtool")
    with e2e.folder() as path:
        etinde = e2e.Etinde(path, "--no-discover-log-levels").start()
        now_ms = int(time.time() * 1000)
        series = sent_metrics(now_ms)
        report.equal("samples are taken", etinde.write(series).status, 204)
        lines = [(now_ms * 10**6 + i, f"line {i} {ODD}", "shop", "abc" if i % 3 else "")
                 for i in range(500)]
        report.equal("lines are taken", etinde.push([({"app": "shop"}, [
            (t, line, {"trace": trace}) if trace else (t, line)
            for t, line, _, trace in lines])]).status, 204)
        report.equal("a clean end", etinde.stop(), 0)
        check_json(etinde.data, series)
        check_promtool(path, etinde.data, series)
        check_selection(etinde.data, series, now_ms)
        check_logs(etinde.data, lines)
        etinde.start()
        report.equal("the server starts after exports", etinde.stop(), 0)
    report.finish()


main()
