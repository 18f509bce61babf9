"""Arrays of other libraries: DLPack, https://dmlc.github.io/dlpack/latest/python_spec.html."""

from __future__ import annotations

from typing import Any

from fnad.core.errors import TracerArrayConversionError
from fnad.core.foreign import of_dlpack
from fnad.core.source import user_line
from fnad.core.tracer import Tracer
from fnad.core.types import is_device_array
from fnad.numpy.creation import asarray
from fnad.numpy.devices import CPU, placed
from fnad.numpy.operands import Array

_CUDA = (2, 13)  # kDLCUDA, kDLCUDAManaged


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An array over the memory of another library's: of PyTorch, JAX, CuPy, pyarrow and so on.

    Parameters
    ----------
    x : array
        With the methods ``__dlpack__`` and ``__dlpack_device__``.
    device : optional
        "cpu", or "cuda" for an array of CuPy; by default it stays where it is.
    copy : bool, optional
        By default memory is copied only where it must be; True always does, False never.

    Returns
    -------
    array
        A NumPy array (read-only if the other library says so), or CuPy's of what lies on a card.
        Traced arrays have no memory yet, and stand for themselves.

    Raises
    ------
    TypeError
        If ``x`` does not export its memory.
    BufferError
        If DLPack or NumPy does not know its dtype.
    ValueError
        If ``copy`` is False, and another device was asked for.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(3)
    >>> y = from_dlpack(x)
    >>> y, np.shares_memory(x, y)
    (array([0, 1, 2]), True)
    """
    if isinstance(x, Tracer):
        return asarray(x, device=device)
    if not hasattr(x, "__dlpack_device__"):
        raise TypeError(
            f"from_dlpack: an object of type {type(x).__name__} does not export its memory (it has"
            " no __dlpack__); use fnp.asarray for numbers, lists and buffers"
        )
    if is_device_array(x) or x.__dlpack_device__()[0] in _CUDA:
        return asarray(_on_card(x), device=device, copy=copy)
    if device in (None, CPU):
        return of_dlpack(x, copy)
    return asarray(of_dlpack(x), device=device, copy=copy)


def _on_card(x: Any) -> Array:
    if is_device_array(x):
        return x
    import cupy

    return cupy.from_dlpack(x)


def _refuse_export(self: Tracer, **options: Any) -> Any:
    raise TracerArrayConversionError(
        f"a traced array ({self.aval}, made at {self.source}) has no memory that another library"
        f" could read while {self.recorder.kind} is being traced.\n  at: {user_line()}\n"
        "  ways out: return the array from the traced function, and export the result."
    )


def _to_device(self: Tracer, device: Any, /, *, stream: Any = None) -> Array:
    """The array itself: where a program runs is decided by the arrays that it is called with."""
    return placed(self, device)


EXPORT: dict[str, Any] = {
    "__dlpack__": _refuse_export,
    "__dlpack_device__": _refuse_export,
    "to_device": _to_device,
    "device": property(lambda self: None, doc="None: what ``device=`` takes as where arrays are."),
}
