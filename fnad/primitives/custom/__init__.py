"""Rules by the user: ``custom_jvp``, ``custom_vjp`` and ``custom_vmap``.

A call traces the function, and its rule, to programs; what they close over becomes operands.
While a rule itself is being traced, the rules of custom functions called in it (often the
same function again) wait until they are needed, for otherwise tracing would never end.
"""

from __future__ import annotations

from fnad.primitives.custom.jvp import custom_jvp, custom_jvp_call_p
from fnad.primitives.custom.rules import SymbolicZero
from fnad.primitives.custom.vjp import custom_lin_p, custom_vjp, custom_vjp_call_p
from fnad.primitives.custom.vjp_rules import CustomVJPPrimal
from fnad.primitives.custom.vmap import custom_vmap, custom_vmap_call_p

__all__ = [
    "custom_jvp",
    "custom_vjp",
    "custom_vmap",
    "SymbolicZero",
    "CustomVJPPrimal",
    "custom_jvp_call_p",
    "custom_vjp_call_p",
    "custom_vmap_call_p",
    "custom_lin_p",
]
