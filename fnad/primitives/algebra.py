"""What the simplify rules of primitives have in common: constants and neutral elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core.ir import Atom, Equation, Literal
from fnad.primitives.shape import broadcast_in_dim_p

Definition = Callable[[Atom], Equation | None]


def constant_of(atom: Atom, definition: Definition) -> Any:
    """The one value that all elements of an operand are known to have, or None."""
    eqn = definition(atom)
    if eqn is not None and eqn.primitive is broadcast_in_dim_p:
        atom = eqn.invars[0]
    return atom.val if isinstance(atom, Literal) and not atom.aval.shape else None


def without_neutral(
    eqn: Equation, definition: Definition, neutral: float, positions: Sequence[int] = (0, 1)
) -> Atom | None:
    """The other operand of a binary equation, if that at one of ``positions`` is ``neutral``.

    The sign of a zero matters: ``x + 0.0`` is not ``x`` where ``x`` is -0.0, ``x + -0.0`` is.
    Complex operands are left alone, for their products mix real and imaginary parts.
    """
    dtype = eqn.outvars[0].aval.dtype
    if dtype.kind == "c":
        return None
    wanted = np.asarray(neutral).astype(dtype)
    for i in positions:
        value = constant_of(eqn.invars[i], definition)
        if value is not None and value.tobytes() == wanted.tobytes():
            return eqn.invars[1 - i]
    return None
