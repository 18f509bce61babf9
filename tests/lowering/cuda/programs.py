"""Programs on the emulated device."""

from fnad import make_jaxpr
from fnad.lowering.cuda.target import CARD
from fnad.lowering.planning import plan_jaxpr
from fnad.lowering.simplify import simplify
from tests.lowering.cuda.running import run_plan


def plan_program(fn, *args):
    """The plan of a function for the device."""
    return plan_jaxpr(simplify(make_jaxpr(fn)(*args).jaxpr), target=CARD)


def run_program(fn, *args, seed=0, races=False):
    """The results of a function on the emulated device, and what was launched."""
    closed = make_jaxpr(fn)(*args)
    plan = plan_jaxpr(simplify(closed.jaxpr), target=CARD)
    return run_plan(plan, [*closed.consts, *args], seed, races)
