"""What a user may build on to extend fnad: everything here is public and stays.

A new primitive is one block of code (``docs/new_primitive.md`` shows one in full)::

    from fnad.extend import elementwise
    from fnad.testing import Sample, check_primitive

    cube_p = elementwise(
        "cube", "x * x * x",
        scalar=lambda b, x: x * x * x,
        derivatives=[lambda t, ans, x: t * 3.0 * x * x],
        kinds="fc",
    )
    check_primitive(cube_p, [Sample((np.linspace(-1, 1, 5),))])

``Primitive`` is the general form, with one decorator a rule; `fnad.core.primitive` documents
their signatures. ``get_rewrites`` serves primitives that hold programs, such as loops.
"""

from fnad.core.ir import ClosedJaxpr, Equation, Jaxpr, Literal, Var, check_jaxpr
from fnad.core.primitive import Linear, Parts, Primitive, Zero, instantiate
from fnad.core.remade import picklable
from fnad.core.rewrites import BatchAxis, get_rewrites
from fnad.core.types import ShapedArray, aval_of, is_differentiable
from fnad.primitives.elementwise import elementwise

__all__ = [
    "elementwise",
    "Primitive",
    "Parts",
    "ShapedArray",
    "aval_of",
    "is_differentiable",
    "Zero",
    "Linear",
    "instantiate",
    "BatchAxis",
    "get_rewrites",
    "picklable",
    "Jaxpr",
    "ClosedJaxpr",
    "Equation",
    "Var",
    "Literal",
    "check_jaxpr",
]
