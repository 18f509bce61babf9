"""Derivative rules by the user: ``custom_jvp`` and ``custom_vjp``.

A call traces the function, and its rule, to programs; what they close over becomes operands.
While a rule itself is being traced, the rules of custom functions called in it (often the
same function again) wait until they are needed, for otherwise tracing would never end.
"""

from __future__ import annotations

from fnad.primitives.custom.jvp import custom_jvp, custom_jvp_call_p
from fnad.primitives.custom.rules import SymbolicZero
from fnad.primitives.custom.vjp import custom_lin_p, custom_vjp, custom_vjp_call_p
from fnad.primitives.custom.vjp_rules import CustomVJPPrimal

__all__ = [
    "custom_jvp",
    "custom_vjp",
    "SymbolicZero",
    "CustomVJPPrimal",
    "custom_jvp_call_p",
    "custom_vjp_call_p",
    "custom_lin_p",
]
