"""What right gradients through `where` cost: snippets of issues, with and without strong zeros.

Without them, as in the peers, the cotangent of a lane that was not taken is an ordinary zero, and
its product with an infinite derivative NaN. The switch between both is here alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import fnad
import fnad.numpy as fnp
from benchmarks.formatting import seconds_text, table
from benchmarks.measure import FULL, QUICK, measure
from benchmarks.options import Options, Report
from fnad.core.primitive import Linear
from fnad.primitives import logic
from fnad.primitives.elementwise import unbroadcast
from fnad.primitives.strong_zeros import settled, whole_mask

_LIMIT = 0.05
_SIZES = (1_000, 100_000, 3_000_000)


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
def _ordinary_zeros() -> Iterator[None]:
    strong = logic.side_of_select
    logic.side_of_select = _ordinary_side
    try:
        yield
    finally:
        logic.side_of_select = strong


def _gradients(function: _Snippet, x: Any) -> dict[str, Callable[[], Any]]:
    """The gradient with strong zeros, and without them, compiled and eager."""

    def eager(x: Any) -> Any:
        # A function of its own for each call, so that neither finds what the other has traced.
        return fnad.grad(lambda x: function(x))(x)

    def ordinary(x: Any) -> Any:
        with _ordinary_zeros():
            return eager(x)

    with np.errstate(all="ignore"):
        strong_compiled = fnad.jit(fnad.grad(lambda x: function(x)))
        assert np.all(np.isfinite(strong_compiled(x)))
        with _ordinary_zeros():
            compiled = fnad.jit(fnad.grad(lambda x: function(x)))
            compiled(x)
    return {
        "compiled": lambda: strong_compiled(x),
        "compiled, ordinary": lambda: compiled(x),
        "eager": lambda: eager(x),
        "eager, ordinary": lambda: ordinary(x),
    }


def run(options: Options) -> Report:
    """Times of gradients with strong zeros and with ordinary ones, in turn."""
    rows, data = [], {}
    for name, (function, length) in _SNIPPETS.items():
        if options.only.lower() not in name:
            continue
        for size in _SIZES:
            shape = (size // length, length) if length else (size,)
            x = np.abs(np.random.default_rng(0).normal(size=shape))
            x[:: max(1, len(x) // 10)] = 0.0  # where derivatives are infinite
            gradients = _gradients(function, x)
            for kind in ("compiled", "eager"):
                # In turn with nothing but each other, so that both see the same machine.
                pair = {key: gradients[key] for key in (kind, f"{kind}, ordinary")}
                with np.errstate(all="ignore"):
                    times = measure(pair, QUICK if options.quick else FULL)
                ours, plain = (t.typical(options.best) for t in times.values())
                ratio = ours / plain - 1
                data[f"{name}, {size}, {kind}"] = {"seconds": ours, "ordinary": plain}
                rows.append([
                    name, f"{size:,}", kind, seconds_text(ours), seconds_text(plain),
                    f"{100 * ratio:+.1f} %", "" if ratio <= _LIMIT else "no",
                ])  # fmt: skip
    head = ["snippet", "elements", "", "strong zeros", "ordinary zeros", "costs", "within 5 %"]
    return Report(table(head, rows), data)
