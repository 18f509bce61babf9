"""Rows for ``arithmetic.py``, ``rounding.py`` and ``transcendental.py`` of the primitives."""

import numpy as np

from fnad.testing import Sample, scale
from tests.samples.values import (
    BOOLS,
    INTS,
    as_operand,
    binary,
    distinct,
    edge_pairs,
    integers,
    normal,
    normal_complex,
    unary,
    uniform,
)

X = normal(2, 3)
Y = normal(2, 3, seed=5) + 0.2
POSITIVE = uniform(0.2, 2.0, 2, 3)
Z = normal_complex(2, 3)
# Next to Z: equal real parts with smaller and larger imaginary ones, and other real parts.
PAIRS = np.where([[True, False, True], [False, True, False]], Z + 0.25j * normal(2, 3), Z[::-1])


def truncated_quotient(x, y):
    """Integer division towards zero, with x / 0 = 0."""
    divisor = np.where(y == 0, x.dtype.type(1), y)
    return np.where(y == 0, 0, (x - np.fmod(x, divisor)) // divisor).astype(x.dtype)


def remainder(x, y):
    return np.where(y == 0, 0, np.fmod(x, np.where(y == 0, 1, y))).astype(x.dtype)


def integer_power(x, y):
    """Power modulo 2**bits; negative exponents give the truncated reciprocal."""
    bits = x.dtype.itemsize * 8

    def one(base, exponent):
        if exponent >= 0:
            value = pow(base, exponent, 1 << bits)
        else:
            value = {1: 1, -1: 1 if exponent % 2 == 0 else -1}.get(base, 0)
        return np.array(value % (1 << bits), np.uint64).astype(f"u{x.dtype.itemsize}").view(x.dtype)

    pairs = zip(x.tolist(), y.tolist())
    return np.array([one(b, e) for b, e in pairs], x.dtype)


def clipped(a, x, b):
    return np.clip(x, a, b).astype(x.dtype)


def complex_row(reference, z=Z):
    return Sample((z,), reference=reference)


def numpy_power(x, y):
    return np.power(x, y)


ints = lambda f: [Sample((INTS.astype(d),), reference=f) for d in (np.int64, np.int8)]

SAMPLES = {
    "neg": [*unary(np.negative, X), *ints(np.negative), complex_row(np.negative)],
    "add": [
        *binary(np.add, X, Y),
        edge_pairs(np.add),
        *integers(np.add),
        Sample((BOOLS, ~BOOLS), reference=np.add),
        Sample((Z, Z[::-1]), reference=np.add),
    ],
    "sub": [
        *binary(np.subtract, X, Y),
        *integers(np.subtract),
        Sample((Z, Z[::-1]), reference=np.subtract),
    ],
    "mul": [
        *binary(np.multiply, X, Y),
        edge_pairs(np.multiply),
        *integers(np.multiply),
        Sample((BOOLS, ~BOOLS), reference=np.multiply),
        Sample((Z, Z[::-1]), reference=np.multiply),
    ],
    "div": [
        *binary(np.true_divide, X, np.sign(Y) * (abs(Y) + 0.5)),
        edge_pairs(np.true_divide),
        *integers(truncated_quotient, np.int64, np.int32, np.int8, np.uint8),
        Sample((Z, Z[::-1] + 2.0), reference=np.true_divide),
    ],
    "rem": [
        *binary(np.fmod, 5 * distinct(2, 3) + 0.3, np.sign(Y) * (abs(Y) + 0.7)),
        edge_pairs(np.fmod),
        *integers(remainder, np.int64, np.int32, np.int8, np.uint8),
    ],
    "pow": [
        *binary(np.power, POSITIVE, Y),
        Sample((-POSITIVE, np.full((2, 3), 3.0)), reference=np.power, differentiable=(0,)),
        Sample((np.zeros(3), np.array([0.0, 1.0, 2.0])), reference=np.power, order=0),
        edge_pairs(np.power),
        *integers(integer_power, np.int64, np.int8, np.uint8),
        Sample((Z, Z[::-1] / 2), reference=np.power),
    ],
    "integer_pow": [
        *(Sample((X,), {"y": y}, reference=lambda x, y=y: x**y) for y in (2, 3, 7, 1)),
        Sample((X,), {"y": 0}, reference=np.ones_like),
        Sample((np.sign(X) * (abs(X) + 0.5),), {"y": -3}, reference=lambda x: 1 / (x * x * x)),
        Sample((INTS,), {"y": 3}, reference=lambda x: x**3),
        Sample((Z,), {"y": 3}, reference=lambda x: x * x * x),
    ],
    "square": [*unary(np.square, X), *ints(np.square), complex_row(np.square)],
    "sqrt": [*unary(np.sqrt, POSITIVE), complex_row(np.sqrt)],
    "rsqrt": [*unary(lambda x: 1 / np.sqrt(x), POSITIVE), complex_row(lambda x: 1 / np.sqrt(x))],
    "cbrt": unary(as_operand(np.cbrt), POSITIVE),
    "abs": [*unary(np.abs, X), *ints(np.abs), complex_row(np.abs)],
    "sign": [
        *unary(np.sign, X),
        *ints(np.sign),
        Sample((Z,), reference=np.sign, atol=1e-15, reason="along z its derivative is 0"),
    ],
    "max": [
        *binary(np.maximum, X, Y),
        edge_pairs(np.maximum),
        Sample((BOOLS, ~BOOLS), reference=np.maximum),
        *integers(np.maximum),
        Sample((Z, Z[::-1]), reference=np.maximum),
        Sample((Z, PAIRS), reference=np.maximum, order=0),
    ],
    "min": [
        *binary(np.minimum, X, Y),
        edge_pairs(np.minimum),
        Sample((BOOLS, ~BOOLS), reference=np.minimum),
        *integers(np.minimum),
        Sample((Z, Z[::-1]), reference=np.minimum),
        Sample((Z, PAIRS), reference=np.minimum, order=0),
    ],
    "clamp": [
        Sample((np.float64(-0.5), X, np.float64(0.6)), reference=clipped),
        Sample((X - 0.3, Y, X + 0.4), reference=clipped),
        Sample((np.int64(-2), INTS, np.int64(50)), reference=clipped),
        Sample((Z - 0.3, Z[::-1], Z + 0.4), reference=clipped),
    ],
    "floor": unary(np.floor, X),
    "ceil": unary(np.ceil, X),
    "trunc": unary(np.trunc, X),
    "round": [*unary(np.rint, X), complex_row(np.rint)],
    "exp": [*unary(np.exp, X), complex_row(np.exp)],
    "exp2": [*unary(np.exp2, X), complex_row(np.exp2)],
    "expm1": [*unary(np.expm1, X), complex_row(np.expm1)],
    "log": [*unary(np.log, POSITIVE), complex_row(np.log)],
    "log2": [*unary(np.log2, POSITIVE), complex_row(np.log2)],
    "log10": [*unary(np.log10, POSITIVE), complex_row(np.log10)],
    "log1p": [*unary(np.log1p, POSITIVE - 0.5), complex_row(np.log1p)],
    "logistic": [
        *unary(as_operand(lambda x: 1 / (1 + np.exp(-x.astype(np.float64)))), X),
        complex_row(lambda z: 1 / (1 + np.exp(-z))),
    ],
    "sin": [*unary(np.sin, X), complex_row(np.sin)],
    "cos": [*unary(np.cos, X), complex_row(np.cos)],
    "tan": [*unary(np.tan, X / 2), complex_row(np.tan)],
    "asin": [*unary(np.arcsin, np.tanh(X)), complex_row(np.arcsin)],
    "acos": [*unary(np.arccos, np.tanh(X)), complex_row(np.arccos)],
    "atan": [*unary(np.arctan, X), complex_row(np.arctan)],
    "atan2": [*binary(np.arctan2, X, Y), edge_pairs(np.arctan2)],
    "sinh": [*unary(np.sinh, X), complex_row(np.sinh)],
    "cosh": [*unary(np.cosh, X), complex_row(np.cosh)],
    "tanh": [*unary(np.tanh, X), complex_row(np.tanh)],
    "asinh": [*unary(np.arcsinh, X), complex_row(np.arcsinh)],
    "acosh": [*unary(np.arccosh, 1.2 + POSITIVE, vary=scale), complex_row(np.arccosh)],
    "atanh": [*unary(np.arctanh, np.tanh(X)), complex_row(np.arctanh)],
}
