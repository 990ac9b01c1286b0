"""generate.py - random series, and random expressions that make sense over them.

Everything comes from one random.Random, so a seed names a data set and its queries.  Samples
lie off whole seconds but for the metric `even`: a window's edge, which is always a whole
second, then touches no sample, and versions of Prometheus that close it agree.
"""
import math
import random

import promql as p

INTERVAL = 15000
JOBS, ZONES, MODES = ("api", "db"), ("eu", "us", "ap"), ("user", "system", "idle")
LABELS = {"c": ("job", "zone", "mode"), "g": ("job", "zone"), "f": ("job", "zone"),
          "even": ("job", "zone"), "odd": ("job", "zone"), "one": ("job",)}


def times(r, start, count, name):
    late = r.choice((0, 0, 0, r.randrange(count // 2)))
    early = r.choice((count, count, count, r.randrange(count // 2, count)))
    for i in range(late, early):
        if r.random() < 0.03:
            continue  # a scrape that failed
        jitter = 0 if name == "even" else r.randrange(101, 900)
        yield start + i * INTERVAL + jitter


def counter(r, moments, old):
    """2.42 extrapolates to zero by another rule: there counters stay far from it."""
    value, result = 1e6 if old else float(r.choice((0, 10**6))), []
    for t in moments:
        value = 0.0 if not old and r.random() < 0.02 else value + r.choice((0, 0, 1, 7, 250))
        result.append((t, value))
    return result


def gauge(r, moments, name):
    level = r.randrange(-50, 200)
    result = []
    for t in moments:
        value = float(level + r.randrange(-20, 20))
        if name == "f":
            value = round(value / 7, 3)
        if name == "odd":
            value = r.choice((value, value, value, math.nan, math.inf, -math.inf, -0.0, 1e308,
                              p.stale_marker()))
        result.append((t, value))
    return result


def make_data(r, start, count, names, old):
    series = []
    for name in names:
        combinations = [{}]
        for label, values in (("job", JOBS), ("zone", ZONES), ("mode", MODES)):
            if label in LABELS[name]:
                combinations = [{**c, label: v} for c in combinations for v in values]
        for labels in combinations:
            if r.random() < 0.1:
                continue
            moments = list(times(r, start, count, name))
            samples = counter(r, moments, old) if name == "c" else gauge(r, moments, name)
            if samples:
                series.append((p.pairs({p.NAME: name, **labels}), samples))
    return p.Data(series)


class Generator:
    """old: only what Prometheus 2.42 has and answers as 3.x does."""

    def __init__(self, r, start, end, names, old=False):
        self.r, self.start, self.end, self.names, self.old = r, start, end, names, old

    def seconds(self, low, high):
        return self.r.randrange(low, high) * 1000

    # ---- leaves ----

    def matchers(self, name):
        result = []
        for label in LABELS[name]:
            if self.r.random() < 0.25:
                values = {"job": JOBS, "zone": ZONES, "mode": MODES}[label]
                op = self.r.choice(("=", "!=", "=~", "!~"))
                if op in ("=", "!="):
                    value = self.r.choice((*values, "none", ""))
                else:
                    value = self.r.choice(("|".join(self.r.sample(values, 2)), ".*", ".+",
                                           values[0][0] + ".*", "e?u|x"))
                result.append((label, op, value))
        return result

    def shift(self):
        r = self.r.random()
        if r < 0.75:
            return p.Shift()
        if r < 0.88:
            return p.Shift(self.seconds(-300, 600))
        moment = self.r.choice(("start", "end", self.start + self.seconds(0, 1200)))
        return p.Shift(self.r.choice((0, 60000)), moment)

    def selector(self, span=None):
        name = self.r.choice(self.names)
        return p.Selector(name, self.matchers(name), self.shift(), span)

    def matrix(self, depth):
        if depth > 0 and self.r.random() < 0.25:
            # half a second: no step of it lies on the edge
            return p.Subquery(self.vector(depth - 1), self.seconds(60, 400) + 500 * self.old,
                              self.seconds(10, 90), self.shift())
        return self.selector(self.seconds(20, 400))

    def number(self):
        return p.Number(self.r.choice((0, 1, 2, -1, 0.5, 3, 10, 100, 0.25)))

    def scalar(self, depth):
        pick = self.r.random()
        if depth <= 0 or pick < 0.6:
            return self.number() if pick < 0.55 else p.Time()
        if pick < 0.75:
            return p.ToScalar(self.vector(depth - 1))
        return p.Binary(self.r.choice(("+", "-", "*")), self.scalar(depth - 1), self.number())

    # ---- inner nodes ----

    def range_call(self, depth):
        names = [*p.RANGE_FUNCTIONS, "quantile_over_time"]
        if not self.old:  # 2.42 predicts wrongly from a selector with @
            names += ["predict_linear", "double_exponential_smoothing"]
        name = self.r.choice(names)
        if self.old and name in ("rate", "increase"):
            matrix = p.Selector("c", self.matchers("c"), self.shift(), self.seconds(20, 400))
        else:
            matrix = self.matrix(depth)
        if name == "quantile_over_time":
            return p.RangeCall(name, matrix, before=[p.Number(self.r.choice((0, .5, .9, 1, -1, 2)))])
        if name == "predict_linear":
            return p.RangeCall(name, matrix, after=[p.Number(self.r.randrange(600))])
        if name == "double_exponential_smoothing":
            return p.RangeCall(name, matrix, after=[p.Number(0.5), p.Number(0.25)])
        return p.RangeCall(name, matrix)

    def value_call(self, depth):
        name = self.r.choice([*p.VALUE_FUNCTIONS, "clamp", "clamp_min", "clamp_max", "round"])
        count = {"clamp": 2, "clamp_min": 1, "clamp_max": 1, "round": self.r.choice((0, 1))}
        parameters = [p.Number(self.r.choice((1, 2, 5, 10, 0.5))) for _ in range(count.get(name, 0))]
        return p.ValueCall(name, self.vector(depth - 1), parameters)

    def grouping(self):
        if self.r.random() < 0.25:
            return None
        return self.r.sample(("job", "zone", "mode", "none"), self.r.randrange(0, 3))

    def aggregation(self, depth):
        op = self.r.choice(("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar",
                            "quantile", "count_values"))
        parameter = {"quantile": p.Number(self.r.choice((0, 0.5, 0.9, 1))),
                     "count_values": '"value"'}.get(op)
        if op == "count_values":  # of plain values: a last digit makes another label
            inner = self.selector()
        elif self.r.random() < 0.15:  # many metrics at once
            inner = p.Selector(None, [("job", "=", self.r.choice(JOBS))])
        else:
            inner = self.vector(depth - 1)
        return p.Aggregation(op, inner, self.grouping(), self.r.random() < 0.6, parameter)

    def matching(self):
        if self.r.random() < 0.35:
            return None
        on = self.r.random() < 0.6
        return on, self.r.sample(("job", "zone", "mode"), self.r.randrange(on, 3))

    def binary(self, depth):
        op = self.r.choice((*p.ARITHMETIC, *p.COMPARISONS, "and", "or", "unless"))
        if self.old and op in ("atan2", "%"):  # leaves the name in 2.42; a last digit, magnified
            op = "+"
        # 2.42 looks for repeated matches only among what the comparison kept
        to_bool = op in p.COMPARISONS and (self.old or self.r.random() < 0.4)
        left, right = self.vector(depth - 1), self.vector(depth - 1)
        if op in ("and", "or", "unless"):
            return p.Binary(op, left, right, self.matching())
        if self.r.random() < 0.3:
            number = self.scalar(depth - 1)
            left, right = self.r.choice(((left, number), (number, right)))
            return p.Binary(op, left, right, to_bool=to_bool)
        on = self.matching()
        many = self.r.choice((None, "left", "right")) if on else None
        include = ["mode"] if many and "mode" not in on[1] and self.r.random() < 0.2 else []
        return p.Binary(op, left, right, on, many, include, to_bool)

    def other(self, depth):
        pick = self.r.randrange(6)
        if pick == 0:
            return p.Absent(self.selector(self.r.choice((None, None if self.old else 60000))))
        if pick == 1:
            return p.Timestamp(self.vector(depth - 1))
        if pick == 2:
            # the deviation of a NaN alone is 0 in 2.42
            return p.ToVector(self.number() if self.old else self.scalar(depth - 1))
        if pick == 3:
            return p.Negate(self.vector(depth - 1))
        pattern, template = self.r.choice((("(.)(.*)", "$2$1"), ("e(u)", "x$1"), (".*", "all"),
                                           ("(a)p.", "")))
        return p.LabelReplace(self.vector(depth - 1), self.r.choice(("job", "zone", "new")),
                              template, self.r.choice(("job", "zone")), pattern)

    def vector(self, depth):
        if depth <= 0:
            return self.selector()
        kinds = (self.range_call, self.range_call, self.value_call, self.aggregation,
                 self.aggregation, self.binary, self.binary, self.other)
        return self.r.choice(kinds)(depth) if self.r.random() < 0.85 else self.selector()

    def expression(self):
        """Which of equal values topk keeps is nobody's promise: only outside, values compared."""
        depth = self.r.randrange(1, 4)
        pick = self.r.random()
        if pick < 0.05:
            return p.Aggregation(self.r.choice(("topk", "bottomk")), self.vector(depth),
                                 self.grouping(), True, p.Number(self.r.randrange(4)))
        return self.scalar(depth) if pick < 0.08 else self.vector(depth)


def make(seed, start, count, old=False):
    r = random.Random(seed)
    names = [n for n in LABELS if not (old and n in ("even", "odd"))]
    data = make_data(r, start, count, names, old)
    return data, Generator(r, start, start + count * INTERVAL, names, old)
