"""What `grad` asks of its arguments and results: scalars, and dtypes that have gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnad.core import tree
from fnad.core.types import ShapedArray, aval_of, kind_of


def check_inputs(
    name: str, positions: list[int], args: Sequence[Any], holomorphic: bool, allow_int: bool
) -> None:
    """Refuse arguments that have no gradient, or, with ``holomorphic``, no complex derivative."""
    for i, arg in zip(positions, args):
        for path, leaf in tree.flatten_with_path(arg)[0]:
            kind = kind_of(aval_of(leaf).dtype)
            where = f"argument {i}{tree.keystr(path)}"
            if holomorphic and kind != "c":
                raise TypeError(
                    f"grad of {name}: holomorphic=True needs complex inputs, {where} is"
                    f" {aval_of(leaf)}"
                )
            if kind == "c" and not holomorphic:
                continue
            if kind not in "fc" and not allow_int:
                raise TypeError(
                    f"grad of {name} needs floating inputs, but {where} has type"
                    f" {aval_of(leaf)}. Pass floats (e.g. 3.0 or x.astype(float)), name another"
                    " argument in argnums, or pass allow_int=True."
                )


def check_output(name: str, out: Any, out_avals: list[ShapedArray], holomorphic: bool) -> Any:
    """Check that the result is a scalar and return the cotangent 1 of its type."""
    structure = tree.structure(out)
    if structure != tree.structure(0):
        raise TypeError(
            f"grad of {name} needs a function with one scalar result, got the pytree"
            f" {structure}; pass has_aux=True if it returns (loss, aux)"
        )
    aval = out_avals[0]
    if aval.shape != ():
        raise TypeError(
            f"grad of {name} needs a scalar result, got {aval}. Reduce it (e.g. with .sum() or"
            " .mean()), or use vjp, jacrev or vmap(grad(...))."
        )
    kind = kind_of(aval.dtype)
    if kind != ("c" if holomorphic else "f"):
        need = "complex" if holomorphic else "real floating"
        raise TypeError(
            f"grad of {name} needs a {need} scalar result"
            f"{' with holomorphic=True' if holomorphic else ''}, got {aval}{_other_way(kind)}"
        )
    return aval.dtype.type(1)


def _other_way(kind: str) -> str:
    """What to do about a result of another kind than grad takes."""
    if kind != "c":
        return ""
    return (
        ". If the function is holomorphic, pass holomorphic=True and complex arguments; else take"
        " vjp, or the gradients of its real and imaginary parts"
    )
