"""Where an array lies when a program is compiled: ``lay_out``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnad.core.primitive import Primitive, remember
from fnad.core.rewrites import BatchAxis
from fnad.core.types import ShapedArray
from fnad.primitives.dependencies import moves
from fnad.primitives.strong_moves import moves_elements

lay_out_p = Primitive(
    "lay_out",
    "``x`` itself, of any dtype. Compiled, it is stored in C order, and not read through what it"
    " was made by.",
)


@lay_out_p.type_rule
@remember
def _(x: ShapedArray) -> ShapedArray:
    return x.strong()


@lay_out_p.evaluate
def _(x: Any) -> Any:
    return x


lay_out_p.linear()
moves_elements(lay_out_p, kept=lambda x: [range(x.aval.ndim)])
moves(lay_out_p)


@lay_out_p.transpose
def _(ct: Any, x: Any) -> list[Any]:
    return [ct]


@lay_out_p.batch
def _(args: Sequence[Any], batched: Sequence[bool], axis: BatchAxis) -> tuple[Any, bool]:
    return lay_out_p.bind(args[0]), True


lay_out_p.acts_on_parts()


@lay_out_p.lower
def _(p: Any, x: Any) -> Any:
    return p.materialize(x)
