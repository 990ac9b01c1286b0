#!/usr/bin/env python3
"""A flipped bit in a stored day: the rest answers with a warning, verify names it, --repair goes on without it."""
import glob
import os
import subprocess
import time

import etinde as e2e

report = e2e.Report()
DAY = 86400


def flip(path, text):
    """A bit of every place where the text stands: one is in a page that is in use."""
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        at = data.find(text)
        while at >= 0:
            data[at] ^= 1
            at = data.find(text, at + 1)
        file.seek(0)
        file.write(data)


def fill(etinde, now):
    for ago in (2 * DAY, 0):
        at = now - ago
        answer = etinde.write([({"__name__": "m", "part": f"p{ago}"}, [(at * 1000, 1.0)])])
        report.equal("a write", answer.status, 204)
        answer = etinde.push([({"app": "a", "part": f"p{ago}"}, [(at * 10**9, "a line")])])
        report.equal("a push", answer.status, 204)


def warned(name, answer, path):
    report.equal(f"{name}: answered", answer.status, 200)
    warnings = " ".join(answer.json.get("warnings", []))
    report.contains(f"{name}: the warning names file and page", warnings, path, "page ", "offset ")


def ask(etinde, now, paths):
    answer = etinde.query_range("count(m)", now - 3 * DAY, now, 3600)
    warned("range query", answer, paths["metric"])
    report.check("range query: the other day", answer.json["data"]["result"] != [])
    answer = etinde.get("/api/v1/series", {"match[]": "m", "start": now - 3 * DAY, "end": now})
    warned("series", answer, paths["metric"])
    report.equal("series: the other day's", [s["part"] for s in answer.json["data"]], ["p0"])
    answer = etinde.get("/api/v1/label/part/values", {"start": now - 3 * DAY, "end": now})
    warned("label values", answer, paths["metric"])
    answer = etinde.log_lines('{app="a"}', (now - 3 * DAY) * 10**9, (now + 1) * 10**9)
    warned("log lines", answer, paths["log"])
    report.equal("log lines: the other day's", len(answer.json["data"]["result"]), 1)
    answer = etinde.query_range("count(m)", now - 3600, now, 60)
    report.check("no warning where no damage is", "warnings" not in answer.json, answer.json)


def verify(data, paths):
    done = subprocess.run([e2e.server_binary(), "verify", "--data", data], capture_output=True,
                          text=True, check=False)
    report.equal("verify's exit code", done.returncode, 1)
    for path in paths.values():
        report.contains("verify names the file and page", done.stdout, path, "page ")


def test(folder):
    now = int(time.time())
    day = time.strftime("%Y-%m-%d", time.gmtime(now - 2 * DAY))
    etinde = e2e.Etinde(folder).start()
    try:
        fill(etinde, now)
        etinde.stop()
        paths = {}
        for kind in ("metric", "log"):
            paths[kind], = glob.glob(f"{folder}/**/{kind}/{day}/*.mdb", recursive=True)
            flip(paths[kind], b"part")
        data = os.path.dirname(glob.glob(f"{folder}/**/meta.mdb", recursive=True)[0])
        verify(data, paths)
        etinde.start()
        ask(etinde, now, paths)
        etinde.stop()
        repaired = e2e.Etinde(folder, "--repair")
        repaired.start()
        answer = repaired.query_range("count(m)", now - 3 * DAY, now, 3600)
        report.check("after a repair: no warning", "warnings" not in answer.json, answer.json)
        report.check("the file is kept aside", os.path.exists(paths["metric"] + ".damaged"))
        repaired.stop()
    finally:
        if etinde.process:
            etinde.stop()


def main():
    with e2e.folder() as path:
        test(path)
    report.finish()


if __name__ == "__main__":
    main()
