#!/usr/bin/env python3
"""Writes doubles.txt: the bits of a double and its shortest text, as Python's repr finds it.

Half are random bits; the rest are powers of two and ten and their neighbours,
denormals, decimals with few places and large whole numbers.
"""
import random
import struct

random.seed(20261123)


def to_double(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def to_bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def exponent_form(value):
    """repr's digits as d.ddde+xx"""
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = int(exponent or 0) + len(whole)
    if whole == "0":
        point -= len(fraction) - len(fraction.lstrip("0")) + 1
    digits = digits.rstrip("0")
    out = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{out}e{'-' if point - 1 < 0 else '+'}{abs(point - 1):02d}"


values = [to_double(random.getrandbits(63)) for _ in range(500)]
for power in range(-1074, 1024, 12):
    bits = to_bits(2.0**power)
    values += [to_double(bits), to_double(bits + 1), to_double(max(bits - 1, 1))]
for power in range(-323, 309, 9):
    bits = to_bits(float(f"1e{power}"))
    values += [to_double(bits - 1), to_double(bits), to_double(bits + 1)]
values += [to_double(random.getrandbits(random.randint(1, 52)) or 1) for _ in range(60)]
values += [random.randint(1, 10**9) / 10 ** random.randint(0, 8) for _ in range(150)]
values += [float(random.getrandbits(random.randint(50, 64))) for _ in range(60)]
values += [5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 9007199254740993.0, 2.0**-44]

with open(__file__.rsplit("/", 1)[0] + "/doubles.txt", "w") as out:
    for value in values:
        if value == value and value not in (0.0, float("inf")):
            out.write(f"{to_bits(value):016x} {exponent_form(value)}\n")
