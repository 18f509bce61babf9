"""What the rules of sub-program primitives (scan, cond, jit ...) may ask of the transforms.

The transforms stand to the right of the primitives, so the primitives cannot import them.
`fnad.transforms` installs its functions here once; every one maps Jaxpr to Jaxpr and is
memoised on its first argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fnad.core.ir import Jaxpr
from fnad.core.primitive import Primitive


@dataclass(frozen=True, slots=True)
class BatchAxis:
    """The axis that vmap adds: its length, and its name if collectives may reduce over it."""

    size: int
    name: Any = None


Mask = tuple[bool, ...]

# For each of some arrays the axes that a mask of lanes has of it; None where there is no mask.
MaskAxes = tuple[tuple[int, ...] | None, ...]


class Rewrites(Protocol):
    """The transforms of programs. All masks are tuples of bool, one an input or output."""

    def jvp(self, jaxpr: Jaxpr, nonzero: Mask, instantiate: Mask) -> tuple[Jaxpr, Mask]:
        """Forward mode.

        The result maps (all primal inputs, tangents of the inputs marked ``nonzero``) to
        (all primal outputs, tangents of the outputs marked in the returned mask). Outputs
        marked in ``instantiate`` get a tangent even if it is zero.
        """

    def jet(self, jaxpr: Jaxpr, order: int, nonzero: Mask, instantiate: Mask) -> tuple[Jaxpr, Mask]:
        """Taylor mode.

        The result maps (all primal inputs, the coefficients of the orders from 1 to ``order`` of
        each of the inputs marked ``nonzero``) to (all primal outputs, the coefficients of each of
        the outputs marked in the returned mask). Those marked in ``instantiate`` always have some.
        """

    def partial_eval(
        self, jaxpr: Jaxpr, unknown: Mask, instantiate: Mask
    ) -> tuple[Jaxpr, Jaxpr, Mask, int]:
        """Split a program by what is known of its inputs.

        Returns ``known, staged, unknown_out, num_residuals``. ``known`` maps the known inputs
        to (the known outputs, residuals); ``staged`` maps (residuals, unknown inputs) to the
        unknown outputs. Outputs marked in ``instantiate`` are made unknown.
        """

    def transpose(
        self, jaxpr: Jaxpr, linear: Mask, nonzero: Mask, instantiate: Mask
    ) -> tuple[Jaxpr, Mask]:
        """Transpose a program in its inputs marked ``linear``.

        The result maps (the other inputs, cotangents of the outputs marked ``nonzero``) to the
        cotangents of those linear inputs that are marked in the returned mask (one entry a
        linear input); linear inputs marked in ``instantiate`` always have one.
        """

    def strong_transpose(
        self,
        jaxpr: Jaxpr,
        linear: Mask,
        nonzero: Mask,
        lives: MaskAxes,
    ) -> tuple[Jaxpr, Mask, MaskAxes]:
        """Transpose a program whose cotangents may hold strong zeros.

        ``lives`` has an entry an output: the axes along which a mask tells which lanes may differ
        from zero, or None. The result takes these masks as its last inputs; after the cotangents
        it returns masks of the linear inputs, for which the last returned tuple says the same.
        """

    def batch(
        self, jaxpr: Jaxpr, axis: BatchAxis, batched: Mask, instantiate: Mask
    ) -> tuple[Jaxpr, Mask]:
        """Add a leading axis to the inputs marked ``batched``.

        Returns the program and the mask of outputs that have the axis (as axis 0); outputs
        marked in ``instantiate`` are broadcast so that they have it.
        """

    def dce(self, jaxpr: Jaxpr, used: Mask) -> tuple[Jaxpr, Mask]:
        """Keep the outputs marked ``used`` and what they need; returns the mask of kept inputs."""

    def in_parts(self, jaxpr: Jaxpr) -> Jaxpr:
        """The program in real numbers: two inputs or outputs in the place of each complex one.

        They are its real part and its imaginary part. A program of real numbers is its own.
        """

    def compile(self, jaxpr: Jaxpr) -> Callable[[Sequence[Any]], list[Any]]:
        """Compile a program for the CPU; the result takes and returns lists of arrays."""

    def evaluate_on_device(
        self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]
    ) -> list[Any]:
        """Apply a primitive to arrays some of which lie on a card; so do the results."""


rewrites: Rewrites


def install_rewrites(implementation: Rewrites) -> None:
    """Set the transforms; called once by `fnad.transforms`."""
    global rewrites
    rewrites = implementation


def get_rewrites() -> Rewrites:
    """The installed transforms."""
    return rewrites
