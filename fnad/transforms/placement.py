"""Where arrays lie: on the host (NumPy) or on a card (CuPy), and how they get there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core import tree
from fnad.core.ir import Jaxpr
from fnad.core.primitive import Primitive
from fnad.core.tracer import Tracer, trace_to_jaxpr
from fnad.core.types import ShapedArray, aval_of, is_device_array
from fnad.lowering import compile_for_device, current_device


def device_put(x: Any) -> Any:
    """Move arrays to the card.

    Parameters
    ----------
    x : pytree of arrays
        NumPy arrays and scalars; arrays that lie on the card already stay as they are.

    Returns
    -------
    pytree of cupy.ndarray
        The same values on CuPy's current device.

    Raises
    ------
    BackendError
        If CuPy or a card is missing; it says which.
    TypeError
        If a leaf is no array, or traced: inside of `jit` everything is on one device.

    See Also
    --------
    device_get : the way back.
    """
    device = current_device()

    def put(value: Any) -> Any:
        _refuse_tracer("device_put", value)
        return device.put(value, aval_of(value).dtype)

    return tree.map(put, x)


def device_get(x: Any) -> Any:
    """Fetch arrays from the card; waits until they are computed.

    Parameters
    ----------
    x : pytree of arrays
        Arrays of CuPy or NumPy.

    Returns
    -------
    pytree of numpy.ndarray
        The same values on the host; those of rank 0 are NumPy scalars. NumPy arrays stay as they
        are.

    Examples
    --------
    >>> import numpy as np, fnad
    >>> fnad.device_get({"w": np.ones(2)})
    {'w': array([1., 1.])}
    """

    def get(value: Any) -> Any:
        _refuse_tracer("device_get", value)
        return value.get()[()] if is_device_array(value) else value

    return tree.map(get, x)


def block_until_ready(x: Any) -> Any:
    """Wait until arrays are computed; those of the host always are.

    Parameters
    ----------
    x : pytree of arrays
        Arrays of CuPy or NumPy.

    Returns
    -------
    pytree
        ``x`` itself.

    Examples
    --------
    >>> block_until_ready(np.ones(2))
    array([1., 1.])
    """
    for leaf in tree.leaves(x):
        if is_device_array(leaf) and leaf.size:
            device = current_device()
            device.fetch(device.address(leaf), 1, leaf.dtype)
    return x


def _refuse_tracer(name: str, value: Any) -> None:
    if isinstance(value, Tracer):
        raise TypeError(
            f"{name} got a traced array: where a traced function runs is decided by the arrays that"
            f" it is called with. Call {name} outside of jit, grad and vmap."
        )


# Programs of one primitive by what it is applied to: eager calls on a card.
_programs: dict[Any, Jaxpr] = {}
_MOST_PROGRAMS = 4096


def evaluate_on_device(
    primitive: Primitive, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """Run a program of one primitive on the card."""
    avals = tuple([aval_of(a) for a in args])
    return compile_for_device(_program(primitive, avals, params))(args)


def _program(primitive: Primitive, avals: tuple[ShapedArray, ...], params: dict[str, Any]) -> Jaxpr:
    key = (primitive, avals, tuple(sorted(params.items())))
    try:
        found = _programs.get(key)
    except TypeError:  # a parameter that cannot be hashed
        return _traced(primitive, avals, params)
    if found is None:
        if len(_programs) >= _MOST_PROGRAMS:
            _programs.clear()
        found = _programs[key] = _traced(primitive, avals, params)
    return found


def _traced(primitive: Primitive, avals: tuple[ShapedArray, ...], params: dict[str, Any]) -> Jaxpr:
    def apply(*args: Any) -> Sequence[Any]:
        outs = primitive.bind(*args, **params)
        return outs if primitive.multiple_results else [outs]

    jaxpr, consts = trace_to_jaxpr(apply, avals, f"evaluation of {primitive.name}")
    assert not consts
    return jaxpr


def put_arrays(values: Sequence[Any]) -> list[Any]:
    """Arrays of the host on the card; scalars and arrays that lie there stay as they are."""
    device = current_device()
    return [
        device.put(value, value.dtype) if isinstance(value, np.ndarray) else value
        for value in values
    ]
