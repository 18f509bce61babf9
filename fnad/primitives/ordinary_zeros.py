"""``ordinary_zeros``: an identity behind which the zeros that a select left are ordinary.

To follow the lanes of a select back through products costs something (`strong_products`). An
activation such as relu is a select between a product and the next in each layer, whose lanes it
tells by their values: where these come of an infinity, little is finite. So it does without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnad.core import tree
from fnad.core.primitive import Linear, Primitive
from fnad.core.rewrites import BatchAxis
from fnad.core.types import ShapedArray
from fnad.primitives.dependencies import moves
from fnad.primitives.strong_zeros import StrongZeros

ordinary_zeros_p = Primitive(
    "ordinary_zeros",
    "The operand itself, of which a select chooses: a cotangent's zeros that come from this select"
    " are ordinary behind it. Those of selects before it stay strong.",
)


@ordinary_zeros_p.type_rule
def _(x: ShapedArray) -> ShapedArray:
    return x


@ordinary_zeros_p.evaluate
def _(x: Any) -> Any:
    return x


@ordinary_zeros_p.lower_as
def _(x: Any) -> Any:
    return x


@ordinary_zeros_p.transpose
def _(ct: Any, x: Linear) -> list[Any]:
    return [ct]


@ordinary_zeros_p.strong_transpose
def _(ct: Any, x: Linear) -> list[Any]:
    if type(ct) is not StrongZeros or ct.live.side is None:
        return [ct]
    before = ct.live.side[2]
    return [ct.settled() if before is None else StrongZeros(ct.settled(), before)]


@ordinary_zeros_p.batch
def _(args: Sequence[Any], batched: Sequence[bool], axis: BatchAxis) -> tuple[Any, bool]:
    return ordinary_zeros_p.bind(*args), batched[0]


ordinary_zeros_p.linear()
moves(ordinary_zeros_p)


def ordinary_zeros(x: Any) -> Any:
    """The operand itself, behind which gradients do not follow what the next ``where`` leaves out.

    A lane that ``where`` does not take contributes nothing to a gradient, whatever infinities lie
    behind it; behind products that is compiled into checks of what is multiplied. Activations that
    choose by the values themselves, such as relu, go without them. What another ``where``, in front
    of them, leaves out is followed still.

    Parameters
    ----------
    x : pytree of arrays
        What is chosen from.

    Returns
    -------
    pytree of arrays
        It.

    Examples
    --------
    >>> import fnad.numpy as fnp
    >>> clipped = lambda x: fnp.where(x > 1, 1.0, ordinary_zeros(x))
    >>> float(clipped(0.5))
    0.5
    """
    return tree.map(ordinary_zeros_p.bind, x)
