"""Errors of compiled elementary functions: ``python -m benchmarks.accuracy``, in a checkout.

Each function is compiled with `fnad.jit` and compared with mpmath at random bit patterns (all
finite numbers, denormals included), in the regions where it is not trivial, and at special values.
Errors are in units in the last place of the exact result. With ``--exhaustive`` every float32 is
tried on functions of one argument, against float64 references (about three minutes each).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import scipy.special

import fnad
import fnad.numpy as fnp
from benchmarks.formatting import table
from fnad import lax

Array = np.ndarray[Any, np.dtype[Any]]
Region = tuple[float, float]


@dataclass(frozen=True)
class Function:
    """An elementary function and its references.

    Attributes
    ----------
    call : callable
        fnad's function.
    exact : callable
        mpmath's, for finite arguments inside the domain.
    reference : callable
        NumPy's or SciPy's, for special values and exhaustive sweeps.
    regions : sequence of pairs
        Intervals to sample densely.
    limit : float
        Bound of the error, in units in the last place.
    hard : callable
        Arguments to try together with their neighbours, such as zeros of the function.
    """

    call: Callable[..., Any]
    exact: Callable[..., Any]
    reference: Callable[..., Any]
    regions: Sequence[Region]
    limit: float = 2.0
    arity: int = 1
    hard: Callable[[], Sequence[float]] = tuple


def _bounded(function: Callable[..., Any], bound: float = 1e4) -> Callable[..., Any]:
    """``function``, not asked for numbers with millions of digits in their exponents."""
    return lambda x: function(max(-bound, min(bound, x)))


def _power(x: Any, y: Any) -> Any:
    if x == 0 or y == 0 or x == 1:
        return mpmath.mpf(float(np.power(float(x), float(y))))
    whole = y == mpmath.nint(y)
    if x < 0 and not whole:
        return mpmath.nan
    exponent = y * mpmath.log(abs(x), 2)
    size = mpmath.mpf(2) ** max(-10000, min(10000, exponent))
    return -size if x < 0 and mpmath.fmod(y, 2) != 0 else size


def _lgamma(x: Any) -> Any:
    if x > 0:
        return mpmath.loggamma(x)
    return mpmath.log(mpmath.pi / abs(x * mpmath.sinpi(x))) - mpmath.loggamma(-x)


def _lgamma_reference(x: Any) -> Any:
    """SciPy's, which is infinite too early near 0."""
    size = np.abs(x)
    return np.where(size < 1e-300, -np.log(size), scipy.special.gammaln(x))


def _lgamma_zeros() -> list[float]:
    """The zeros below 0, at x = -m + d, are fixed points of d abs(gamma(x)); poles without any."""
    zeros = [-float(m) for m in range(18, 172)]
    for m in range(2, 18):
        for side in (-1, 1) if m > 2 else (-1,):
            d = mpmath.mpf(1) / mpmath.factorial(m)
            for _ in range(60):
                d *= abs(mpmath.gamma(-m + side * d))
            zeros.append(float(-m + side * d))
    return zeros


def _digamma_zeros() -> list[float]:
    """One in each interval (-n - 1, -n), where cot(pi (x + n + 1)) is about log(n + 1) / pi."""
    zeros = []
    for n in [*range(40), *(4**j for j in range(3, 25))]:
        x = mpmath.acot(mpmath.log(n + 1) / mpmath.pi) / mpmath.pi - n - 1
        zeros.append(float(mpmath.findroot(mpmath.digamma, x)))
    return zeros


def _erf_inv_reference(x: Any) -> Any:
    """SciPy's, with the sign of zero."""
    return np.copysign(scipy.special.erfinv(x), x)


def _cbrt(x: Any) -> Any:
    return mpmath.sign(x) * mpmath.cbrt(abs(x))


_ANGLES: Sequence[Region] = ((-1.0, 1.0), (-10.0, 10.0), (-1e3, 1e3), (-1e6, 1e6))
_GROWTH: Sequence[Region] = ((-1.0, 1.0), (-20.0, 20.0), (-110.0, 110.0), (-760.0, 720.0))
_LOGS: Sequence[Region] = ((0.0, 1.0), (0.5, 2.0), (0.99, 1.01), (0.0, 100.0))
_UNIT: Sequence[Region] = ((-1.0, 1.0), (-0.1, 0.1), (0.9, 1.0))
_GAMMA: Sequence[Region] = (
    (0.0, 3.0), (0.9, 1.1), (1.9, 2.1), (1.4, 1.5), (0.0, 30.0), (0.0, 1e4),
    (-3.0, 0.0), (-2.9, -2.3), (-30.0, 0.0), (-1e3, 0.0),
)  # fmt: skip

FUNCTIONS: dict[str, Function] = {
    "exp": Function(fnp.exp, _bounded(mpmath.exp), np.exp, _GROWTH),
    "exp2": Function(fnp.exp2, _bounded(lambda x: mpmath.mpf(2) ** x), np.exp2, _GROWTH),
    "expm1": Function(fnp.expm1, _bounded(mpmath.expm1), np.expm1, _GROWTH),
    "log": Function(fnp.log, mpmath.log, np.log, _LOGS),
    "log2": Function(fnp.log2, lambda x: mpmath.log(x, 2), np.log2, _LOGS),
    "log10": Function(fnp.log10, mpmath.log10, np.log10, _LOGS),
    "log1p": Function(fnp.log1p, mpmath.log1p, np.log1p, ((-1.0, 1.0), (-0.01, 0.01), (0.0, 9.0))),
    "sin": Function(fnp.sin, mpmath.sin, np.sin, _ANGLES),
    "cos": Function(fnp.cos, mpmath.cos, np.cos, _ANGLES),
    "tan": Function(fnp.tan, mpmath.tan, np.tan, _ANGLES),
    "arcsin": Function(fnp.arcsin, mpmath.asin, np.arcsin, _UNIT),
    "arccos": Function(fnp.arccos, mpmath.acos, np.arccos, _UNIT),
    "arctan": Function(fnp.arctan, mpmath.atan, np.arctan, ((-1.0, 1.0), (-5.0, 5.0))),
    "arctan2": Function(
        fnp.arctan2, mpmath.atan2, np.arctan2, ((-1.0, 1.0), (-10.0, 10.0)), arity=2
    ),
    "sinh": Function(fnp.sinh, _bounded(mpmath.sinh), np.sinh, _GROWTH),
    "cosh": Function(fnp.cosh, _bounded(mpmath.cosh), np.cosh, _GROWTH),
    "tanh": Function(fnp.tanh, _bounded(mpmath.tanh), np.tanh, ((-1.0, 1.0), (-22.0, 22.0))),
    "arcsinh": Function(fnp.arcsinh, mpmath.asinh, np.arcsinh, ((-1.0, 1.0), (-9.0, 9.0))),
    "arccosh": Function(fnp.arccosh, mpmath.acosh, np.arccosh, ((1.0, 1.1), (1.0, 9.0))),
    "arctanh": Function(fnp.arctanh, mpmath.atanh, np.arctanh, _UNIT),
    "sqrt": Function(fnp.sqrt, mpmath.sqrt, np.sqrt, ((0.0, 2.0),)),
    "cbrt": Function(fnp.cbrt, _cbrt, np.cbrt, ((-8.0, 8.0),)),
    "erf": Function(lax.erf, mpmath.erf, scipy.special.erf, ((-1.0, 1.0), (-6.0, 6.0))),
    "erfc": Function(
        lax.erfc,
        _bounded(mpmath.erfc),
        scipy.special.erfc,
        ((-1.0, 1.0), (-6.0, 11.0), (5.0, 28.0)),
    ),
    "power": Function(
        fnp.power, _power, np.power, ((0.0, 2.0), (0.9, 1.1), (-10.0, 10.0)), limit=4.0, arity=2
    ),
    "erf_inv": Function(lax.erf_inv, mpmath.erfinv, _erf_inv_reference, _UNIT, limit=4.0),
    "lgamma": Function(lax.lgamma, _lgamma, _lgamma_reference, _GAMMA, 4.0, hard=_lgamma_zeros),
    "digamma": Function(
        lax.digamma, mpmath.digamma, scipy.special.psi, _GAMMA, 4.0, hard=_digamma_zeros
    ),
}


@dataclass(frozen=True)
class Worst:
    """The largest error seen, in units in the last place, and where."""

    error: float
    arguments: tuple[float, ...] = ()
    got: float = math.nan
    exact: float = math.nan


def special_values(dtype: Any) -> Array:
    """Zeros, infinities, NaN and the ends of the ranges of normal and denormal numbers."""
    info = np.finfo(dtype)
    positive = [0.0, info.smallest_subnormal, info.tiny, 0.5, 1.0, 1.5, 2.0, 3.0, info.max, np.inf]
    return np.array([*positive, *(-x for x in positive), np.nan], dtype)


def _neighbours(x: Array) -> Array:
    """Each number, some next to it, and some that are farther from it."""
    steps = [x]
    for end in (-np.inf, np.inf):
        near = x
        for _ in range(3):
            near = np.nextafter(near, x.dtype.type(end))
            steps.append(near)
    offsets = np.array([10.0**-j for j in range(2, 16)], x.dtype)
    return np.concatenate([*steps, *(x + x * s * offset for offset in offsets for s in (-1, 1))])


def points(function: Function, dtype: Any, count: int, seed: int = 0) -> list[Array]:
    """Arguments: random bit patterns, ``count`` numbers in each region, and the hard ones."""
    rng, dtype = np.random.default_rng(seed), np.dtype(dtype)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    arguments = []
    for _ in range(function.arity):
        bits = rng.integers(0, 2 ** (8 * dtype.itemsize), count, unsigned)
        parts = [bits.view(dtype)]
        parts += [rng.uniform(low, high, count).astype(dtype) for low, high in function.regions]
        with mpmath.workprec(160):
            parts.append(_neighbours(np.array(function.hard(), dtype)))
        x = np.concatenate(parts)
        arguments.append(x[np.isfinite(x)])
    size = min(map(len, arguments))
    if function.arity == 2:  # of equal size, and whole numbers among the second ones
        arguments[1] = rng.permutation(arguments[1])
        arguments[1][::5] = np.rint(arguments[1][::5])
    return [x[:size] for x in arguments]


def spacing(exact: Any, dtype: Any) -> float:
    """The unit in the last place of a number: of its binade, or of denormals."""
    info = np.finfo(dtype)
    exponent = int(mpmath.frexp(exact)[1]) - 1 if exact != 0 else int(info.minexp)
    return float(2.0 ** (max(min(exponent, info.maxexp - 1), int(info.minexp)) - info.nmant))


def error_in_ulps(got: float, exact: Any, dtype: Any) -> float:
    """The error of one result; infinite if one of result and reference is NaN or infinite."""
    if not mpmath.isfinite(exact):
        return 0.0 if got == exact or (math.isnan(got) and mpmath.isnan(exact)) else math.inf
    most = mpmath.mpf(float(np.finfo(dtype).max))
    unit = spacing(exact, dtype)
    if abs(exact) >= most + unit / 2:  # rounds to infinity
        return 0.0 if got == math.copysign(math.inf, exact) else math.inf
    if not math.isfinite(got):  # one unit too much, at the very end of the range
        return 1.0 if math.isinf(got) and abs(exact) > most - 2 * unit else math.inf
    return float(abs(mpmath.mpf(got) - exact) / unit)


def exact_value(function: Function, arguments: Sequence[float]) -> Any:
    """mpmath's value; NumPy's or SciPy's at poles and outside of the domain."""
    try:
        exact = function.exact(*map(mpmath.mpf, arguments))
    except (ValueError, ZeroDivisionError):
        exact = mpmath.nan
    if isinstance(exact, mpmath.mpf) and mpmath.isfinite(exact):
        return exact
    with np.errstate(all="ignore"):
        return mpmath.mpf(float(function.reference(*arguments)))


def compiled(function: Function) -> Callable[..., Array]:
    """fnad's function through `jit`, anew: each is used for one dtype."""
    return fnad.jit(lambda *xs: function.call(*xs))


def measure(function: Function, dtype: Any, count: int) -> Worst:
    """The largest error over `points`."""
    arguments = points(function, dtype, count)
    results = compiled(function)(*arguments)
    worst = Worst(0.0)
    with mpmath.workprec(160):
        for got, *xs in zip(results.tolist(), *(x.tolist() for x in arguments)):
            exact = exact_value(function, xs)
            error = error_in_ulps(got, exact, dtype)
            if not error <= worst.error:
                worst = Worst(error, tuple(xs), got, float(exact))
    return worst


def wrong_special_values(function: Function, dtype: Any) -> list[tuple[float, ...]]:
    """Special arguments where NaN, infinity or the sign of zero differ from NumPy's or SciPy's."""
    values = special_values(dtype)
    grid = [g.ravel() for g in np.meshgrid(*[values] * function.arity)]
    got = compiled(function)(*grid)
    with np.errstate(all="ignore"):
        want = function.reference(*(g.astype(np.float64) for g in grid)).astype(dtype)
    zeros = (want == 0) & (np.signbit(got) != np.signbit(want))
    unlike = (np.isnan(got) != np.isnan(want)) | (np.isinf(got) != np.isinf(want)) | zeros
    return [tuple(g[i].item() for g in grid) for i in np.flatnonzero(unlike)]


def _float32s(stride: int) -> Iterator[Array]:
    block = 2**24 * stride
    for start in range(0, 2**32, block):
        bits = np.arange(start, min(start + block, 2**32), stride, dtype=np.uint64)
        yield bits.astype(np.uint32).view(np.float32)


def sweep(function: Function, stride: int = 1) -> Worst:
    """The largest error over every float32 (or each in ``stride``), against float64 references."""
    run, worst = compiled(function), Worst(0.0)
    for x in _float32s(stride):
        got = run(x)
        with np.errstate(all="ignore"):
            want = function.reference(x.astype(np.float64))
            rounded = want.astype(np.float32)
            unit = np.spacing(np.minimum(np.abs(rounded), np.finfo(np.float32).max))
            error = np.abs(got.astype(np.float64) - want) / unit
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        error = np.where(same & ~np.isfinite(rounded), 0.0, error)
        i = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
        if not error[i] <= worst.error:
            worst = Worst(float(error[i]), (float(x[i]),), float(got[i]), float(want[i]))
    return worst


def _row(name: str, function: Function, dtype: str, worst: Worst, special: str) -> list[str]:
    at = ", ".join(f"{x:.9g}" if dtype == "float32" else f"{x:.17g}" for x in worst.arguments)
    verdict = "" if worst.error <= function.limit else "above the limit"
    return [name, dtype, f"{worst.error:.3f}", at, special, verdict]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAMES", help="functions, comma-separated")
    parser.add_argument("--count", type=int, default=3000, help="points per region")
    parser.add_argument("--exhaustive", action="store_true", help="every float32")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(FUNCTIONS)
    unknown = [n for n in names if n not in FUNCTIONS]
    if unknown:
        raise SystemExit(f"no such functions: {unknown}; there are {list(FUNCTIONS)}")
    rows = []
    for name in names:
        function = FUNCTIONS[name]
        if args.exhaustive:
            if function.arity == 1:
                rows.append(_row(name, function, "float32", sweep(function), ""))
                print(*rows[-1], flush=True)
            continue
        for dtype in ("float32", "float64"):
            wrong = wrong_special_values(function, dtype)
            special = "" if not wrong else f"{len(wrong)}, as at {wrong[0]}"
            rows.append(_row(name, function, dtype, measure(function, dtype, args.count), special))
    print(table(["function", "dtype", "max ulp", "at", "special values unlike", ""], rows))


if __name__ == "__main__":
    main()
