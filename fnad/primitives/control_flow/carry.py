"""Checking the loop state of scan and while_loop against what the body returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnad.core import tree
from fnad.core.ir import Jaxpr, memoize
from fnad.core.tracer import apply_jaxpr, rewrite
from fnad.core.types import ShapedArray
from fnad.primitives.subprograms import cast, describe_difference, same_type, weakly_fits


def promote_carry(carry: Sequence[ShapedArray], result: Sequence[ShapedArray]) -> list[ShapedArray]:
    """Types for the initial carry: a Python scalar takes the type that the body returns."""
    promoted = []
    for have, out in zip(carry, result, strict=True):
        if (have.weak_type and not out.weak_type and weakly_fits(have, out)) or (
            have.weak_type
            and out.weak_type
            and have.dtype != out.dtype
            and (weakly_fits(have, out))
        ):
            promoted.append(out)
        else:
            promoted.append(have)
    return promoted


@memoize
def cast_outputs(jaxpr: Jaxpr, avals: tuple[ShapedArray, ...]) -> Jaxpr:
    """Give weak leading outputs of a program the types ``avals``, where they fit."""
    pairs = list(zip(jaxpr.out_avals, avals))
    if not any(weakly_fits(out, want) and out != want for out, want in pairs):
        return jaxpr

    def run(*args: Any) -> list[Any]:
        outs = apply_jaxpr(jaxpr, args)
        for i, (out, want) in enumerate(pairs):
            if weakly_fits(out, want):
                outs[i] = cast(outs[i], want)
        return outs

    return rewrite(run, jaxpr.in_avals, "conversion of the carry")


def check_carry(
    what: str, in_tree: Any, carry: Sequence[ShapedArray], out_tree: Any, out: Sequence[ShapedArray]
) -> None:
    """Check that a loop body returns a carry of the type that it takes.

    Raises
    ------
    TypeError
        Showing both and where they differ.
    """
    difference = describe_difference(out_tree, out, in_tree, carry)
    if difference is None:
        return
    raise TypeError(
        f"{what}: the carry that the body returns must have the structure, shapes and dtypes of"
        f" the carry that it takes, but {difference}.\n"
        f"  taken:    {show_types(in_tree, carry)}\n"
        f"  returned: {show_types(out_tree, out)}\n"
        "  Convert the initial value (fnp.asarray(value, dtype)) or the returned one (.astype)."
    )


def show_types(structure: Any, avals: Sequence[ShapedArray]) -> str:
    """Print a pytree with the types of its leaves."""

    class Shown:
        def __init__(self, aval: ShapedArray) -> None:
            self.aval = aval

        def __repr__(self) -> str:
            return str(self.aval)

    return str(tree.unflatten(structure, [Shown(a) for a in avals]))


def settle_carry(
    in_avals: Sequence[ShapedArray], out_tree: Any, in_tree: Any, out_avals: Sequence[ShapedArray]
) -> list[ShapedArray] | None:
    """The promoted carry types if the body must be traced again with them, else None."""
    if out_tree != in_tree:
        return None
    promoted = promote_carry(in_avals, out_avals)
    changed = any(
        not same_type(a, b) or a.weak_type != b.weak_type for a, b in zip(promoted, in_avals)
    )
    return promoted if changed else None
