"""Elementary functions as formulas, for every backend.

A formula has no branches or tables, only arithmetic and selects, written in the operators of
`notation`, which speak to a builder of scalar operations. Where an argument takes more (a huge
angle, a negative one of lgamma), it calls a function of `LONG_FORMULAS`. ``benchmarks/accuracy.py``
tabulates their errors against mpmath; special values are those of C.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fnad.lowering.maths import (
    error_functions,
    exponentials,
    gamma,
    inverse_trigonometry,
    logarithms,
    negative_gamma,
    payne_hanek,
    powers,
    remainders,
    roots,
    trigonometry,
)
from fnad.lowering.maths.notation import Number

FORMULAS: Mapping[str, Callable[..., Number]] = {
    "exp": exponentials.exp, "exp2": exponentials.exp2, "expm1": exponentials.expm1,
    "sinh": exponentials.sinh, "cosh": exponentials.cosh, "tanh": exponentials.tanh,
    "log": logarithms.log, "log2": logarithms.log2, "log10": logarithms.log10,
    "log1p": logarithms.log1p, "arcsinh": logarithms.arcsinh, "arccosh": logarithms.arccosh,
    "arctanh": logarithms.arctanh, "power": powers.power, "erf": error_functions.erf,
    "sin": trigonometry.sin, "cos": trigonometry.cos, "tan": trigonometry.tan,
    "arcsin": inverse_trigonometry.arcsin, "arccos": inverse_trigonometry.arccos,
    "arctan": inverse_trigonometry.arctan, "arctan2": inverse_trigonometry.arctan2,
    "cbrt": roots.cbrt, "erfc": error_functions.erfc, "erfinv": error_functions.erfinv,
    "lgamma": gamma.lgamma, "digamma": gamma.digamma, "remainder": remainders.remainder,
}  # fmt: skip

# What formulas call for few lanes: functions of their own.
LONG_FORMULAS: Mapping[str, Callable[[Number], Number]] = {
    "remainder_0": lambda x: payne_hanek.remainder_of_large(x, 0),
    "remainder_1": lambda x: payne_hanek.remainder_of_large(x, 1),
    "lgamma_of_negative": negative_gamma.lgamma_of_negative,
    "digamma_of_negative": negative_gamma.digamma_of_negative,
}
