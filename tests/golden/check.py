#!/usr/bin/env python3
"""Golden data directories: what an earlier build wrote is read by this one, and by the documents.

Each store-v<N>.tar.zst holds a data directory (data/) as a crash left it, and the
answers of the build that wrote it (answers/).  It must verify, every answer must be
the same byte for byte, and reader.py, which knows docs/format-*.md alone, must find
the same entries.  The same is done with a directory that this build writes.

    check.py          (as CTest runs it: ETINDE_BIN and GOLDEN_STORE name the programs)
    check.py --write  makes the archive of the current format anew
"""
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import etinde as e2e  # noqa: E402

try:
    import zstandard
    import reader
except ImportError as missing:
    e2e.skip(f"{missing}: install python3-lmdb, python3-zstandard and python3-xxhash")

report = e2e.Report()
DAY = 1699920000  # 2023-11-14
TENANTS = ("default", "other-tenant")
QUESTIONS = [
    ("default", "/api/v1/query", {"query": "golden_float", "time": DAY + 86400 + 3600}),
    ("default", "/api/v1/query_range", {"query": 'rate(golden_float{shape="3"}[10m])',
                                        "start": DAY + 80000, "end": DAY + 95000, "step": 600}),
    ("default", "/api/v1/query_range", {"query": "histogram_sum(golden_histogram)",
                                        "start": DAY, "end": DAY + 105600, "step": 3600}),
    ("default", "/api/v1/query", {"query": "count_over_time({__name__=~'golden_s.*'}[2d])",
                                  "time": DAY + 2 * 86400}),
    ("default", "/api/v1/labels", {}),
    ("default", "/api/v1/label/shape/values", {}),
    ("default", "/api/v1/series", {"match[]": 'golden_histogram{kind!="float"}'}),
    ("default", "/api/v1/metadata", {}),
    ("other-tenant", "/api/v1/query", {"query": "golden_other[3d]", "time": DAY + 2 * 86400}),
    ("default", "/api/v1/query_exemplars", {"query": "golden_float"}),
]
LINES = '{app="shop"} |= "order" | logfmt | took >= 49ms'


def binary(name, default):
    return os.environ.get(name) or os.path.join(HERE, "..", "..", "build", "release", "bin",
                                                default)


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, timeout=120)
    report.equal(f"{' '.join(map(os.path.basename, arguments[:2]))} succeeds",
                 (done.returncode, done.stderr[-300:] if done.returncode else b""), (0, b""))
    return done.stdout


def copy_of(data, path):
    """The programs may change what they open."""
    target = os.path.join(path, "copy")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(data, target)
    return target


# ---- answers -----------------------------------------------------------------------

def exports(data, path):
    out = {}
    for tenant in TENANTS:
        for kind in ("metric", "log"):
            out[f"{tenant}-{kind}.jsonl"] = run(
                binary("ETINDE_BIN", "etinde"), "export", "--data", copy_of(data, path),
                "--tenant", tenant, "--kind", kind, "--format", "json")
    return out


def served(data, path):
    """What a server says; of logs only the result, as statistics may change."""
    server = e2e.Etinde(path, "--retention", "0", data=copy_of(data, path)).start()
    out = []
    for tenant, where, fields in QUESTIONS:
        answer = server.get(where + "?" + urllib.parse.urlencode(fields),
                            headers={"X-Scope-OrgID": tenant})
        out.append(f"{answer.status} {answer.body.decode()}")
    answer = server.log_lines(LINES, DAY * 10**9, (DAY + 2 * 86400) * 10**9)
    out.append(json.dumps(answer.json["data"]["result"]))
    server.stop()
    return "\n".join(out).encode()


def answers(data, path):
    out = exports(data, path)
    out["served.txt"] = served(data, path)
    return out


# ---- the reader of the documents ------------------------------------------------------

def bits(text):
    if text == "StaleNaN":
        return reader.STALE
    return reader.bits_of(float(text))


def content_of(histogram, start):
    numbers = lambda key: tuple(bits(v) for v in histogram.get(key, []))
    spans = lambda key: tuple(zip(*[iter(int(v) for v in histogram.get(key, []))] * 2))
    one = lambda key: bits(histogram.get(key, 0))
    shape = (int(histogram["schema"]), one("zero_threshold"), spans("positive_spans"),
             spans("negative_spans"), numbers("custom"))
    return ("histogram", one("sum"), start, histogram.get("integer", False), shape,
            (one("count"), one("zero_count")), numbers("positive_buckets"),
            numbers("negative_buckets"))


def parse_metrics(text):
    found, families = {}, {}
    for line in text.decode().splitlines():
        item = json.loads(line, parse_int=float)
        if "family" in item:
            families[item["family"]] = (item.get("type", ""), item.get("help", ""),
                                        item.get("unit", ""))
            continue
        labels = tuple(sorted((n.encode(), v.encode()) for n, v in item["metric"].items()))
        series = found.setdefault(labels, {})
        starts = [int(s) for s in item.get("starts", [0] * len(item["timestamps"]))]
        for i, ms in enumerate(item["timestamps"]):
            series[int(ms)] = (("float", bits(item["values"][i]), starts[i])
                               if "values" in item else
                               content_of(item["histograms"][i], starts[i]))
    return found, families


def parse_logs(text):
    found = {}
    for line in text.decode().splitlines():
        item = json.loads(line)
        labels = tuple(sorted((n.encode(), v.encode()) for n, v in item["stream"].items()))
        content = bytes.fromhex(item["line_hex"]) if "line_hex" in item else item["line"].encode()
        pairs = tuple(sorted((n.encode(), v.encode())
                             for n, v in item.get("metadata", {}).items()))
        found.setdefault(labels, []).append((int(item["timestamp"]), content, pairs))
    return {labels: sorted(entries) for labels, entries in found.items()}


def first_difference(a, b):
    for labels in sorted(set(a) | set(b)):
        if a.get(labels) != b.get(labels):
            x, y = a.get(labels, {}), b.get(labels, {})
            x, y = (x.items(), y.items()) if isinstance(x, dict) else (x, y)
            return f"{labels}: {sorted(set(x) ^ set(y), key=str)[:4]}"
    return ""


def check_exemplars(name, store, wanted):
    item = next(line for line in wanted["served.txt"].decode().splitlines() if "trace-3" in line)
    series = json.loads(item.split(" ", 1)[1])["data"][0]
    labels = tuple(sorted((n.encode(), v.encode()) for n, v in series["seriesLabels"].items()))
    asked = [(round(e["timestamp"] * 1000), float(e["value"]),
              tuple((n.encode(), v.encode()) for n, v in e["labels"].items()))
             for e in series["exemplars"]]
    report.equal(f"{name}: the documents' exemplars", store.exemplars["default"][labels], asked)


def check_reader(name, data, wanted):
    store = reader.Store(data)
    if "served.txt" in wanted:
        check_exemplars(name, store, wanted)
    for tenant in TENANTS:
        metrics, families = parse_metrics(wanted[f"{tenant}-metric.jsonl"])
        own = store.metrics.get(tenant, {})
        report.check(f"{name}: the documents' metrics of {tenant}", own == metrics,
                     first_difference(own, metrics))
        logs = parse_logs(wanted[f"{tenant}-log.jsonl"])
        own = store.logs.get(tenant, {})
        report.check(f"{name}: the documents' logs of {tenant}", own == logs,
                     first_difference(own, logs))
        own = {f.decode(): tuple(t.decode() for t in texts)
               for (t, f), texts in store.metadata.items() if t == tenant}
        report.equal(f"{name}: the documents' metadata of {tenant}", own, families)
    samples = sum(len(s) for t in store.metrics.values() for s in t.values())
    report.check(f"{name}: there is much of it", samples > 10000 and store.partitions >= 6 and
                 store.chunks > 100 and store.stones, f"{samples} samples")


# ---- archives ---------------------------------------------------------------------------

def check_archive(archive):
    name = os.path.basename(archive)
    with e2e.folder() as path:
        with open(archive, "rb") as f:
            plain = zstandard.ZstdDecompressor().decompress(f.read(), max_output_size=64 << 20)
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            tar.extractall(path)
        data, recorded = os.path.join(path, "data"), {}
        for file in os.listdir(os.path.join(path, "answers")):
            with open(os.path.join(path, "answers", file), "rb") as f:
                recorded[file] = f.read()
        check_reader(name, data, recorded)
        found = run(binary("ETINDE_BIN", "etinde"), "verify", "--data", copy_of(data, path))
        report.contains(f"{name}: verifies", found.decode(), "0 problems")
        for file, text in answers(data, path).items():
            report.check(f"{name}: {file} is what was answered when it was written",
                         text == recorded[file], f"{text[:200]!r} {recorded[file][:200]!r}")


def fresh(path):
    data = os.path.join(path, "data")
    run(binary("GOLDEN_STORE", "golden-store"), data)
    return data


def check_fresh():
    with e2e.folder() as path:
        data = fresh(path)
        check_reader("fresh", data, exports(data, path))


def version_of(data):
    import lmdb
    env = lmdb.open(data + "/meta.mdb", subdir=False, readonly=True, lock=False, max_dbs=16)
    with env.begin() as txn:
        value = bytes(txn.get(b"format", db=env.open_db(b"meta", txn, create=False)))
    env.close()
    return struct.unpack("<Q", value)[0] >> 32


def write():
    with e2e.folder() as path:
        data = fresh(path)
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            lock = lambda info: None if info.name.endswith(("lock", "-lock")) else info
            tar.add(data, "data", filter=lock)
            for name, text in sorted(answers(data, path).items()):
                info = tarfile.TarInfo("answers/" + name)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text))
        target = os.path.join(HERE, f"store-v{version_of(data)}.tar.zst")
        with open(target, "wb") as f:
            f.write(zstandard.ZstdCompressor(level=19).compress(plain.getvalue()))
        print(target, os.path.getsize(target), "bytes")


def main():
    if "--write" in sys.argv:
        write()
        return
    archives = sorted(f for f in os.listdir(HERE) if f.startswith("store-v"))
    report.check("there is a golden directory", archives)
    for archive in archives:
        check_archive(os.path.join(HERE, archive))
    check_fresh()
    report.finish()


main()
