"""The argument ``device=`` of functions that make arrays."""

from __future__ import annotations

from typing import Any

from fnad.core.tracer import Tracer
from fnad.core.types import is_device_array
from fnad.numpy.operands import Array
from fnad.transforms.placement import device_get, device_put

CPU = "cpu"
CARD = "cuda"


def placed(x: Array, device: Any) -> Array:
    """An array that was just made, on the device that the user asked for.

    Parameters
    ----------
    x : array
        Made on the host, or traced: a traced function runs where the arrays lie that it is called
        with, so there the device is checked, and nothing is moved.
    device : None, "cpu", "cuda" or a device of CuPy
        None leaves the array where it is.

    Raises
    ------
    ValueError
        If ``device`` is none of these.
    """
    if device is None:
        return x
    on_card = device == CARD or type(device).__module__.partition(".")[0] == "cupy"
    if not on_card and device != CPU:
        raise ValueError(
            f"device must be None, {CPU!r} (NumPy's arrays) or {CARD!r} (CuPy's), got {device!r}"
        )
    if isinstance(x, Tracer):
        return x
    if on_card:
        return device_put(x)
    return device_get(x) if is_device_array(x) else x
