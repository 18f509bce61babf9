"""Functions of matrices on the emulated card, which asks the host for LAPACK."""

import numpy as np
import pytest

import fnad
import fnad.numpy as fnp
from fnad import lax
from fnad.lowering.cuda.target import CARD
from fnad.lowering.parts import in_parts
from fnad.lowering.planning import plan_jaxpr
from fnad.lowering.simplify import simplify
from fnad.scipy import linalg
from tests.lowering.cuda.running import needs_emulator, run_plan
from tests.samples.values import normal

PROGRAMS = {
    "det": fnad.grad(fnp.linalg.det),
    "expm": linalg.expm,
    "derivative of expm": fnad.grad(lambda a: fnp.sum(linalg.expm(a) ** 2)),
    "sqrtm": lambda a: fnp.real(linalg.sqrtm(a)),
    "sylvester": lambda a: linalg.solve_sylvester(a, a, a),
    "polar": lambda a: linalg.polar(a)[1],
    "pivots": lambda a: linalg.qr(a, pivoting=True)[1],
    "lu": lambda a: linalg.lu_solve(linalg.lu_factor(a), a[0]),
    "hessenberg": lambda a: linalg.hessenberg(a, calc_q=True)[1],
    "tridiagonal": lambda a: lax.linalg.tridiagonal_solve(*a, a),
    "qdwh": lambda a: lax.linalg.qdwh(a)[1],
    "norm": fnad.grad(lambda a: fnp.linalg.norm(a.astype(np.float32)).astype(np.float64)),
}


@needs_emulator
@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_card_finds_what_the_cpu_finds(name):
    function, a = PROGRAMS[name], normal(3, 3) + 3 * np.eye(3)
    program = fnad.make_jaxpr(function)(a)
    plan = plan_jaxpr(simplify(in_parts(program.jaxpr)), target=CARD)
    (got,), _ = run_plan(plan, [*map(np.asarray, program.consts), a])
    np.testing.assert_allclose(got, function(a), rtol=1e-10, atol=1e-10)
