#!/usr/bin/env python3
"""Reads a data directory of Etinde with nothing but docs/format-*.md.

Written from the documents alone, to prove that they suffice: no code is shared
with the store.  Every checksum that the documents name is checked, but those of
LMDB's pages.  As a program it prints counts.
"""
import glob
import os
import re
import struct
import sys

import lmdb
import xxhash
import zstandard

STALE = 0x7ff0000000000002
UNITS = [1, 1000, 1000000, 1000000000]
DAY_NS = 86400 * 10**9
M64 = 2**64 - 1


class Malformed(Exception):
    pass


def need(good, what):
    if not good:
        raise Malformed(what)


def sum32(data, seed=0):
    return xxhash.xxh3_64_intdigest(data, seed) & 0xffffffff


def signed(v):
    v &= M64
    return v - 2**64 if v >> 63 else v


class Bytes:
    """Little-endian numbers, varints and pieces, one behind the other."""

    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def take(self, size):
        need(self.at + size <= len(self.data), "bytes end early")
        self.at += size
        return self.data[self.at - size:self.at]

    def left(self):
        return len(self.data) - self.at

    def number(self, size, sign=False):
        return int.from_bytes(self.take(size), "little", signed=sign)

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.number(1)
            value |= (byte & 127) << shift
            if byte < 128:
                return value & M64
        raise Malformed("a varint of over 10 bytes")

    def zigzag(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def sized(self):
        return self.take(self.varint())


# ---- format-chunk.md: columns ------------------------------------------------------

def vector(b, count, out):
    """One vector of at most 128 numbers."""
    head = b.number(1)
    width, base = head & 127, b.zigzag()
    need(width <= 64, "a vector's width")
    places, patches = [], []
    if head & 128:
        number = b.number(1)
        need(number <= count and width < 64, "a vector's patches")
        places = [b.number(1) for _ in range(number)]
        patches = [b.varint() for _ in range(number)]
    packed = int.from_bytes(b.take((count * width + 7) // 8), "little")
    values = [packed >> i * width & ((1 << width) - 1) for i in range(count)]
    for place, patch in zip(places, patches):
        need(place < count, "a patch's place")
        values[place] |= patch << width
    out.extend(signed(base + v) for v in values)


def vectors(b, count):
    out = []
    while len(out) < count:
        vector(b, min(128, count - len(out)), out)
    return out


def column(b, count):
    """A column of integers."""
    head = b.number(1)
    need(head < 32 and head & 3 < 3, "a column's head")
    first = b.zigzag()
    shift = b.number(1) if head & 4 else 0
    step = b.zigzag() if head & 8 else 0
    if head & 16:
        parts = (count - 1 + 127) // 128
        need(2 <= parts <= 64, "a directory")
        column(b, parts - 1)
        if head & 3 == 2:
            column(b, parts - 1)
    d = [0] + vectors(b, count - 1)
    x, e = [0], step
    for i in range(1, count):
        if head & 3 == 0:
            x.append(d[i] + i * step)
        elif head & 3 == 1:
            x.append(x[-1] + d[i])
        else:
            e += d[i]
            x.append(x[-1] + e)
    return [signed(first + (v << shift)) for v in x]


def double(bits):
    return struct.unpack("<d", struct.pack("<Q", bits & M64))[0]


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def values(b, count):
    """A value column; gives bits."""
    mode = b.number(1)
    if mode == 0:
        return [b.number(8)] * count
    if mode in (1, 2, 3):
        scale = b.number(1)
        need(scale <= 15, "a scale")
        decimal = lambda m: bits_of(float(m) / 10.0**scale if scale else float(m))
        if mode == 1:
            return [decimal(b.zigzag())] * count
        odd, place = [], 0
        for _ in range(b.varint() if mode == 3 else 0):
            place += b.varint()
            odd.append((place, b.number(8)))
        out = [decimal(m) for m in column(b, count)]
        for place, bits in odd:
            out[place] = bits
        return out
    need(mode in (4, 5), "a mode of values")
    shift, out = b.number(1), [b.number(8)]
    if mode == 5:
        same = int.from_bytes(b.take((count - 1 + 7) // 8), "little")
        changes = [i for i in range(count - 1) if not same >> i & 1]
    else:
        changes = list(range(count - 1))
    numbers = dict(zip(changes, xor_vectors(b, len(changes))))
    for i in range(count - 1):
        out.append(out[-1] ^ (numbers.get(i, 0) << shift & M64))
    return out


def xor_vectors(b, count):
    return [v & M64 for v in vectors(b, count)]


def times(b, count, first, last):
    """A time column; gives units."""
    if b.number(1) == 0:
        return [first + i * ((last - first) // (count - 1) if count > 1 else 0)
                for i in range(count)]
    return [first + v for v in column(b, count)]


# ---- format-chunk.md: chunks ----------------------------------------------------------

def varint_bytes(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def zigzag_bytes(value):
    return varint_bytes((value << 1 ^ value >> 63) & M64)


class Row:
    """What a group's directory says of a chunk; all but the stored bytes."""
    FIELDS = "series kind flags unit count first span lsn size times_size column checksum".split()

    def __init__(self, *fields):
        for name, value in zip(self.FIELDS, fields):
            setattr(self, name, value)
        self.first_ns = self.first * UNITS[self.unit]
        self.last_ns = (self.first + self.span) * UNITS[self.unit]


def histogram_layout(b, schema_first=True):
    schema, threshold = b.zigzag(), b.number(8)
    spans = [tuple((b.zigzag(), b.varint()) for _ in range(b.varint())) for _ in range(2)]
    custom = tuple(b.number(8) for _ in range(b.varint()))
    return schema, threshold, spans[0], spans[1], custom


def buckets_in(layout):
    return [sum(length for _, length in layout[side]) for side in (2, 3)]


def chunk_entries(row, stored, shared):
    """Entries of one chunk: (time ns, content)."""
    head = bytes([0x10 | row.kind, row.unit << 4 | row.flags])
    fields = (varint_bytes(row.count) + zigzag_bytes(row.first) + varint_bytes(row.span) +
              varint_bytes(row.lsn))
    if row.kind == 1:
        time_bytes = shared if row.column else stored[:row.times_size]
        value_bytes = stored[0 if row.column else row.times_size:]
        body = varint_bytes(len(time_bytes)) + time_bytes + value_bytes
    else:
        body = stored
    covered = fields + body
    if row.kind == 2:
        b = Bytes(stored)
        for _ in range(b.number(1)):
            b.take(2), b.varint(), b.varint(), b.take(4)
        covered = fields + stored[:b.at]
    need(sum32(covered, head[0] + 256 * head[1]) == row.checksum, "a chunk's checksum")
    unit, last = UNITS[row.unit], row.first + row.span
    if row.kind == 1:
        found = times(Bytes(time_bytes), row.count, row.first, last)
        return [(t * unit, ("float", bits, 0))
                for t, bits in zip(found, values(Bytes(value_bytes), row.count))]
    return (log_entries if row.kind == 2 else rich_samples)(row, Bytes(body), unit)


def zstd_frame(data, size):
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=max(size, 1))


def compressed_block(data, size):
    if data[:1] == b"\x28":
        return zstd_frame(data, size)
    b = Bytes(data)
    mark, rest_size = bytes([b.number(1)]), b.varint()
    digits = Bytes(b.sized())
    rest, at = zstd_frame(b.take(b.left()), rest_size), 0
    need(len(rest) == rest_size, "a block's rest")
    out, numbers = [], []
    while (found := rest.find(mark, at)) >= 0:
        out.append(rest[at:found])
        n, at = rest[found + 1], found + 2
        if n == 1:
            out.append(numbers[-1 - int.from_bytes(rest[at:at + 2], "little")])
            at += 2
            continue
        need(n % 2 == 0 and 16 <= n <= 64, "a number's digits")
        numbers.append(digits.take(n // 2).hex().encode())
        out.append(numbers[-1])
    need(digits.left() == 0, "digits that nothing names")
    return b"".join(out) + rest[at:]


def log_entries(row, b, unit):
    table, columns = [], {}
    for _ in range(b.number(1)):
        table.append((b.number(1), b.number(1), b.varint(), b.varint(), b.number(4)))
    for number, coding, plain, size, check in table:
        data = b.take(size)
        need(sum32(data) == check, "a log column's checksum")
        if coding == 1:
            data = compressed_block(data, plain)
        need(len(data) == plain, "a log column's size")
        columns[number] = Bytes(data)
    found = [row.first + v for v in column(columns[1], row.count)]
    lengths = column(columns[2], row.count)
    metadata = [()] * row.count
    if 4 in columns:
        m = columns[4]
        strings = [m.sized() for _ in range(m.varint())]
        metadata = [tuple((strings[m.varint()], strings[m.varint()]) for _ in range(m.varint()))
                    for _ in range(row.count)]
    return [(t * unit, (columns[3].take(n), pairs))
            for t, n, pairs in zip(found, lengths, metadata)]


def rich_samples(row, b, unit):
    b.varint()
    found = [row.first + v for v in column(b, row.count)]
    starts = column(b, row.count) if b.number(1) == 1 else [0] * row.count
    floats = values(b, row.count)
    layouts = []
    for _ in range(b.varint()):
        flags = b.number(1)
        layouts.append((flags, histogram_layout(b)))
    runs = [(b.varint(), b.varint()) for _ in range(b.varint())]
    out = []
    for layout, length in runs:
        at = len(out)
        if layout == 0:
            out += [("float", floats[i], starts[i]) for i in range(at, at + length)]
            continue
        flags, shape = layouts[layout - 1]
        sides = buckets_in(shape)
        counts = [values(b, length) for _ in range(2 + sum(sides))]
        for i in range(length):
            own = [c[i] for c in counts]
            out.append(("histogram", floats[at + i], starts[at + i], bool(flags & 2), shape,
                        tuple(own[:2]), tuple(own[2:2 + sides[0]]), tuple(own[2 + sides[0]:])))
    need(len(out) == row.count, "runs that do not add up")
    return [(t * unit, content) for t, content in zip(found, out)]


# ---- format-partition.md ------------------------------------------------------------------

class Partition:
    NAMES = "meta symbols hashes series postings groups blocks columns".split()

    def __init__(self, path):
        env = lmdb.open(path, subdir=False, readonly=True, lock=False, max_dbs=16)
        with env.begin() as txn:
            self.tables = {}
            for name in self.NAMES:
                with txn.cursor(env.open_db(name.encode(), txn, create=False)) as cursor:
                    self.tables[name] = [(bytes(k), bytes(v)) for k, v in cursor]
        env.close()
        self.read_state()
        self.read_index()

    def read_state(self):
        meta = dict(self.tables["meta"])
        state = meta[b"state"]
        need(sum32(state[:36]) == struct.unpack_from("<I", state, 36)[0], "the state's check")
        fields = struct.unpack_from("<IIIIIQQ", state)
        need(fields[0] in (1, 2), "a format of partitions that is not known")
        self.counts = fields[1:6]
        if b"closed" in meta:
            need(sum32(meta[b"closed"][:12]) == struct.unpack_from("<I", meta[b"closed"], 12)[0],
                 "the check of the close")

    def read_index(self):
        symbols = [v for _, v in self.tables["symbols"]]
        for key, _ in self.tables["hashes"]:
            check, symbol = struct.unpack(">II", key)
            need(sum32(symbols[symbol]) == check, "a symbol's hash")
        self.series, pairs = [], {}
        for key, value in self.tables["series"]:
            need(struct.unpack(">I", key)[0] == len(self.series), "a series' number")
            b = Bytes(value)
            fingerprint = b.number(8) | b.number(8) << 64
            numbers = [(b.varint(), b.varint()) for _ in range(b.varint())]
            labels = tuple((symbols[n], symbols[v]) for n, v in numbers)
            text = b"".join(n + b"\xff" + v + b"\xff" for n, v in labels)
            need(xxhash.xxh3_128_intdigest(text) == fingerprint, "a series' fingerprint")
            need(list(labels) == sorted(labels), "labels in order")
            for pair in numbers:
                pairs.setdefault(pair, []).append(len(self.series))
            self.series.append(labels)
        found = {}
        for key, value in self.tables["postings"]:
            name, text, at = struct.unpack(">III", key)
            numbers = found.setdefault((name, text), [])
            numbers.append(at)
            b = Bytes(value)
            check = b.number(4)
            need(check == sum32(value[4:]) ^ at, "the check of postings")
            while b.left():
                rise = b.varint()
                for _ in range(1 if rise else b.varint()):
                    at += rise or 1
                    numbers.append(at)
        need(found == pairs, "postings that say the same as the series")
        need(self.counts[:2] == (len(self.series), len(symbols)), "the state's counts")

    def rows(self, group, b, count):
        """The directory's rows."""
        series = kind = samples = first = span = lsn = 0
        last_unit = None
        for _ in range(count):
            series += b.varint()
            head = b.number(1)
            unit = head >> 4 & 7
            kind = 3 if head & 128 else 2 if head & 1 else 1
            samples += b.zigzag()
            first = (first if unit == last_unit or last_unit is None and unit == 0 else 0)
            first += b.zigzag()
            span += b.zigzag()
            lsn = lsn + b.zigzag() & M64
            yield Row(series, kind, head >> 1 & 7, unit, samples, first, span, lsn, b.varint(),
                      b.varint(), b.varint(), b.number(4))
            last_unit = unit

    def chunks(self):
        """Every chunk: its row and its entries."""
        shared = {struct.unpack(">I", k)[0]: v for k, v in self.tables["columns"]}
        summaries = dict(self.tables["groups"])
        need(set(summaries) == {k for k, _ in self.tables["blocks"]}, "groups and blocks")
        total = 0
        for key, group in self.tables["blocks"]:
            summary = summaries[key]
            need(sum32(summary[:44]) == struct.unpack_from("<I", summary, 44)[0],
                 "a summary's check")
            magic, check, size, count = struct.unpack_from("<4sIII", group)
            need(magic in (b"ETG1", b"ETG2"), "a group's magic")
            need(sum32(group[8:16 + size]) == check, "a directory's check")
            b, frames = Bytes(group[16:16 + size]), [(0, count, 0)]
            if magic == b"ETG2":
                table = Bytes(b.sized())
                frames = []
                while table.left():
                    frames.append((table.varint(), table.varint(), table.varint()))
            rows = list(self.rows(key, b, count))
            need(b.left() == 0, "a directory's end")
            data, at = Bytes(group[16 + size:]), 0
            for stored, number, plain in frames:
                own = rows[at:at + number]
                at += number
                content = data
                if stored:
                    content = Bytes(compressed_block(data.take(stored), plain))
                    need(content.left() == plain, "a frame's size")
                for row in own:
                    yield row, chunk_entries(row, content.take(row.size), shared.get(row.column))
            need(at == count, "frames that cover all chunks")
            total += count
            need(struct.unpack_from("<I", summary, 32)[0] == count, "a summary's count")
        need(total == self.counts[4], "the state's chunks")


def catalog_read(path):
    env = lmdb.open(path, subdir=False, readonly=True, lock=False, max_dbs=16)
    days, tombstones = [], []
    with env.begin() as txn:
        with txn.cursor(env.open_db(b"meta", txn, create=False)) as cursor:
            version = struct.unpack("<Q", dict(cursor)[b"format"])[0] >> 32
        need(version in (1, 2), "a format of the catalog that is not known")
        with txn.cursor(env.open_db(b"days", txn, create=False)) as cursor:
            for key, value in cursor:
                tenant, _, rest = bytes(key).partition(b"\0")
                if not rest:
                    continue
                kind, day = rest[0], struct.unpack(">I", rest[1:])[0] - 2**31
                generation = struct.unpack_from("<I", value)[0]
                gone = struct.unpack_from("<Q", value, 16)[0] if len(value) >= 24 else 0
                days.append((tenant.decode(), kind, day, generation, gone))
        if version > 1:
            with txn.cursor(env.open_db(b"tombstones", txn, create=False)) as cursor:
                for key, value in cursor:
                    check = struct.unpack_from("<I", value)[0]
                    need(sum32(bytes(value[4:])) == check, "a tombstone's check")
                    tombstones.append((struct.unpack(">Q", key)[0], bytes(value[4:])))
    env.close()
    return days, tombstones


# ---- format-wal.md ---------------------------------------------------------------------------

def segments(directory):
    return sorted(glob.glob(directory + "/wal/*.wal"))


def records(path, is_last):
    """(lsn, type, payload) of a segment; a torn end of the last one is passed over."""
    with open(path, "rb") as f:
        data = f.read()
    need(data[:8] == b"EtindWAL", "a segment's magic")
    version, _, number, first_lsn = struct.unpack_from("<IIQQ", data, 8)
    need(version in (1, 2, 3, 4), "a format of the log that is not known")
    need(xxhash.xxh3_64_intdigest(data[:56]) == struct.unpack_from("<Q", data, 56)[0],
         "a segment's header")
    need(number == int(os.path.basename(path)[:-4]), "a segment's number")
    windows = struct.unpack_from("<qq", data, 40)
    at, lsn = 64, first_lsn
    while at < len(data):
        good = at + 24 <= len(data)
        if good:
            check, found, size, tail = struct.unpack_from("<QQII", data, at)
            end = at + 24 + size
            good = end <= len(data) and xxhash.xxh3_64_intdigest(data[at + 8:end]) == check
        if not good:
            need(is_last, "a record's checksum")
            return
        need(found == lsn, "LSNs without gaps")
        yield windows, lsn, tail & 255, data[at + 24:end]
        at, lsn = end, lsn + 1


def rich_read(data):
    b = Bytes(data)
    head = b.number(1)
    start = b.zigzag() if head & 16 else 0
    if not head & 1:
        return ("float", b.number(8), start)
    shape = histogram_layout(b)
    whole = head & 32
    counts = tuple(bits_of(float(b.varint())) if whole else b.number(8) for _ in range(2))
    total = b.number(8)
    sides = []
    for count in buckets_in(shape):
        level, side = 0, []
        for _ in range(count):
            if whole:
                level += b.zigzag()
                side.append(bits_of(float(level)))
            else:
                side.append(b.number(8))
        sides.append(tuple(side))
    return ("histogram", total, start, bool(head & 2), shape, counts, sides[0], sides[1])


def same(a, b):
    """Is a sample the same as another: start times do not count."""
    return a[0] == b[0] and a[1] == b[1] and a[4:] == b[4:]


class Tombstone:
    def __init__(self, lsn, payload):
        b = Bytes(payload)
        self.lsn, self.tenant, self.kind = lsn, b.sized().decode(), b.number(1)
        self.first, self.last = b.zigzag(), b.zigzag()
        self.selectors = [[(b.number(1), b.sized(), b.sized()) for _ in range(b.varint())]
                          for _ in range(b.varint())]
        self.listed = {}
        for _ in range(b.varint()):
            labels = tuple((b.sized(), b.sized()) for _ in range(b.varint()))
            entries, time = set(), 0
            for _ in range(b.varint()):
                time += b.zigzag()
                entries.add((time, b.take(16)))
            self.listed[labels] = entries

    def matches(self, labels):
        return any(all(self.test(m, dict(labels)) for m in selector)
                   for selector in self.selectors)

    @staticmethod
    def test(matcher, labels):
        kind, name, value = matcher
        text = labels.get(name, b"")
        if kind < 2:
            return (text == value) == (kind == 0)
        hit = re.fullmatch(value.decode(), text.decode("utf-8", "replace"), re.S) is not None
        return hit == (kind == 2)

    def hides(self, tenant, kind, labels, time, lsn, content):
        if tenant != self.tenant or kind != self.kind or lsn >= self.lsn:
            return False
        if self.first <= time <= self.last and self.matches(labels):
            return True
        return kind == 1 and (time, content_hash(content)) in self.listed.get(labels, ())


def content_hash(content):
    line, pairs = content
    seed = 0
    for name, value in pairs:
        seed = xxhash.xxh3_64_intdigest(name, seed)
        seed = xxhash.xxh3_64_intdigest(value, seed + 1 & M64)
    return xxhash.xxh3_128_intdigest(line, seed).to_bytes(16, "little")


class Log:
    """Applies the log; gives its entries as (tenant, kind, labels, time, rank, content)."""

    def __init__(self, directory):
        self.entries, self.tombstones, self.metadata = [], [], {}
        self.exemplars = {}  # tenant -> series -> [(ms, value, labels)]
        self.state = {}  # (tenant, kind, labels) -> [last time, last content or bits]
        self.order = 0
        paths = segments(directory)
        for path in paths:
            self.series = {}
            for windows, lsn, kind, payload in records(path, path == paths[-1]):
                self.windows, self.lsn = windows, lsn
                b = Bytes(payload)
                if kind == 1:
                    self.define(b)
                elif kind in (2, 3, 8):
                    self.batch(kind, b)
                elif kind == 4:
                    self.families(b.sized().decode(), b)
                elif kind == 6:
                    self.delete(Tombstone(lsn, payload))
                elif kind == 7:
                    self.take_exemplars(b.sized().decode(), b)

    def define(self, b):
        tenant, kind = b.sized().decode(), b.number(1)
        for _ in range(b.varint()):
            number, last, bits = b.varint(), None, 0
            if b.number(1) & 1:
                last, bits = b.zigzag(), b.number(8)
            labels = tuple((b.sized(), b.sized()) for _ in range(b.varint()))
            self.series[tenant, kind, number] = labels
            self.state[tenant, kind, labels] = [last, bits]

    def families(self, tenant, b):
        for _ in range(b.varint()):
            family = b.sized()
            self.metadata[tenant, family] = (b.sized(), b.sized(), b.sized())

    def take_exemplars(self, tenant, b):
        for _ in range(b.varint()):
            series, own = (tuple((b.sized(), b.sized()) for _ in range(b.varint()))
                           for _ in range(2))
            ring = self.exemplars.setdefault(tenant, {}).setdefault(series, [])
            found = (b.zigzag(), double(b.number(8)), own)
            if not ring or found > ring[-1]:
                ring.append(found)

    def delete(self, stone):
        self.tombstones.append(stone)
        for (tenant, kind, labels), state in self.state.items():
            if (tenant == stone.tenant and kind == stone.kind and state[0] is not None and
                    stone.first <= state[0] <= stone.last and stone.matches(labels)):
                state[0] = None if stone.first <= -2**63 else stone.first - (kind == 0)
                state[1] = 0

    def batch(self, record, b):
        tenant, kind, flags = b.sized().decode(), b.number(1), b.number(1)
        if flags & 1:
            b.sized(), b.varint(), b.varint()
        if flags & 2:
            self.families(tenant, Bytes(b.sized()))
        if flags & 4:
            windows = list(self.windows)
            windows[kind] = b.zigzag()
            self.windows = windows
        ids, number = [], 0
        for _ in range(b.varint()):
            number += b.zigzag()
            ids.append(number)
        labels = [self.series[tenant, kind, i] for i in ids]
        if record == 8:
            size = b.varint()
            b = Bytes(zstandard.ZstdDecompressor().decompress(b.take(b.left()), max_output_size=size))
            need(b.left() == size, "the size of packed entries")
        if record in (3, 8):
            self.lines(tenant, labels, b)
        else:
            self.samples(tenant, labels, b)

    def samples(self, tenant, labels, b):
        time, number = 0, -1
        while b.left():
            count = b.number(2)
            time += b.zigzag()
            for _ in range(count or 1):
                number += b.zigzag() + 1
                content = ("float", b.number(8), 0) if count else rich_read(b.sized())
                self.add(tenant, 0, labels[number], time * 10**6, content)

    def lines(self, tenant, labels, b):
        time = 0
        while b.left():
            number = b.varint()
            time += b.zigzag()
            line, pairs, metadata = b.sized(), Bytes(b.sized()), []
            while pairs.left():
                metadata.append((pairs.sized(), pairs.sized()))
            self.add(tenant, 1, labels[number], time, (line, tuple(metadata)))

    def add(self, tenant, kind, labels, time, content):
        state = self.state[tenant, kind, labels]
        last, window = state[0], self.windows[kind]
        late = last is not None and time < last
        if late and window >= 0 and last - time > window:
            return
        if not late and kind == 0 and time == last:
            known = state[1]
            if isinstance(known, tuple) and not same(known, content):
                return
        if not late:
            state[:] = [time, content]
        self.order += 1
        self.entries.append((tenant, kind, labels, time, (late, self.lsn, self.order), content))


# ---- all of it ----------------------------------------------------------------------------------

class Store:
    """metrics[tenant][labels] = {ms: content}; logs[tenant][labels] = [(ns, line, pairs)]."""

    def __init__(self, directory):
        self.metrics, self.logs, self.chunks, self.partitions = {}, {}, 0, 0
        days, tombstones = catalog_read(directory + "/meta.mdb")
        log = Log(directory)
        self.metadata, self.exemplars = log.metadata, log.exemplars
        stones = {t.lsn: t for t in log.tombstones}
        stones.update((lsn, Tombstone(lsn, payload)) for lsn, payload in tombstones)
        self.stones = list(stones.values())
        self.gone = {(t, k, d): gone for t, k, d, _, gone in days}
        found = {}
        for tenant, kind, day, generation, _ in days:
            if generation:
                self.read_day(directory, tenant, kind, day, generation, found)
        for tenant, kind, labels, time, rank, content in log.entries:
            if rank[1] <= self.gone.get((tenant, kind, time // DAY_NS), 0):
                continue
            self.add(found, tenant, kind, labels, time, rank, content)
        for (tenant, kind, labels), entries in found.items():
            (self.finish_log if kind else self.finish_metric)(tenant, labels, entries)

    def read_day(self, directory, tenant, kind, day, generation, found):
        import datetime
        date = (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()
        partition = Partition(f"{directory}/{tenant}/{('metric', 'log')[kind]}/{date}/"
                              f"{generation}.mdb")
        self.partitions += 1
        for number, (row, entries) in enumerate(partition.chunks()):
            self.chunks += 1
            for i, (time, content) in enumerate(entries):
                rank = (bool(row.flags & 1), row.lsn, (number, i))
                self.add(found, tenant, kind, partition.series[row.series], time,
                         (rank[0], rank[1], -1 + i / 1e9), content)

    def add(self, found, tenant, kind, labels, time, rank, content):
        if not any(s.hides(tenant, kind, labels, time, rank[1], content) for s in self.stones):
            found.setdefault((tenant, kind, labels), []).append((time, rank, content))

    def finish_metric(self, tenant, labels, entries):
        best = {}
        for time, rank, content in entries:
            if time not in best or best[time][0] <= rank:
                best[time] = (rank, content)
        self.metrics.setdefault(tenant, {})[labels] = {
            time // 10**6: content for time, (_, content) in best.items()}

    def finish_log(self, tenant, labels, entries):
        seen, out = set(), []
        for time, _, content in entries:
            if (time, content) not in seen:
                seen.add((time, content))
                out.append((time, *content))
        self.logs.setdefault(tenant, {})[labels] = sorted(out)


if __name__ == "__main__":
    store = Store(sys.argv[1])
    for title, part in (("metric", store.metrics), ("log", store.logs)):
        for name, found in sorted(part.items()):
            print(f"{name}: {len(found)} {title} series, {sum(map(len, found.values()))} entries")
    print(f"{store.partitions} partitions, {store.chunks} chunks, {len(store.stones)} deletes")
