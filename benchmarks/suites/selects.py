"""What right gradients through `where` cost: snippets of issues, with and without strong zeros.

Without them, as in the peers, the cotangent of a lane that was not taken is an ordinary zero, and
its product with an infinite derivative NaN. The switch between both is here alone. Each row has a
process of its own, in which both take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np

import fnad
import fnad.numpy as fnp
from benchmarks.child import call_in_child
from benchmarks.formatting import seconds_text, table
from benchmarks.measure import FULL, QUICK, compare
from benchmarks.options import Options, Report
from fnad.core.primitive import Linear
from fnad.primitives import logic
from fnad.primitives.elementwise import unbroadcast
from fnad.primitives.strong_zeros import settled, side_of_select, whole_mask

_LIMIT = 0.05
_SIZES = (1_000, 100_000, 3_000_000)

# glibc's malloc then keeps what it has got. Else it hands memory back, and gets it again, page by
# page, depending on what was allocated in which order before: some hundred page faults more or
# less in each call, which are no property of the program.
_KEEPING_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 28),
}


def _norm_or_one(x: Any) -> Any:  # jax issue 347
    norm = fnp.sqrt(fnp.sum(x**2, axis=1))
    return fnp.sum(fnp.where(norm > 0.5, norm, fnp.ones_like(norm)))


def _angle_elsewhere(x: Any) -> Any:  # jax issue 1052
    return fnp.sum(fnp.where(x < 0.5, 0.0, fnp.arctan2(x, x)))


def _root_above_one(x: Any) -> Any:  # jax issue 5798
    return fnp.sum(fnp.where(x < 1.0, x, fnp.sqrt(x)))


def _root_of_negative(x: Any) -> Any:  # autograd issue 802
    return fnp.sum(fnp.where(x >= 0, x, fnp.sqrt(-x)))


def _power_off_zero(x: Any) -> Any:  # tinygrad issue 12409
    return fnp.sum(fnp.where(x == 0, 0, x * fnp.sqrt(x)))


_Snippet = Callable[[Any], Any]

# By name: the function, and how long the rows of its argument are (0: it takes a vector).
_SNIPPETS: dict[str, tuple[_Snippet, int]] = {
    "jax 347": (_norm_or_one, 3),
    "jax 347, rows of 8": (_norm_or_one, 8),
    "jax 347, rows of 64": (_norm_or_one, 64),
    "jax 1052": (_angle_elsewhere, 0),
    "jax 5798": (_root_above_one, 0),
    "autograd 802": (_root_of_negative, 0),
    "tinygrad 12409": (_power_off_zero, 0),
}


def _ordinary_side(ct: Any, pred: Any, taken: bool, operand: Any) -> Any:
    """The cotangent of a case of a select, with ordinary zeros."""
    if not isinstance(operand, Linear):
        return None
    ct = settled(ct)
    zero = np.zeros((), ct.dtype)[()]
    case = logic.select_p.bind(whole_mask(pred), *((ct, zero) if taken else (zero, ct)))
    return unbroadcast(case, operand.aval)


@contextmanager
def _sides_of_selects(rule: Callable[..., Any]) -> Iterator[None]:
    saved = logic.side_of_select
    logic.side_of_select = rule
    try:
        yield
    finally:
        logic.side_of_select = saved


_SIDES = {"strong": side_of_select, "ordinary": _ordinary_side}


def _gradient(function: _Snippet, x: Any, kind: str, zeros: str) -> Callable[[], Any]:
    """A call of the gradient, compiled or eager, with strong zeros or ordinary ones."""
    side = _SIDES[zeros]
    if kind == "eager":

        def eager() -> Any:
            with _sides_of_selects(side):
                # A function of its own for each call, so that it finds nothing traced.
                return fnad.grad(lambda x: function(x))(x)

        return eager
    compiled = fnad.jit(fnad.grad(lambda x: function(x)))
    with _sides_of_selects(side):
        compiled(x)
    return lambda: compiled(x)


def compared(name: str, size: int, kind: str, quick: bool) -> dict[str, float]:
    """Seconds of one gradient with strong and with ordinary zeros, and their ratio's quartiles."""
    function, length = _SNIPPETS[name]
    shape = (size // length, length) if length else (size,)
    x = np.abs(np.random.default_rng(0).normal(size=shape))
    x[:: max(1, len(x) // 10)] = 0.0  # where derivatives are infinite
    with np.errstate(all="ignore"):
        strong, ordinary = (_gradient(function, x, kind, zeros) for zeros in _SIDES)
        assert np.all(np.isfinite(strong()))
        found = compare(strong, ordinary, QUICK if quick else FULL)
    return {
        "seconds": found.ours.median, "ordinary": found.other.median,
        "best": found.ours.best, "ordinary best": found.other.best,
        "ratio": found.ratio, "lower": found.lower, "upper": found.upper,
    }  # fmt: skip


def run(options: Options) -> Report:
    """Times of gradients with strong zeros and with ordinary ones, in turn."""
    rows, data = [], {}
    for name in _SNIPPETS:
        if options.only.lower() not in name:
            continue
        for size, kind in product(_SIZES, ("compiled", "eager")):
            found = call_in_child(
                __name__, "compared", name, size, kind, options.quick, environment=_KEEPING_MEMORY
            )
            data[f"{name}, {size}, {kind}"] = found
            best = " best" if options.best else ""
            ours, plain = found["best" if best else "seconds"], found[f"ordinary{best}"]
            ratio = ours / plain if best else found["ratio"]
            rows.append([
                name, f"{size:,}", kind, seconds_text(ours), seconds_text(plain),
                f"{100 * (ratio - 1):+.1f} %",
                f"{100 * (found['lower'] - 1):+.1f} to {100 * (found['upper'] - 1):+.1f}",
                "" if ratio <= 1 + _LIMIT else "no",
            ])  # fmt: skip
    head = ["snippet", "elements", "", "strong", "ordinary", "costs", "quartiles", "within 5 %"]
    return Report(table(head, rows), data)
