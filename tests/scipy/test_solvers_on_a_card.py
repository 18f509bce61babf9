"""Whole solvers on the emulated card: loops in loops, and what they call."""

import numpy as np
import pytest

import fnad
from fnad.lowering.cuda.target import CARD
from fnad.lowering.planning import plan_jaxpr
from fnad.lowering.simplify import simplify
from fnad.scipy import special
from fnad.scipy.integrate import odeint, solve_ivp
from fnad.scipy.interpolate import CubicSpline, PchipInterpolator
from fnad.scipy.optimize import Bounds, least_squares, minimize, root, root_scalar
from fnad.scipy.sparse.linalg import cg, gmres
from tests.lowering.cuda.running import needs_emulator, run_plan

TIMES = np.array([0.0, 1.0])
KNOTS = np.array([0.0, 0.3, 0.5, 1.1, 1.4])


def turn(y, t):
    return np.stack([y[1], -y[0]])


def bowl(x):
    return np.sum((x - 2) ** 2 + (x - 1) ** 4)


PROGRAMS = {
    "odeint": lambda x: odeint(turn, x, TIMES),
    "solve_ivp": lambda x: solve_ivp(lambda t, y: turn(y, t), (0.0, 1.0), x, max_steps=20).y,
    "adjoint": fnad.grad(lambda x: odeint(turn, x, TIMES, rtol=1e-4)[-1].sum()),
    "BFGS": lambda x: minimize(bowl, x).x,
    "L-BFGS": lambda x: minimize(bowl, x, method="L-BFGS").x,
    "L-BFGS-B": lambda x: minimize(bowl, x, bounds=Bounds(ub=1.2)).x,
    "least_squares": lambda x: least_squares(lambda v: np.concatenate([v**2 - x, v - 1]), x).x,
    "root": lambda x: root(lambda v: v**3 + v - x, x).x,
    "root_scalar": lambda x: root_scalar(lambda v: v**3 + v - x[0], bracket=(0.0, 3.0)).root,
    "CubicSpline": lambda x: CubicSpline(KNOTS, np.sin(KNOTS))(x, 1),
    "PchipInterpolator": lambda x: PchipInterpolator(KNOTS, KNOTS**2 * x[0])(x),
    "cg": lambda x: cg(lambda v: 2 * v + np.flip(v), x)[0],
    "hyp2f1": lambda x: special.hyp2f1(1.0, x, 2.5, -9.0),
    "hyp1f1": lambda x: special.hyp1f1(-2.5, x, 3.0),
    "dawsn": special.dawsn,
    "fresnel": lambda x: special.fresnel(x)[0],
    "comb": lambda x: special.comb(9, x),
    "bessel_jn": lambda x: special.bessel_jn(x, v=3),
    "j1": lambda x: special.j1(9 * x),
    "y0": special.y0,
    "kn": lambda x: special.kn(4, 3 * x),
    "ellipe": lambda x: special.ellipe(0.9 * x),
    "lambertw": lambda x: special.lambertw(-0.3 * x, -1),
    "gmres": lambda x: gmres(lambda v: 2 * v + np.flip(v), x)[0],
}


@needs_emulator
@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_card_finds_what_the_cpu_finds(name):
    function, x = PROGRAMS[name], np.array([1.0, 0.25])
    program = fnad.make_jaxpr(function)(x)
    plan = plan_jaxpr(simplify(program.jaxpr), target=CARD)
    (got,), _ = run_plan(plan, [*map(np.asarray, program.consts), x])
    np.testing.assert_allclose(got, function(x), rtol=1e-10, atol=1e-10)
