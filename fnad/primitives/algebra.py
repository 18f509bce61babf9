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
    if type(atom) is not Literal:
        eqn = definition(atom)
        if eqn is None or eqn.primitive is not broadcast_in_dim_p:
            return None
        atom = eqn.invars[0]
    return atom.val if type(atom) is Literal and not atom.aval.shape else None


def without_neutral(
    eqn: Equation, definition: Definition, neutral: float, positions: Sequence[int] = (0, 1)
) -> Atom | None:
    """The other operand of a binary equation, if that at one of ``positions`` is ``neutral``.

    The sign of a zero matters: ``x + 0.0`` is not ``x`` where ``x`` is -0.0, ``x + -0.0`` is.
    Complex operands are left alone, for their products mix real and imaginary parts.
    """
    if eqn.outvars[0].aval.dtype.kind == "c":
        return None
    for i in positions:
        value = constant_of(eqn.invars[i], definition)
        # Equality leaves few; their bits tell zeros of either sign apart.
        if value is not None and value == neutral and _same_bits(value, neutral):
            return eqn.invars[1 - i]
    return None


def _same_bits(value: np.generic, number: float) -> bool:
    return bool(value.tobytes() == np.asarray(number).astype(value.dtype).tobytes())
