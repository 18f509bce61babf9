"""Rows for ``fnad/primitives/special.py``."""

import scipy.special

from fnad.testing import Sample
from tests.samples.values import as_operand, normal, unary, uniform

X = normal(2, 3)
POSITIVE = uniform(0.3, 4.0, 2, 3)
NEAR = {"rtol": 1e-10, "reason": "both sides are series with errors of their own"}

SAMPLES = {
    "erf": unary(as_operand(scipy.special.erf), X),
    "erfc": unary(as_operand(scipy.special.erfc), X),
    "erf_inv": unary(as_operand(scipy.special.erfinv), uniform(-0.95, 0.95, 2, 3)),
    "erf_inv_giles": unary(as_operand(scipy.special.erfinv), uniform(-0.95, 0.95, 2, 3)),
    "lgamma": unary(as_operand(scipy.special.gammaln), POSITIVE, edges=False, **NEAR, atol=1e-13),
    "digamma": unary(as_operand(scipy.special.psi), POSITIVE, edges=False, **NEAR, atol=1e-13),
    "polygamma": [
        Sample(
            (POSITIVE,),
            {"order": n},
            reference=as_operand(lambda x, n=n: scipy.special.polygamma(n, x)),
            **NEAR,
        )
        for n in (1, 2)
    ],
}
