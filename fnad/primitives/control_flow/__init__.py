"""Loops and branches on values that are known only when the program runs."""

from __future__ import annotations

from fnad.primitives.control_flow.branches import cond, switch
from fnad.primitives.control_flow.cond import cond_p
from fnad.primitives.control_flow.invariant import expand_while
from fnad.primitives.control_flow.loops import fori_loop, map
from fnad.primitives.control_flow.platforms import platform_dependent, platform_index_p
from fnad.primitives.control_flow.scan import scan, scan_p
from fnad.primitives.control_flow.scan_fission import fission
from fnad.primitives.control_flow.while_loop import while_loop, while_p

__all__ = [
    "scan",
    "while_loop",
    "fori_loop",
    "map",
    "cond",
    "switch",
    "platform_dependent",
    "platform_index_p",
    "scan_p",
    "while_p",
    "cond_p",
    "expand_while",
    "fission",
]
