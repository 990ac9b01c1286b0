"""promql.py - PromQL as simply as it can be said: the reference that random queries are checked by.

An expression is a tree of nodes.  `str(node)` is its text, `node.at(data, t)` its value at one
moment: a number, or a vector, which is a dict from label sets to numbers.  Every step is
computed from nothing, series by series, sample by sample, by the formulas of Prometheus'
documentation and source; nothing is shared, cached or made fast.

Times are whole milliseconds.  A label set is a sorted tuple of (name, value) pairs.
"""
import math
import re
import struct

STALE_BITS = 0x7FF0000000000002
LOOKBACK = 5 * 60 * 1000
NAME = "__name__"


class Refused(Exception):
    """Prometheus answers such a query with an error."""


def is_stale(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0] == STALE_BITS


def stale_marker():
    return struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]


# ---- labels ----

def pairs(labels):
    return tuple(sorted((n, v) for n, v in dict(labels).items() if v != ""))


def without(labels, names):
    return tuple(p for p in labels if p[0] not in names)


def only(labels, names):
    return tuple(p for p in labels if p[0] in names)


def value_of(labels, name):
    return dict(labels).get(name, "")


def put(vector, labels, value):
    if labels in vector:
        raise Refused("vector cannot contain metrics with the same labelset")
    vector[labels] = value


# ---- numbers ----

def duration(ms):
    return f"{ms}ms"


def number_text(value):
    """As strconv.FormatFloat(value, 'f', -1, 64), which count_values uses."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text:
        text = format(__import__("decimal").Decimal(text), "f")
    return text[:-2] if text.endswith(".0") else text


class Kahan:
    """A sum with Neumaier's compensation."""

    def __init__(self, first=0.0):
        self.sum, self.c = first, 0.0

    def add(self, x):
        t = self.sum + x
        if math.isinf(t):
            self.c = 0.0
        elif abs(self.sum) >= abs(x):
            self.c += (self.sum - t) + x
        else:
            self.c += (x - t) + self.sum
        self.sum = t
        return self

    @property
    def total(self):
        return self.sum if math.isinf(self.sum) else self.sum + self.c


def kahan(values):
    k = Kahan()
    for v in values:
        k.add(v)
    return k.total


def divide(a, b):
    if b != 0:
        return a / b if not math.isnan(b) else math.nan
    if a == 0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, math.copysign(1, a) * math.copysign(1, b))


def power(a, b):
    try:
        result = math.pow(a, b)
    except OverflowError:
        odd = b == int(b) and int(b) % 2 == 1
        return -math.inf if a < 0 and odd else math.inf
    except ValueError:
        if a == 0:  # to a negative power
            odd = not math.isinf(b) and b == int(b) and int(b) % 2 == 1
            return math.copysign(math.inf, a) if odd else math.inf
        return math.nan
    return result


def modulo(a, b):
    if math.isinf(a) or b == 0 or math.isnan(a) or math.isnan(b):
        return math.nan
    return math.fmod(a, b)


ARITHMETIC = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
              "/": divide, "%": modulo, "^": power, "atan2": math.atan2}
COMPARISONS = {"==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
               "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}


def quantile(q, values):
    if not values or math.isnan(q):
        return math.nan
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    values = sorted(values, key=lambda v: (not math.isnan(v), v if not math.isnan(v) else 0))
    rank = q * (len(values) - 1)
    low = max(0, math.floor(rank))
    high = min(len(values) - 1, low + 1)
    weight = rank - math.floor(rank)
    return values[low] * (1 - weight) + values[high] * weight


def variance(values):
    mean, squares, count = Kahan(), Kahan(), 0.0
    for v in values:
        count += 1
        delta = v - (mean.sum + mean.c)
        mean.add(delta / count)
        squares.add(delta * (v - (mean.sum + mean.c)))
    return (squares.sum + squares.c) / count


def group_variance(values):
    """Of an aggregation: Welford's way, without compensation."""
    average = squares = 0.0
    for i, v in enumerate(values):
        delta = v - average
        average += delta / (i + 1)
        squares += delta * (v - average)
    return squares / len(values)


def mean(values):
    """The sum by the count, or from where that overflows the mean of the values so far."""
    k = Kahan(values[0])
    for i, v in enumerate(values[1:], 2):
        before = k.sum, k.c
        if math.isinf(k.add(v).sum):
            return running_mean(before, values[i - 1:], i)
    return k.sum / len(values) + k.c / len(values)


def running_mean(before, values, count):
    k = Kahan(before[0] / (count - 1))
    k.c = before[1] / (count - 1)
    for n, v in enumerate(values, count):
        share = (n - 1) / n
        k.sum, k.c = share * k.sum, share * k.c
        k.add(v / n)
    return k.sum + k.c


# ---- range functions: (samples, window's start, window's end, parameters) -> value or None ----

def extrapolated(samples, start, end, counter, per_second):
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    result = last[1] - first[1]
    if counter:
        for (_, before), (_, now) in zip(samples, samples[1:]):
            if now < before:
                result += before
    to_start, to_end = (first[0] - start) / 1000, (end - last[0]) / 1000
    sampled = (last[0] - first[0]) / 1000
    average = sampled / (len(samples) - 1)
    threshold = average * 1.1
    if to_start >= threshold:
        to_start = average / 2
    if counter and result > 0 and first[1] >= 0:
        to_start = min(to_start, sampled * (first[1] / result))
    if to_end >= threshold:
        to_end = average / 2
    factor = (sampled + to_start + to_end) / sampled
    if per_second:
        factor /= (end - start) / 1000
    return result * factor


def instant_change(samples, per_second):
    if len(samples) < 2:
        return None
    (t0, before), (t1, now) = samples[-2:]
    result = now if per_second and now < before else now - before
    return result / ((t1 - t0) / 1000) if per_second else result


def regression(samples, origin):
    """Slope per second and value at `origin`."""
    if all(v == samples[0][1] for _, v in samples):
        return (math.nan, math.nan) if math.isinf(samples[0][1]) else (0.0, samples[0][1])
    n = float(len(samples))
    xs = [(t - origin) / 1000 for t, _ in samples]
    ys = [v for _, v in samples]
    x, y = kahan(xs), kahan(ys)
    xy = kahan([a * b for a, b in zip(xs, ys)])
    xx = kahan([a * a for a in xs])
    covariance, spread = xy - x * y / n, xx - x * x / n
    slope = divide(covariance, spread)
    return slope, y / n - slope * x / n


def smoothing(samples, sf, tf):
    if len(samples) < 2:
        return None
    values = [v for _, v in samples]
    s0, s1, b = 0.0, values[0], values[1] - values[0]
    for i in range(1, len(values)):
        x = sf * values[i]
        if i > 1:
            b = tf * (s1 - s0) + (1 - tf) * b
        s0, s1 = s1, x + (1 - sf) * (s1 + b)
    return s1


def count_changes(samples):
    return float(sum(1 for (_, a), (_, b) in zip(samples, samples[1:])
                     if a != b and not (math.isnan(a) and math.isnan(b))))


def extreme(samples, better):
    best = samples[0][1]
    for _, v in samples:
        if better(v, best) or math.isnan(best):
            best = v
    return best


RANGE_FUNCTIONS = {
    "rate": lambda s, a, b: extrapolated(s, a, b, True, True),
    "increase": lambda s, a, b: extrapolated(s, a, b, True, False),
    "delta": lambda s, a, b: extrapolated(s, a, b, False, False),
    "irate": lambda s, a, b: instant_change(s, True),
    "idelta": lambda s, a, b: instant_change(s, False),
    "deriv": lambda s, a, b: regression(s, s[0][0])[0] if len(s) > 1 else None,
    "changes": lambda s, a, b: count_changes(s),
    "resets": lambda s, a, b: float(sum(y < x for (_, x), (_, y) in zip(s, s[1:]))),
    "sum_over_time": lambda s, a, b: kahan(v for _, v in s),
    "avg_over_time": lambda s, a, b: mean([v for _, v in s]),
    "count_over_time": lambda s, a, b: float(len(s)),
    "min_over_time": lambda s, a, b: extreme(s, lambda x, y: x < y),
    "max_over_time": lambda s, a, b: extreme(s, lambda x, y: x > y),
    "stddev_over_time": lambda s, a, b: math.sqrt(variance([v for _, v in s])),
    "stdvar_over_time": lambda s, a, b: variance([v for _, v in s]),
    "last_over_time": lambda s, a, b: s[-1][1],
    "present_over_time": lambda s, a, b: 1.0,
}
KEEPS_NAME = {"last_over_time"}


# ---- functions of one value ----

def go_round(value, to):
    if to == 0:
        return math.nan
    if math.isinf(value) or math.isnan(value):
        return value
    inverse = 1.0 / to
    steps = value * inverse + 0.5
    return (steps if math.isinf(steps) else math.floor(steps)) / inverse


def guarded(f):
    def call(v):
        try:
            return f(v)
        except (ValueError, OverflowError):
            return math.nan
    return call


def whole(f):
    return lambda v: v if math.isnan(v) or math.isinf(v) else math.copysign(float(f(v)), v)


def logarithm(f):
    return lambda v: -math.inf if v == 0 else math.nan if v < 0 else f(v)


def exponential(v):
    try:
        return math.exp(v)
    except OverflowError:
        return math.inf


VALUE_FUNCTIONS = {
    "abs": abs, "ceil": whole(math.ceil), "floor": whole(math.floor), "exp": exponential,
    "ln": logarithm(math.log), "log2": logarithm(math.log2), "log10": logarithm(math.log10),
    "sqrt": lambda v: math.nan if v < 0 else math.sqrt(v),
    "sgn": lambda v: 0.0 if v == 0 else math.nan if math.isnan(v) else math.copysign(1.0, v),
    "atan": math.atan, "tanh": math.tanh, "deg": lambda v: v * 180 / math.pi,
    "rad": lambda v: v * math.pi / 180, "sin": guarded(math.sin), "cos": guarded(math.cos),
}


# ---- nodes ----

class Node:
    kind = "vector"  # or "scalar", "matrix"


class Number(Node):
    kind = "scalar"

    def __init__(self, value):
        self.value = float(value)

    def __str__(self):
        return number_text(self.value) if not math.isinf(self.value) else f"({self.value})"

    def at(self, data, t):
        return self.value


class Time(Node):
    kind = "scalar"

    def __str__(self):
        return "time()"

    def at(self, data, t):
        return t / 1000


class Shift:
    """offset and @: when a selector or subquery looks."""

    def __init__(self, offset=0, moment=None):
        self.offset, self.moment = offset, moment

    def __str__(self):
        text = ""
        if self.moment is not None:
            named = {"start", "end"} & {self.moment}
            text += f" @ {self.moment}()" if named else f" @ {self.moment / 1000:.3f}"
        if self.offset:
            text += f" offset {'-' if self.offset < 0 else ''}{duration(abs(self.offset))}"
        return text

    def apply(self, data, t):
        base = {None: t, "start": data.start, "end": data.end}.get(self.moment, self.moment)
        return base - self.offset


class Selector(Node):
    def __init__(self, name, matchers=(), shift=None, span=None):
        self.name, self.matchers, self.shift = name, list(matchers), shift or Shift()
        self.span = span
        if span is not None:
            self.kind = "matrix"

    def __str__(self):
        inner = ",".join(f'{n}{op}"{v}"' for n, op, v in self.matchers)
        text = (self.name or "") + (f"{{{inner}}}" if inner or not self.name else "")
        return text + (f"[{duration(self.span)}]" if self.span is not None else "") + str(self.shift)

    def matches(self, labels):
        if self.name and value_of(labels, NAME) != self.name:
            return False
        for name, op, wanted in self.matchers:
            value = value_of(labels, name)
            hit = value == wanted if op in ("=", "!=") else bool(re.fullmatch(wanted, value))
            if hit == op.startswith("!"):
                return False
        return True

    def at(self, data, t):
        when, result = self.shift.apply(data, t), {}
        for labels, samples in data.series:
            seen = [s for s in samples if when - LOOKBACK < s[0] <= when] \
                if self.matches(labels) else []
            if seen and not is_stale(seen[-1][1]):
                result[labels] = seen[-1][1]
        return result

    def times(self, data, t):
        """The times of the samples that at() gives, in seconds."""
        when, result = self.shift.apply(data, t), {}
        for labels in self.at(data, t):
            samples = next(s for l, s in data.series if l == labels)
            result[labels] = max(s[0] for s in samples if s[0] <= when) / 1000
        return result

    def window(self, data, t):
        when = self.shift.apply(data, t)
        found = {}
        for labels, samples in data.series:
            if self.matches(labels):
                seen = [s for s in samples
                        if when - self.span < s[0] <= when and not is_stale(s[1])]
                if seen:
                    found[labels] = seen
        return found, when - self.span, when


class Subquery(Node):
    kind = "matrix"

    def __init__(self, inner, span, step, shift=None):
        self.inner, self.span, self.step, self.shift = inner, span, step, shift or Shift()

    def __str__(self):
        return f"({self.inner})[{duration(self.span)}:{duration(self.step)}]{self.shift}"

    def window(self, data, t):
        when = self.shift.apply(data, t)
        first = (when - self.span) // self.step * self.step + self.step
        found = {}
        for moment in range(first, when + 1, self.step):
            for labels, value in self.inner.at(data, moment).items():
                found.setdefault(labels, []).append((moment, value))
        return found, when - self.span, when


class RangeCall(Node):
    """A range function; before and after: scalar arguments around the range."""

    def __init__(self, name, matrix, before=(), after=()):
        self.name, self.matrix, self.before, self.after = name, matrix, before, after

    def __str__(self):
        arguments = [*map(str, self.before), str(self.matrix), *map(str, self.after)]
        return f"{self.name}({', '.join(arguments)})"

    def one(self, samples, start, end, parameters):
        if self.name == "quantile_over_time":
            return quantile(parameters[0], [v for _, v in samples])
        if self.name == "predict_linear":
            if len(samples) < 2:
                return None
            slope, value = regression(samples, self.origin)
            return slope * parameters[0] + value
        if self.name == "double_exponential_smoothing":
            return smoothing(samples, *parameters)
        return RANGE_FUNCTIONS[self.name](samples, start, end)

    def at(self, data, t):
        found, start, end = self.matrix.window(data, t)
        self.origin = t
        parameters = [p.at(data, t) for p in (*self.before, *self.after)]
        result = {}
        for labels, samples in found.items():
            value = self.one(samples, start, end, parameters)
            if value is not None:
                kept = labels if self.name in KEEPS_NAME else without(labels, {NAME})
                put(result, kept, value)
        return result


class Absent(Node):
    def __init__(self, inner):
        self.inner = inner

    def __str__(self):
        return f"absent{'_over_time' if self.inner.kind == 'matrix' else ''}({self.inner})"

    def at(self, data, t):
        found = self.inner.window(data, t)[0] if self.inner.kind == "matrix" \
            else self.inner.at(data, t)
        if found:
            return {}
        labels = {}
        if isinstance(self.inner, Selector):
            names = [n for n, _, _ in self.inner.matchers]
            labels = {n: v for n, op, v in self.inner.matchers
                      if op == "=" and names.count(n) == 1}
        return {pairs(labels): 1.0}


class ValueCall(Node):
    """A function of each value and scalars; the name goes."""

    def __init__(self, name, inner, parameters=()):
        self.name, self.inner, self.parameters = name, inner, parameters

    def __str__(self):
        return f"{self.name}({', '.join(map(str, (self.inner, *self.parameters)))})"

    def one(self, value, p):
        if self.name == "clamp":
            return max(p[0], min(p[1], value)) if not math.isnan(value) else value
        if self.name == "clamp_min":
            return max(p[0], value) if not math.isnan(value) else value
        if self.name == "clamp_max":
            return min(p[0], value) if not math.isnan(value) else value
        if self.name == "round":
            return go_round(value, p[0] if p else 1.0)
        return VALUE_FUNCTIONS[self.name](value)

    def at(self, data, t):
        vector, result = self.inner.at(data, t), {}
        p = [s.at(data, t) for s in self.parameters]
        if self.name == "clamp" and p[0] > p[1]:
            return {}
        for labels, value in vector.items():
            put(result, without(labels, {NAME}), self.one(value, p))
        return result


class Timestamp(Node):
    def __init__(self, inner):
        self.inner = inner

    def __str__(self):
        return f"timestamp({self.inner})"

    def at(self, data, t):
        plain = isinstance(self.inner, Selector)
        times = self.inner.times(data, t) if plain \
            else {labels: t / 1000 for labels in self.inner.at(data, t)}
        result = {}
        for labels, when in times.items():
            put(result, without(labels, {NAME}), when)
        return result


class ToVector(Node):
    def __init__(self, inner):
        self.inner = inner

    def __str__(self):
        return f"vector({self.inner})"

    def at(self, data, t):
        return {(): self.inner.at(data, t)}


class ToScalar(Node):
    kind = "scalar"

    def __init__(self, inner):
        self.inner = inner

    def __str__(self):
        return f"scalar({self.inner})"

    def at(self, data, t):
        values = list(self.inner.at(data, t).values())
        return values[0] if len(values) == 1 else math.nan


class LabelReplace(Node):
    """Patterns here are groups around plain classes, which both regex languages read alike."""

    def __init__(self, inner, target, template, source, pattern):
        self.inner, self.target, self.template = inner, target, template
        self.source, self.pattern = source, pattern

    def __str__(self):
        return (f'label_replace({self.inner}, "{self.target}", "{self.template}", '
                f'"{self.source}", "{self.pattern}")')

    def at(self, data, t):
        result = {}
        for labels, value in self.inner.at(data, t).items():
            match = re.fullmatch(self.pattern, value_of(labels, self.source))
            if match:
                text = re.sub(r"\$(\d)", lambda m: match.group(int(m.group(1))) or "",
                              self.template)
                labels = pairs({**dict(labels), self.target: text})
            put(result, labels, value)
        return result


class Negate(Node):
    def __init__(self, inner):
        self.inner, self.kind = inner, inner.kind

    def __str__(self):
        return f"-({self.inner})"

    def at(self, data, t):
        inner = self.inner.at(data, t)
        if self.kind == "scalar":
            return -inner
        result = {}
        for labels, value in inner.items():
            put(result, without(labels, {NAME}), -value)
        return result


class Aggregation(Node):
    def __init__(self, op, inner, grouping=None, by=True, parameter=None):
        self.op, self.inner, self.parameter = op, inner, parameter
        self.grouping, self.by = grouping, by

    def __str__(self):
        group = ""
        if self.grouping is not None:
            group = f" {'by' if self.by else 'without'} ({', '.join(self.grouping)})"
        parameter = f"{self.parameter}, " if self.parameter is not None else ""
        return f"{self.op}{group} ({parameter}{self.inner})"

    def key(self, labels):
        if self.grouping is None:
            return ()
        return only(labels, self.grouping) if self.by else without(labels, {NAME, *self.grouping})

    def reduce(self, values, parameter):
        if self.op == "sum":
            k = Kahan(values[0])
            for v in values[1:]:
                k.add(v)
            return k.total
        if self.op == "avg":
            return mean(values)
        if self.op in ("min", "max"):
            return extreme([(0, v) for v in values],
                           (lambda a, b: a < b) if self.op == "min" else (lambda a, b: a > b))
        if self.op == "quantile":
            return quantile(parameter, values)
        if self.op in ("stddev", "stdvar"):
            squared = group_variance(values)
            return math.sqrt(squared) if self.op == "stddev" else squared
        return {"count": float(len(values)), "group": 1.0}[self.op]

    def at(self, data, t):
        groups = {}
        for labels, value in sorted(self.inner.at(data, t).items()):
            groups.setdefault(self.key(labels), []).append((labels, value))
        parameter = self.parameter
        if isinstance(parameter, Node):
            parameter = parameter.at(data, t)
        result = {}
        for key, members in groups.items():
            values = [v for _, v in members]
            if self.op in ("topk", "bottomk"):
                down = self.op == "topk"
                members.sort(key=lambda m: (math.isnan(m[1]), -m[1] if down else m[1]))
                result.update(members[:max(0, int(parameter))])
            elif self.op == "count_values":
                for value in values:
                    name = parameter.strip('"')
                    labels = pairs({**dict(key), name: number_text(value)})
                    result[labels] = result.get(labels, 0.0) + 1
            else:
                result[key] = self.reduce(values, parameter)
        return result


class Binary(Node):
    """on: None, or (True for on, False for ignoring, names); many: None, "left", "right"."""

    def __init__(self, op, left, right, on=None, many=None, include=(), to_bool=False):
        self.op, self.left, self.right = op, left, right
        self.on, self.many, self.include, self.to_bool = on, many, include, to_bool
        scalars = left.kind == right.kind == "scalar"
        self.kind = "scalar" if scalars else "vector"

    def __str__(self):
        text = self.op + (" bool" if self.to_bool else "")
        if self.on:
            text += f" {'on' if self.on[0] else 'ignoring'} ({', '.join(self.on[1])})"
        if self.many:
            text += f" group_{self.many} ({', '.join(self.include)})"
        return f"({self.left}) {text} ({self.right})"

    def key(self, labels):
        if self.on and self.on[0]:
            return only(labels, self.on[1])
        return without(labels, {NAME, *(self.on[1] if self.on else ())})

    def compute(self, a, b):
        """The value, or None when a comparison filters it out; of a filter the left value."""
        if self.op in ARITHMETIC:
            return ARITHMETIC[self.op](a, b)
        true = COMPARISONS[self.op](a, b)
        if self.to_bool:
            return float(true)
        return a if true else None

    def at(self, data, t):
        left, right = self.left.at(data, t), self.right.at(data, t)
        if self.kind == "scalar":
            return self.compute(left, right)
        if self.op in ("and", "or", "unless"):
            return self.sets(left, right)
        if self.left.kind == "scalar" or self.right.kind == "scalar":
            return self.with_scalar(left, right)
        return self.match(left, right)

    def drops_name(self):
        return self.op in ARITHMETIC or self.to_bool

    def with_scalar(self, left, right):
        result = {}
        vector = right if self.left.kind == "scalar" else left
        for labels, value in vector.items():
            a, b = (left, value) if vector is right else (value, right)
            got = self.compute(a, b)
            if got is not None:
                if self.op in COMPARISONS and not self.to_bool:
                    got = value  # a filter keeps the vector's side
                put(result, without(labels, {NAME}) if self.drops_name() else labels, got)
        return result

    def sets(self, left, right):
        here, there = {self.key(l) for l in left}, {self.key(l) for l in right}
        if self.op == "or":
            result = dict(left)
            for labels, value in right.items():
                if self.key(labels) not in here:
                    put(result, labels, value)
            return result
        return {l: v for l, v in left.items() if (self.key(l) in there) == (self.op == "and")}

    def match(self, left, right):
        if not left or not right:
            return {}
        swap = self.many == "right"
        many, one = (right, left) if swap else (left, right)
        ones = {}
        for labels, value in one.items():
            if self.key(labels) in ones:
                raise Refused("found duplicate series for the match group")
            ones[self.key(labels)] = (labels, value)
        result, seen = {}, set()
        for labels, value in many.items():
            key = self.key(labels)
            if key not in ones:
                continue
            a, b = (ones[key][1], value) if swap else (value, ones[key][1])
            got = self.compute(a, b)
            out = self.result_labels(labels, ones[key][0])
            # in 3.x what a comparison filters out counts as a match, too
            taken = key if self.many is None else (key, out)
            if taken in seen:
                raise Refused("multiple matches for labels")
            seen.add(taken)
            if got is not None:
                put(result, out, got)
        return result

    def result_labels(self, many, one):
        labels = dict(without(many, {NAME}) if self.drops_name() else many)
        if self.many is None:
            if self.on and self.on[0]:
                labels = {n: v for n, v in labels.items() if n in self.on[1]}
            elif self.on:
                labels = {n: v for n, v in labels.items() if n not in self.on[1]}
        for name in self.include:
            labels[name] = value_of(one, name)
        return pairs(labels)


class Data:
    """Series with samples [(ms, value)], and the range of the query that runs."""

    def __init__(self, series):
        self.series = sorted(series)
        self.start = self.end = 0

    def query(self, node, start, end, step):
        """{labels: [(ms, value)]}; a scalar's labels are ()."""
        self.start, self.end = start, end
        result = {}
        for t in range(start, end + 1, step):
            got = node.at(self, t)
            for labels, value in ({(): got} if node.kind == "scalar" else got).items():
                result.setdefault(labels, []).append((t, value))
        return result
