"""Plans of programs as the backend gets them."""

from fnad import make_jaxpr
from fnad.lowering.planner import plan_jaxpr
from fnad.lowering.simplify import simplify


def plan_program(fn, *args):
    """The plan of a function for the device."""
    return plan_jaxpr(simplify(make_jaxpr(fn)(*args).jaxpr), group_rows=False)
