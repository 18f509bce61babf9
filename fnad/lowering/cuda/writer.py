"""Text of CUDA C++: typed values, functions and structured loops.

The source includes no header, so that NVRTC need not find any: `PRELUDE` names the types.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fnad.core.errors import InternalError
from fnad.core.types import BFLOAT16

if TYPE_CHECKING:
    from fnad.lowering.cuda.scalars import ScalarBuilder

DType = np.dtype[Any]

BOOL, INT32, INT64 = (np.dtype(t) for t in (np.bool_, np.int32, np.int64))
FLOAT16, FLOAT32, FLOAT64 = (np.dtype(t) for t in (np.float16, np.float32, np.float64))

PRELUDE = """\
typedef bool b8;
typedef signed char i8;
typedef short i16;
typedef int i32;
typedef long long i64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef float f32;
typedef double f64;
struct f16 { u16 bits; };
struct bf16 { u16 bits; };
"""


@functools.cache
def ctype(dtype: DType) -> str:
    """The C++ type of a value: ``f32``, ``bf16``, ``i64``, ``u8``, ``b8``."""
    if dtype == BFLOAT16:
        return "bf16"
    if dtype.kind in "biuf" and dtype.itemsize <= 8:
        return f"{dtype.kind}{dtype.itemsize * 8}"
    raise InternalError(f"CUDA C++ has no numbers of dtype {dtype}")


def constant_text(value: Any, dtype: DType) -> str:
    """A scalar constant; floats exactly, in hexadecimal."""
    name = ctype(dtype)
    if dtype.kind == "b":
        return "true" if value else "false"
    with np.errstate(all="ignore"):
        scalar = np.asarray(value).astype(dtype)[()]
    if dtype.kind in "iu":
        return _integer_text(int(scalar), dtype)
    if dtype.itemsize == 2:
        return f"{name}{{{int(scalar.view(np.uint16))}}}"
    if not np.isfinite(scalar):
        bits = int(scalar.view(np.uint32 if dtype.itemsize == 4 else np.uint64))
        if dtype.itemsize == 4:
            return f"__uint_as_float({bits:#x}u)"
        return f"__longlong_as_double((i64){bits:#x}ull)"
    text = float(scalar).hex() + ("f" if dtype.itemsize == 4 else "")
    return f"({text})" if text.startswith("-") else text


def _integer_text(value: int, dtype: DType) -> str:
    """An integer of its type; the smallest ones have no literal."""
    if dtype.itemsize < 4:
        return f"(({ctype(dtype)}){value})"
    suffix = {"i4": "", "u4": "u", "i8": "ll", "u8": "ull"}[dtype.str[1:]]
    if value == np.iinfo(dtype).min and value < 0:
        return f"({value + 1}{suffix} - 1)"
    return f"({value}{suffix})" if value < 0 else f"{value}{suffix}"


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A typed scalar in a function: a variable or a constant."""

    ref: str
    dtype: DType


class Function:
    """What is being printed: statements of one ``__global__`` function.

    Attributes
    ----------
    used : dict
        The functions of the library (`fnad.lowering.cuda.library`) that are called, in order.
    lines : list of str
        The statements so far.
    """

    def __init__(self) -> None:
        from fnad.lowering.cuda.scalars import ScalarBuilder  # which needs `Value`

        self.lines: list[str] = []
        self.used: dict[str, None] = {}
        self.b: ScalarBuilder = ScalarBuilder(self)
        self._indent = "  "
        self._count = 0

    def fresh(self, stem: str = "v") -> str:
        """A name that is not in use."""
        self._count += 1
        return f"{stem}{self._count}"

    def line(self, text: str) -> None:
        """Append a statement."""
        self.lines.append(self._indent + text)

    def value(self, text: str, dtype: Any) -> Value:
        """Append a constant of what ``text`` computes."""
        dtype = np.dtype(dtype)
        return self.named(ctype(dtype), text, dtype)

    def named(self, kind: str, text: str, dtype: DType) -> Value:
        """The same with the C++ type given: an int64 may be held in 32 bits."""
        name = self.fresh()
        self.line(f"const {kind} {name} = {text};")
        return Value(name, dtype)

    def variable(self, start: Value) -> Value:
        """Append a variable that may be assigned."""
        name = self.fresh("t")
        self.line(f"{ctype(start.dtype)} {name} = {start.ref};")
        return Value(name, start.dtype)

    def use(self, name: str) -> str:
        """Have the source contain a function of the library; returns its C++ name."""
        self.used[name] = None
        return name

    @contextmanager
    def block(self, head: str = "") -> Iterator[None]:
        """Put what follows into braces behind ``head``: a loop or a condition."""
        self.line(f"{head} {{".lstrip())
        self._indent += "  "
        yield
        self._indent = self._indent[:-2]
        self.line("}")

    def text(self, name: str, parameters: Sequence[str], attributes: str = "") -> str:
        """The whole function."""
        head = f'extern "C" __global__ void {attributes}{name}({", ".join(parameters)}) {{'
        return "\n".join([head, *self.lines, "}", ""])
