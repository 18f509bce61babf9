"""What a checker knows of the functions that have NumPy's methods of ufuncs."""

from __future__ import annotations

from typing import Any, Protocol

from fnad.numpy.operands import Array


class UnaryUfunc(Protocol):
    """A function of one array, by elements."""

    nin: int
    nout: int
    nargs: int
    identity: Any

    def __call__(self, x: Any, /) -> Array: ...

    def at(self, a: Any, indices: Any, /, *, inplace: bool = False) -> Array: ...


class BinaryUfunc(Protocol):
    """A function of two arrays, by elements; for its methods see `ufunc_methods`."""

    nin: int
    nout: int
    nargs: int
    identity: Any

    def __call__(self, x1: Any, x2: Any, /) -> Array: ...

    def reduce(
        self,
        a: Any,
        axis: int | tuple[int, ...] | None = 0,
        dtype: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Array: ...

    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Array: ...

    def reduceat(
        self, a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None
    ) -> Array: ...

    def outer(self, a: Any, b: Any, /) -> Array: ...

    def at(self, a: Any, indices: Any, b: Any, /, *, inplace: bool = False) -> Array: ...
