#!/usr/bin/env python3
"""winston-loki (JSON and protobuf) and pino-loki push; every line is read back.

The clients come from npm, once per build folder, at the versions of
loki_clients/package-lock.json.
"""
import os
import shutil
import subprocess
import time

import etinde as e2e

report = e2e.Report()
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "loki_clients")
COUNT = 50


def install():
    """The folder with node_modules."""
    cache = os.path.join(os.environ.get("E2E_CACHE", "/tmp/etinde-e2e-cache"), "loki_clients")
    os.makedirs(cache, exist_ok=True)
    for name in ("package.json", "package-lock.json", "push.js"):
        shutil.copy(os.path.join(HERE, name), cache)
    if not os.path.exists(os.path.join(cache, "node_modules", ".package-lock.json")):
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
                              cwd=cache, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=200, check=False)
        if done.returncode != 0:
            e2e.skip(f"npm cannot install the clients: {done.stderr[-300:]}")
    return cache


def lines_of(etinde, client):
    answer = etinde.log_lines(f'{{app="{client}"}}', time.time_ns() - 600 * 10**9,
                              time.time_ns() + 60 * 10**9)
    if answer.status != 200:
        return [repr(answer)]
    return [v[1] for s in answer.json["data"]["result"] for v in s["values"]]


def push(etinde, cache, client):
    done = subprocess.run(["node", "push.js", f"http://127.0.0.1:{etinde.port}", client,
                           str(COUNT)], cwd=cache, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False)
    report.check(f"{client}: ends without an error", done.returncode == 0,
                 f"{done.returncode} {done.stdout[-500:]} {done.stderr[-500:]}")
    e2e.wait_until(lambda: len(lines_of(etinde, client)) >= COUNT, 10)
    got = lines_of(etinde, client)
    report.equal(f"{client}: number of lines", len(got), COUNT)
    # winston puts the level before the line, pino wraps it in JSON.
    for i in range(COUNT):
        wanted = f'{client} line {i} "quoted" \u00e9\u4e16\U0001F600'
        found = [g for g in got if wanted in g or wanted.replace('"', '\\"') in g]
        if len(found) != 1:
            report.check(f"{client}: line {i} is there once", False, f"{len(found)} times")
            break
    else:
        report.check(f"{client}: every line is there once", True)


def main():
    e2e.need("node", "npm")
    cache = install()
    with e2e.server() as etinde:
        for client in ("winston-json", "winston-protobuf", "pino"):
            push(etinde, cache, client)
        labels = etinde.get("/loki/api/v1/label/app/values").json["data"]
        report.equal("the streams", labels, ["pino", "winston-json", "winston-protobuf"])
        report.equal("a clean end", etinde.stop(), 0)
    report.finish()


main()
