"""Programs on the emulated device."""

from fnad import make_jaxpr
from fnad.lowering.cuda.target import CARD
from fnad.lowering.parts import in_parts
from fnad.lowering.planning import plan_jaxpr
from fnad.lowering.simplify import simplify
from tests.lowering.cuda.running import run_plan


def plan_program(fn, *args):
    """The plan of a function for the device."""
    return _plan(make_jaxpr(fn)(*args).jaxpr)


def run_program(fn, *args, seed=0, races=False):
    """The results of a function on the emulated device, and what was launched."""
    closed = make_jaxpr(fn)(*args)
    return run_plan(_plan(closed.jaxpr), [*closed.consts, *args], seed, races)


def _plan(jaxpr):
    return plan_jaxpr(simplify(in_parts(jaxpr)), target=CARD)
