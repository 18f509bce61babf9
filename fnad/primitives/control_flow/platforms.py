"""Functions that differ from platform to platform: ``platform_dependent``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.primitive import Primitive
from fnad.core.stack import stack
from fnad.core.types import ShapedArray, is_device_array
from fnad.primitives.control_flow.branches import run_branches

# Those that programs are compiled for, and what else JAX has; nothing runs there.
_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")

platform_index_p = Primitive(
    "platform_index",
    "Which of ``platforms`` the program runs on, an int32; None stands for all others.",
)


@platform_index_p.type_rule
def _(*, platforms: tuple[str | None, ...]) -> ShapedArray:
    return ShapedArray((), np.dtype(np.int32))


@platform_index_p.evaluate
def _(*, platforms: tuple[str | None, ...]) -> Any:
    return np.int32(_index("cpu", platforms))


@platform_index_p.lower
def _(p: Any, *, platforms: tuple[str | None, ...]) -> Any:
    index = _index(p.platform, platforms)
    return p.compute((), np.int32, lambda _: p.b.constant(index, np.dtype(np.int32)))


def _index(platform: str, platforms: Sequence[str | None]) -> int:
    if platform in platforms:
        return platforms.index(platform)
    if None in platforms:
        return platforms.index(None)
    raise ValueError(
        f"platform_dependent: this runs on {platform!r}, for which there is no function; there are"
        f" {', '.join(map(repr, platforms))}. Give one for {platform!r}, or default="
    )


def platform_dependent(
    *args: Any, default: Callable[..., Any] | None = None, **per_platform: Callable[..., Any]
) -> Any:
    """Run one of several functions, chosen by the platform that the program is compiled for.

    Parameters
    ----------
    *args : pytrees of arrays
        The arguments of the functions.
    default : callable, optional
        What runs on all platforms that are not named.
    **per_platform : callable
        Functions by the platforms that they are for: ``cpu`` or ``cuda`` (``rocm`` and ``tpu`` may
        be given, and are never chosen). All return results of equal structure, shapes and dtypes.
        Only the function that runs is compiled.

    Returns
    -------
    pytree of arrays

    Raises
    ------
    ValueError
        If there is no function for the platform, or no such platform.
    TypeError
        If the functions return different types.

    Examples
    --------
    >>> import fnad.numpy as fnp
    >>> from fnad import lax
    >>> lax.platform_dependent(2.0, cpu=fnp.sqrt, default=fnp.exp)
    np.float64(1.4142135623730951)
    """
    for name in per_platform:
        if name not in _PLATFORMS:
            raise ValueError(
                f"platform_dependent: there is no platform {name!r}, only {', '.join(_PLATFORMS)}"
            )
    platforms: tuple[str | None, ...] = tuple(per_platform)
    functions = list(per_platform.values())
    if default is not None:
        platforms, functions = (*platforms, None), [*functions, default]
    for function in functions:
        if not callable(function):
            raise TypeError(f"platform_dependent: {function!r} is no function")
    if not functions:
        raise ValueError("platform_dependent: give a function for some platform, or default=")
    if not stack.traces:
        on_card = any(map(is_device_array, tree.leaves(args)))
        return functions[_index("cuda" if on_card else "cpu", platforms)](*args)
    index = platform_index_p.bind(platforms=platforms)
    return run_branches("platform_dependent", index, functions, args)
