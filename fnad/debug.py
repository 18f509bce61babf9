"""Looking into programs while they run (``fnad.debug``, as ``jax.debug``).

What these functions do is kept in order, also in compiled programs, and happens though nobody needs
a result. What derivatives compute again (`checkpoint`, steps of a `while_loop`) does it once. Under
`vmap`, a branch of `cond` and a step of `while_loop` that any lane takes is shown for all lanes.
Cotangents are seen by a `custom_vjp`; what looks at tangents is not run in reverse mode.

Examples
--------
>>> import fnad, fnad.numpy as fnp
>>> @fnad.jit
... def norm(x):
...     total = fnp.sum(x * x)
...     fnad.debug.print("the sum is {}", total)
...     return fnp.sqrt(total)
>>> y = norm(fnp.array([3.0, 4.0]))
the sum is 25.0
"""

from __future__ import annotations

import builtins
import string
from collections.abc import Callable
from typing import Any

from fnad.primitives.callbacks import debug_callback

__all__ = ["callback", "print"]


def callback(
    callback: Callable[..., Any], *args: Any, ordered: bool = False, **kwargs: Any
) -> None:
    """Call a Python function with the values that arrays have when the program runs.

    Under `vmap` it is called for each lane, in order; under `grad` with the values of the function
    that is differentiated, once. What it raises is raised by the call of the program.

    Parameters
    ----------
    callback : callable
        Takes NumPy arrays in place of ``args`` and ``kwargs``; what it returns is dropped.
    *args, **kwargs : pytrees of arrays
        Its arguments.
    ordered : bool
        Taken for JAX's sake: calls are in order in any case.

    Examples
    --------
    >>> import fnad
    >>> seen = []
    >>> def f(x):
    ...     fnad.debug.callback(seen.append, x)
    ...     return x * x
    >>> slope = fnad.jit(fnad.grad(f))(3.0)
    >>> seen
    [np.float64(3.0)]
    """
    debug_callback(callback, *args, **kwargs)


def print(fmt: str, *args: Any, ordered: bool = False, **kwargs: Any) -> None:
    """Print values when the program runs.

    Parameters
    ----------
    fmt : str
        A format as in ``str.format``: ``"x = {x}, y = {}"``. Text that is no field of it stands
        there when the program is traced, so use fields for what is computed.
    *args, **kwargs : pytrees of arrays
        What the fields show.
    ordered : bool
        Taken for JAX's sake: lines are in order in any case.

    Raises
    ------
    ValueError, IndexError, KeyError
        If the format has fields for which there are no values, or is no format.

    Examples
    --------
    >>> import fnad
    >>> fnad.vmap(lambda x: fnad.debug.print("x = {x:.1f}", x=x))(fnad.numpy.arange(2.0))
    x = 0.0
    x = 1.0
    """
    if not isinstance(fmt, str):
        raise TypeError(
            f"debug.print: the first argument is a format, a string, got {type(fmt).__name__};"
            ' write debug.print("{}", x)'
        )
    _Formatter().vformat(fmt, args, kwargs)

    def show(*args: Any, **kwargs: Any) -> None:
        builtins.print(fmt.format(*args, **kwargs), flush=True)

    debug_callback(show, *args, **kwargs)


class _Formatter(string.Formatter):
    """Finds the values of all fields, and that each value has a field, without showing them."""

    def format_field(self, value: Any, format_spec: str) -> str:
        return ""

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return value

    def check_unused_args(self, used_args: Any, args: Any, kwargs: Any) -> None:
        unused = [*set(range(len(args))) - set(used_args), *kwargs.keys() - set(used_args)]
        if unused:
            raise ValueError(
                f"debug.print: the format has no field for {', '.join(map(repr, unused))}"
            )
