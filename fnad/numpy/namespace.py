"""What the namespace says of itself: versions, capabilities, dtypes and devices.

The inspection interface of the Python array API standard, 2025.12
(https://data-apis.org/array-api/latest/API_specification/inspection.html).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fnad.core.errors import BackendError
from fnad.lowering import current_device
from fnad.numpy.devices import CARD, CPU
from fnad.numpy.dtype_info import isdtype

API_VERSION = "2025.12"

_DTYPES = tuple(
    np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float32", "float64", "complex64", "complex128"),
    )
)


class NamespaceInfo:
    """What `fnad.numpy` can do, as the standard asks for it.

    Examples
    --------
    >>> NamespaceInfo().capabilities()["boolean indexing"]
    True
    """

    __module__ = "fnad.numpy"

    def capabilities(self) -> dict[str, Any]:
        """What depends on values: outside of `jit` boolean masks index, and `unique` works.

        Under `jit` shapes are fixed: functions whose results depend on values take ``size=``
        there, and say so where it is missing. Arrays outside of it are NumPy's, of 64 axes at most.
        """
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Where arrays are made unless asked for otherwise.

        Examples
        --------
        >>> NamespaceInfo().default_device()
        'cpu'
        """
        return CPU

    def devices(self) -> tuple[str, ...]:
        """The devices that there are: the host, and a card if CuPy finds one."""
        return (CPU, CARD) if _has_card() else (CPU,)

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype[Any]]:
        """The dtypes of Python's numbers, and of indices: the same on all devices.

        Examples
        --------
        >>> NamespaceInfo().default_dtypes()["real floating"]
        dtype('float64')
        """
        return {
            "real floating": np.dtype(np.float64),
            "complex floating": np.dtype(np.complex128),
            "integral": np.dtype(np.int64),
            "indexing": np.dtype(np.int64),
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, np.dtype[Any]]:
        """The dtypes of the standard, by name, of one kind or several (see `isdtype`).

        float16 and bfloat16, which the standard does not have, are not among them.

        Examples
        --------
        >>> NamespaceInfo().dtypes(kind="complex floating")
        {'complex64': dtype('complex64'), 'complex128': dtype('complex128')}
        """
        if isinstance(kind, tuple) and not kind:
            return {}
        return {d.name: d for d in _DTYPES if kind is None or isdtype(d, kind)}


def _has_card() -> bool:
    try:
        current_device()
    except BackendError:
        return False
    return True


def array_namespace_info() -> NamespaceInfo:
    """What the namespace can do: capabilities, dtypes, devices.

    Examples
    --------
    >>> array_namespace_info().default_device()
    'cpu'
    """
    return NamespaceInfo()
