"""Abstract values: what is known of an array before it exists (shape, dtype, weak type)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from fnad.core.foreign import is_foreign_array
from fnad.core.sizes import Size, as_size

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_FLOAT32 = np.dtype(np.float32)
_SHORT_KIND = {"b": "bool", "i": "i", "u": "u", "f": "f", "c": "c"}


def short_dtype(dtype: np.dtype[Any]) -> str:
    """Name a dtype the way jaxprs print it: ``f32``, ``i64``, ``bool``."""
    if dtype.kind == "b":
        return "bool"
    if dtype.kind in _SHORT_KIND:
        return f"{_SHORT_KIND[dtype.kind]}{dtype.itemsize * 8}"
    return "bf16" if dtype == BFLOAT16 else dtype.name


def kind_of(dtype: np.dtype[Any]) -> str:
    """``dtype.kind``, but "f" for bfloat16, too: NumPy does not know it to be floating.

    Examples
    --------
    >>> kind_of(BFLOAT16), kind_of(np.dtype(np.int32))
    ('f', 'i')
    """
    kind = dtype.kind
    return "f" if kind == "V" and dtype == BFLOAT16 else kind


def is_half(dtype: np.dtype[Any]) -> bool:
    """Whether numbers of this dtype, float16 or bfloat16, are computed with in float32."""
    return dtype.itemsize == 2 and kind_of(dtype) == "f"


def lowest(dtype: np.dtype[Any]) -> Any:
    """What the maximum of no numbers is.

    Examples
    --------
    >>> lowest(np.dtype(np.int8)), lowest(BFLOAT16)
    (-128, -inf)
    """
    if dtype.kind == "c":
        return complex(-np.inf, -np.inf)
    if kind_of(dtype) == "f":
        return -np.inf
    return False if dtype.kind == "b" else int(np.iinfo(dtype).min)


def highest(dtype: np.dtype[Any]) -> Any:
    """What the minimum of no numbers is.

    Examples
    --------
    >>> highest(np.dtype(np.int8)), highest(BFLOAT16)
    (127, inf)
    """
    if dtype.kind == "c":
        return complex(np.inf, np.inf)
    if kind_of(dtype) == "f":
        return np.inf
    return True if dtype.kind == "b" else int(np.iinfo(dtype).max)


def computing_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which numbers of this one are computed: float32 for those of 16 bits.

    Examples
    --------
    >>> computing_dtype(BFLOAT16), computing_dtype(np.dtype(np.float64))
    (dtype('float32'), dtype('float64'))
    """
    return _FLOAT32 if is_half(dtype) else dtype


class ShapedArray:
    """The type of a traced array; never changed once it is made.

    ``weak_type`` marks values that came from Python scalars: they take the dtype of the
    arrays that they meet, as Python scalars do under NumPy 2's promotion (NEP 50).

    Equal types are mostly one object (hash consing), for they are compared and looked up all
    the time.
    """

    __slots__ = ("_hash", "dtype", "shape", "weak_type")

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    weak_type: bool
    _hash: int

    def __new__(
        cls, shape: tuple[int, ...], dtype: np.dtype[Any], weak_type: bool = False
    ) -> ShapedArray:
        found = _made.get((shape, dtype, weak_type))
        if found is not None:
            return found
        self = object.__new__(cls)
        self.shape, self.dtype, self.weak_type = key = (
            tuple(map(as_size, shape)),
            np.dtype(dtype),
            bool(weak_type),
        )
        self._hash = hash(key)
        if self.size * self.dtype.itemsize > _MOST_BYTES and TAPE not in self.shape:
            raise ValueError(
                f"an array of shape {self.shape} and dtype {self.dtype} would take"
                f" {self.size * self.dtype.itemsize} bytes, more than there are addresses for"
                " (2**63); is there an axis too many in what broadcasts?"
            )
        if len(_made) >= _MOST_MADE:
            _made.clear()
        return _made.setdefault(key, self)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            type(other) is ShapedArray
            and self.shape == other.shape
            and self.dtype == other.dtype
            and self.weak_type == other.weak_type
        )

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return ShapedArray, (self.shape, self.dtype, self.weak_type)

    def __repr__(self) -> str:
        return f"ShapedArray({self.shape}, {self.dtype!r}, weak_type={self.weak_type})"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def update(
        self,
        shape: tuple[int, ...] | None = None,
        dtype: Any = None,
        weak_type: bool | None = None,
    ) -> ShapedArray:
        """Return a copy with some fields replaced."""
        return ShapedArray(
            self.shape if shape is None else tuple(shape),
            self.dtype if dtype is None else np.dtype(dtype),
            self.weak_type if weak_type is None else weak_type,
        )

    def strong(self) -> ShapedArray:
        """Return the same type without weakness."""
        return ShapedArray(self.shape, self.dtype) if self.weak_type else self

    def __str__(self) -> str:
        star = "*" if self.weak_type else ""
        return f"{short_dtype(self.dtype)}{star}[{','.join(map(str, self.shape))}]"


# Which types there are; emptied when they are too many.
_made: dict[Any, ShapedArray] = {}
# Those of NumPy's arrays, by shape and dtype, once it was checked that they can be traced.
_of_arrays: dict[Any, ShapedArray] = {}
_MOST_MADE = 1 << 16
_MOST_BYTES = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class ShapeDtypeStruct:
    """Shape and dtype of an array that need not exist, as taken and given by ``eval_shape``.

    Examples
    --------
    >>> import numpy as np
    >>> ShapeDtypeStruct((2, 3), np.float32)
    ShapeDtypeStruct(shape=(2, 3), dtype=float32)
    """

    shape: tuple[int, ...]
    dtype: Any
    weak_type: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "dtype", np.dtype(self.dtype))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __repr__(self) -> str:
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name})"


_PYTHON_SCALARS: dict[type, ShapedArray] = {
    bool: ShapedArray((), np.dtype(np.bool_)),
    int: ShapedArray((), np.dtype(np.int64), True),
    float: ShapedArray((), np.dtype(np.float64), True),
    complex: ShapedArray((), np.dtype(np.complex128), True),
}

SUPPORTED_KINDS = "biufc"
# The characters of the dtypes that fnad holds.
HELD = "?bhilqBHILQefdFD"
# C has more integer types than sizes: NumPy's dtypes of `long long` and of the `long` of its size
# are equal, but two objects, which print apart. One of them stands for both.
_ONE_OF_EQUAL = {char: np.dtype(np.dtype(char).name) for char in HELD}
_SCALARS = _PYTHON_SCALARS | {
    np.dtype(char).type: ShapedArray((), dtype) for char, dtype in _ONE_OF_EQUAL.items()
}
_SCALARS[BFLOAT16.type] = ShapedArray((), BFLOAT16)

# The length of an axis along a tape, which has as many rows as the loop that writes it makes steps:
# that is found when it runs (`fnad.primitives.control_flow.counted_scan`).
TAPE = 1 << 36

# The dtype of tangents and cotangents of integers and booleans: it holds nothing (as in JAX).
float0 = np.dtype([("float0", np.void, 0)])


def is_device_array(value: Any) -> bool:
    """Whether ``value`` is an array of CuPy: its elements lie on a card."""
    kind = type(value)
    if kind is np.ndarray or kind in _SCALARS:  # as good as always
        return False
    return kind.__module__ == "cupy" and hasattr(kind, "__cuda_array_interface__")


def is_array_like(value: Any) -> bool:
    """Whether ``value`` is something fnad treats as an array: an array, a scalar, a tracer."""
    return (
        type(value) in _PYTHON_SCALARS
        or isinstance(value, (np.ndarray, np.generic))
        or (hasattr(value, "aval"))
        or is_device_array(value)
        or isinstance(value, Size)
    )


def aval_of(value: Any) -> ShapedArray:
    """Return the abstract value of an array, a scalar, a tracer or a ``ShapeDtypeStruct``.

    Raises
    ------
    TypeError
        If ``value`` is none of these, or an array whose dtype fnad cannot hold (object, string).
    """
    kind = type(value)
    if kind is np.ndarray:  # as good as always
        known = _of_arrays.get((value.shape, value.dtype))
        if known is not None:
            return known
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        return scalar
    aval = getattr(value, "aval", None)
    if type(aval) is ShapedArray:
        return aval
    if isinstance(value, (np.ndarray, np.generic)) or is_device_array(value):
        if kind_of(value.dtype) not in SUPPORTED_KINDS or (
            value.dtype.itemsize == 16 and (value.dtype.kind == "f")
        ):
            raise TypeError(
                f"arrays of dtype {value.dtype} cannot be traced: fnad works on bool, integer,"
                " floating and complex arrays. Convert it first, or keep it out of the traced"
                " arguments (static_argnums)."
            )
        check_unmasked(value)
        aval = ShapedArray(value.shape, _ONE_OF_EQUAL.get(value.dtype.char, value.dtype))
        if len(_of_arrays) >= _MOST_MADE:
            _of_arrays.clear()
        return _of_arrays.setdefault((value.shape, value.dtype), aval)
    if isinstance(value, ShapeDtypeStruct):
        return ShapedArray(value.shape, value.dtype, value.weak_type)
    if is_foreign_array(value):
        raise TypeError(
            f"an argument is a {type(value).__name__}, an array of another library: pass"
            " fnp.asarray(x), a NumPy array that shares its memory."
        )
    raise TypeError(
        f"{value!r} of type {type(value).__name__} is not an array: fnad takes NumPy arrays (on a"
        " card, CuPy's), Python and NumPy scalars, and pytrees (dicts, lists, tuples, ...) of them."
    )


def check_unmasked(array: Any) -> None:
    """Refuse NumPy's masked arrays: no program would look at their masks."""
    if type(array) is not np.ndarray and isinstance(array, np.ma.MaskedArray):
        raise TypeError(
            "fnad does not take masked arrays, whose masks it would not see: pass array.filled(...)"
            " or array.compressed(), or array.data and array.mask as two arrays."
        )


def native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an array in the machine's byte order: itself, or a copy where it is not."""
    check_unmasked(array)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def is_differentiable(aval: ShapedArray) -> bool:
    """Whether values of this type have tangents."""
    return kind_of(aval.dtype) in "fc"


def check_same_shape(name: str, avals: Sequence[ShapedArray]) -> tuple[int, ...]:
    """Return the one shape of all non-scalar ``avals``; scalars (rank 0) go with any shape."""
    shapes = {a.shape for a in avals if a.shape}
    if len(shapes) > 1:
        raise TypeError(
            f"{name}: operands must have equal shapes (or be scalars), got "
            + ", ".join(str(a) for a in avals)
        )
    return shapes.pop() if shapes else ()
