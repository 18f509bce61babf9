"""Looking for errors: functions that are not compiled, and the places where NaNs arise."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fnad.core.axes import bound_names
from fnad.core.types import is_device_array, kind_of


class _Blocks(threading.local):
    """How many blocks of either kind a thread is in."""

    def __init__(self) -> None:
        self.uncompiled = 0
        self.looking = 0


_blocks = _Blocks()

# For each block in any thread in which evaluations are looked at, an entry: mostly it is empty.
lookers: list[None] = []


def jit_is_disabled() -> bool:
    """Whether this thread is in a block of `disable_jit` or `debug_nans`."""
    return _blocks.uncompiled > 0


@contextmanager
def disable_jit(disable: bool = True) -> Iterator[None]:
    """Within the block, functions of `jit` run as the plain functions that they are made of.

    So prints, breakpoints and tracebacks are those of Python, and arrays have values. What loops
    and branches on traced values hold (`fnad.lax.scan`, `cond`) is traced as ever.

    Parameters
    ----------
    disable : bool
        Whether to do so; else the block is an ordinary one.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> @fnad.jit
    ... def double(x):
    ...     print("x is", x)
    ...     return 2 * x
    >>> with fnad.disable_jit():
    ...     y = double(np.float64(1.5))
    x is 1.5
    """
    if not disable:
        yield
        return
    # As long as there is a name here, calls of compiled functions ask Python.
    bound_names.append("disable_jit")
    _blocks.uncompiled += 1
    try:
        yield
    finally:
        _blocks.uncompiled -= 1
        bound_names.remove("disable_jit")


@contextmanager
def debug_nans(enable: bool = True) -> Iterator[None]:
    """Within the block, the first operation that makes a NaN of other numbers raises an error.

    Nothing is compiled there; derivatives are looked at as well, and the error names the user's
    line behind them.

    Parameters
    ----------
    enable : bool
        Whether to look for NaNs; else the block is an ordinary one.

    Raises
    ------
    FloatingPointError
        Within the block; it names the operation and its operands.

    Examples
    --------
    >>> import numpy as np, fnad, fnad.numpy as fnp
    >>> with fnad.debug_nans():
    ...     fnad.jit(fnp.sqrt)(np.float64(-1.0))
    Traceback (most recent call last):
        ...
    FloatingPointError: sqrt made a NaN of -1.
    """
    if not enable:
        yield
        return
    lookers.append(None)
    _blocks.looking += 1
    try:
        with disable_jit():
            yield
    finally:
        _blocks.looking -= 1
        lookers.pop()


def look_for_nans(name: str, operands: Sequence[Any], results: Sequence[Any]) -> None:
    """Raise if an operation, in a thread that looks for that, made a NaN of other numbers."""
    if _blocks.looking and any(map(_has_nan, results)) and not any(map(_has_nan, operands)):
        shown = ", ".join(np.array2string(np.asarray(x), threshold=8) for x in operands)
        raise FloatingPointError(f"{name} made a NaN of {shown or 'nothing'}")


def _has_nan(x: Any) -> bool:
    if is_device_array(x):
        return False
    a = np.asarray(x)
    return kind_of(a.dtype) in "fc" and bool((a != a).any())
