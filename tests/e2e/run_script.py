#!/usr/bin/env python3
"""./run, as README's first command: it starts both, its four curl lines answer, Ctrl-C stops both."""
import json
import os
import re
import signal
import subprocess

import agent_tools as tools
import etinde as e2e

e2e.need("curl", "cmake")
report = e2e.Report()
if not e2e.server_binary().startswith(os.path.join(e2e.ROOT, "build/release/")):
    e2e.skip("./run starts what is in build/release")
tools.agent_binary()


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def children_of(data):
    """Command lines of processes that were started on this data directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = read(f"/proc/{pid}/cmdline").replace("\0", " ")
        except OSError:
            continue
        if data in line and "etinde" in line.split(" ")[0]:
            found.append(line)
    return found


def run(folder, data, sig, logs=None):
    """Start ./run, hand its output to the checks, send the signal, check the end."""
    output = os.path.join(folder, "output")
    env = dict(os.environ, ETINDE_DATA=data, ETINDE_LISTEN="127.0.0.1:0", ETINDE_INTERVAL="1s")
    if logs:
        env["ETINDE_LOGS"] = logs
    with open(output, "wb") as out:
        child = subprocess.Popen([os.path.join(e2e.ROOT, "run")], stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=subprocess.STDOUT, env=env,
                                 start_new_session=True)
    try:
        ready = e2e.wait_until(lambda: "Ctrl-C stops both." in read(output) or
                               child.poll() is not None, 300)
        if report.check("./run becomes ready", ready and child.poll() is None, read(output)[-1500:]):
            check_output(read(output), data)
            report.equal("two processes run", len(children_of(data)), 2)
    finally:
        os.killpg(child.pid, sig)  # as a terminal does: everybody gets it
        try:
            code = child.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            code = child.wait()
    report.equal("./run ends with success", code, 0)
    report.contains("it says so", read(output), "stopped; the data stays in")
    report.equal("nothing is left running", children_of(data), [])


def check_output(output, data):
    url = re.search(r"URL: +(\S+)", output)
    report.check("the URL is printed", url)
    report.contains("the data directory is printed", output, data)
    report.check("the logs are named", re.search(r"logs tailed: \S+", output))
    lines = re.findall(r"^ +(curl .*)$", output, re.M)
    report.equal("four curl lines", len(lines), 4)
    for line in lines:
        answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
        try:
            body = json.loads(answer.stdout)
        except ValueError:
            body = {}
        report.check(f"answers with data: {line}",
                     body.get("status") == "success" and len(body["data"]["result"]) > 0,
                     answer.stdout[:300])


with e2e.folder() as folder:
    data = os.path.join(folder, "data")
    run(folder, data, signal.SIGINT)
    # Again on the same data, with no log of the machine readable.
    run(folder, data, signal.SIGTERM, logs=os.path.join(folder, "nothing/*.log"))
report.finish()
