#!/usr/bin/env python3
"""promtool's query commands against the server: instant, range, series, labels."""
import subprocess
import time

import etinde as e2e

report = e2e.Report()


def promtool(*arguments):
    done = subprocess.run(["promtool", "query", *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def succeeds(name, wanted, *arguments):
    """The output must have exactly these lines, in any order."""
    code, out, err = promtool(*arguments)
    report.check(f"{name}: promtool succeeds", code == 0, f"{code} {out} {err}")
    report.equal(f"{name}: output", sorted(out.split("\n")[:-1]), sorted(wanted))


def main():
    e2e.need("promtool")
    with e2e.server() as etinde:
        t = int(time.time()) - 10
        values = {("a", "1"): 1.5, ("a", "2"): 2.0, ("b", "1"): float("inf")}
        series = [({"__name__": "tool", "job": job, "n": n},
                   [((t - 60 + i * 15) * 1000, value + i) for i in range(5)])
                  for (job, n), value in values.items()]
        report.equal("samples are taken", etinde.write(series).status, 204)
        url = f"http://127.0.0.1:{etinde.port}"
        span = [f"--start={t - 600}", f"--end={t + 10}"]

        succeeds("instant", [f'tool{{job="a", n="1"}} => 5.5 @[{t}]',
                             f'tool{{job="a", n="2"}} => 6 @[{t}]',
                             f'tool{{job="b", n="1"}} => +Inf @[{t}]'],
                 "instant", f"--time={t}", url, "tool")
        succeeds("instant scalar", [f"scalar: 3 @[{t}]"], "instant", f"--time={t}", url, "1 + 2")
        succeeds("range", ['{job="a"} =>', *(f"{3.5 + 2 * i:g} @[{t - 60 + 15 * i}]"
                                             for i in range(5))],
                 "range", f"--start={t - 60}", f"--end={t}", "--step=15s", url,
                 'sum by (job) (tool{job="a"})')
        succeeds("series", ['{__name__="tool", job="a", n="1"}', '{__name__="tool", job="a", n="2"}'],
                 "series", *span, '--match={__name__="tool",job="a"}', url)
        succeeds("labels", ["1", "2"], "labels", *span, url, "n")
        code, out, err = promtool("instant", url, "sum(")
        report.check("a syntax error reaches the user", code != 0 and "parse error" in err,
                     f"{code} {out} {err}")
        code, out, err = promtool("labels", *span, url, "nosuch")
        report.equal("labels of an unknown name", (code, out), (0, ""))
        report.equal("a clean end", etinde.stop(), 0)
    report.finish()


main()
