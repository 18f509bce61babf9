"""Text of LLVM IR: modules, functions, typed values and structured loops.

The text is written directly because it is what a reader gets to see (``as_text("llvm")``), and
because printing strings costs a fraction of what building objects for each instruction costs.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fnad.core.errors import InternalError
from fnad.core.types import BFLOAT16

if TYPE_CHECKING:
    from fnad.lowering.llvm.scalars import ScalarBuilder

DType = np.dtype[Any]

BOOL, INT32, INT64 = (np.dtype(t) for t in (np.bool_, np.int32, np.int64))
FLOAT16, FLOAT32, FLOAT64 = (np.dtype(t) for t in (np.float16, np.float32, np.float64))

# A function that calls more elementary functions than this does not inline them: their code would
# be compiled as often, and take longer to fetch than a call costs, which is for all lanes.
_INLINED = 24

# How instructions begin that give the same wherever in a block they stand.
_PURE = frozenset([
    "add", "sub", "mul", "sdi", "udi", "sre", "ure", "and", "or ", "xor", "shl", "lsh", "ash",
    "fad", "fsu", "fmu", "fdi", "fre", "fne", "icm", "fcm", "sel", "get", "ins", "ext", "shu",
    "tru", "sex", "zex", "fpt", "fpe", "sit", "uit", "bit",
])  # fmt: skip

_FLOAT_TYPES = {2: "half", 4: "float", 8: "double"}


@functools.cache
def llvm_type(dtype: DType, lanes: int = 1) -> str:
    """The type of a value in a register, a vector if it has several lanes."""
    if lanes > 1:
        return f"<{lanes} x {llvm_type(dtype)}>"
    if dtype.kind == "b":
        return "i1"
    if dtype.kind in "iu":
        return f"i{dtype.itemsize * 8}"
    if dtype.kind == "f" and dtype.itemsize in _FLOAT_TYPES:
        return _FLOAT_TYPES[dtype.itemsize]
    if dtype == BFLOAT16:  # its bits: what IR knows of it few machines have
        return "i16"
    raise InternalError(f"machine code has no numbers of dtype {dtype}")


@functools.cache
def memory_type(dtype: DType, lanes: int = 1) -> str:
    """The type of an element (or of several) in memory; booleans take a byte."""
    if lanes > 1:
        return f"<{lanes} x {memory_type(dtype)}>"
    return "i8" if dtype.kind == "b" else llvm_type(dtype)


@functools.cache
def overload(dtype: DType, lanes: int = 1) -> str:
    """A type as part of an intrinsic's name: ``f32``, ``v16f32``, ``v8i64``."""
    element = f"f{dtype.itemsize * 8}" if dtype.kind == "f" else llvm_type(dtype)
    return f"v{lanes}{element}" if lanes > 1 else element


def suffix(dtype: DType) -> str:
    """A dtype as part of a name: ``f32``, ``bf16``, ``i64``, ``u8``, ``i1``."""
    if dtype.kind == "V":
        return "bf16"
    return "i1" if dtype.kind == "b" else f"{dtype.kind}{dtype.itemsize * 8}"


def dtype_of_suffix(text: str) -> DType:
    """The dtype that has this `suffix`."""
    if text in ("i1", "bf16"):
        return BOOL if text == "i1" else BFLOAT16
    return np.dtype(f"{text[0]}{int(text[1:]) // 8}")


def constant_text(value: Any, dtype: DType) -> str:
    """A scalar constant as IR spells it; floats bit by bit, in hexadecimal."""
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind in "iu":
        if type(value) is int and -128 <= value <= 127:  # and -1 stands for all bits
            return str(value)
        return str(int(np.array(value).astype(dtype)))
    if dtype == FLOAT16:
        return f"0xH{int(np.array(value, dtype).view(np.uint16)):04X}"
    if dtype == BFLOAT16:
        return str(int(np.array(value).astype(dtype).view(np.uint16)))
    llvm_type(dtype)  # refuses what has none
    with np.errstate(all="ignore"):
        exact = float(np.array(value).astype(dtype))
    return f"0x{struct.unpack('<Q', struct.pack('<d', exact))[0]:016X}"


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A typed value in a function, of one lane or a vector: a register or a constant."""

    ref: str
    dtype: DType
    lanes: int = 1

    @property
    def type(self) -> str:
        return llvm_type(self.dtype, self.lanes)

    @property
    def typed(self) -> str:
        return f"{self.type} {self.ref}"


class Module:
    """A module under construction: declarations and functions, each written once.

    Parameters
    ----------
    commented : bool
        Whether someone will read the text: comments name the user's lines.

    Attributes
    ----------
    size : int
        Characters of its functions.
    """

    def __init__(self, commented: bool = True) -> None:
        self.commented = commented
        self.size = 0
        self._parts: dict[str, str] = {}

    def declare(self, name: str, declaration: str) -> None:
        """Add a declaration (or a global) unless it is there."""
        self._parts.setdefault(name, declaration)

    def add(self, function: Function) -> None:
        text = self._parts[function.name] = function.text()
        self.size += len(text)

    def require(self, name: str, define: Callable[[Module], None]) -> None:
        """Make sure that the function ``name`` is defined; ``define`` adds it if it is not."""
        if name not in self._parts:
            self._parts[name] = ""  # also keeps mutually dependent definitions finite
            define(self)

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def parts(self) -> dict[str, str]:
        """Declarations and functions by name."""
        return self._parts

    def text(self) -> str:
        return "\n\n".join(part for part in self._parts.values() if part) + "\n"


class Function:
    """A function under construction, written instruction by instruction.

    Parameters
    ----------
    module : Module
        Where helper functions and declarations go.
    name : str
        The symbol, without ``@``.
    parameters : sequence of str
        Parameters with types and attributes, ``"ptr noalias %a"``.
    returns : str
        The return type.
    attributes : str
        Text between the parameter list and the body.
    comment : object
        What stands above the function.
    """

    def __init__(
        self,
        module: Module,
        name: str,
        parameters: Sequence[str],
        returns: str = "void",
        attributes: str = "nounwind",
        linkage: str = "internal ",
        comment: object = "",
    ) -> None:
        from fnad.lowering.llvm.scalars import ScalarBuilder

        self.module = module
        self.name = name
        self.b: ScalarBuilder = ScalarBuilder(self)
        lines = str(comment).splitlines() if module.commented else ()
        self._comment = [f"; {line}" for line in lines]
        self._parameters = ", ".join(parameters)
        self._header = f"define {linkage}{returns} @{name}({self._parameters}) {attributes} {{"
        self._lines: list[str] = ["entry:"]
        self._stack: list[str] = []  # allocas, which belong to the entry block
        self._count = 0
        self._known: dict[str, str] = {}  # what the block has computed, by instruction
        self.block = "entry"

    def text(self) -> str:
        body = [self._lines[0], *self._stack, *self._lines[1:]]
        elementary = [i for i, line in enumerate(body) if " = call " in line and " @fnad." in line]
        if len(elementary) > _INLINED:
            for i in elementary:
                body[i] += " noinline"
        return "\n".join([*self._comment, self._header, *body, "}"])

    def code(self) -> tuple[str, ...]:
        """What the function does: all of its text but its name and the comment above it."""
        return (self._parameters, *self._stack, *self._lines)

    def fresh(self, prefix: str = "v") -> str:
        self._count += 1
        return f"%{prefix}{self._count}"

    def emit(self, instruction: str) -> None:
        self._lines.append("  " + instruction)

    def comment(self, *parts: object) -> None:
        """Emit a comment, whose parts become text only if someone reads it."""
        if not self.module.commented:
            return
        text = ": ".join(map(str, parts))
        for line in text.splitlines():
            self._lines.append(f"  ; {line}")

    def value(self, instruction: str, dtype: DType, lanes: int = 1) -> Value:
        """Emit an instruction that gives a value of ``dtype``."""
        return Value(self.raw(instruction), dtype, lanes)

    def raw(self, instruction: str, prefix: str = "v") -> str:
        """Emit an instruction whose result has no dtype (a pointer, say).

        What a block has computed before is not computed again.
        """
        if instruction[:3] not in _PURE:
            ref = self.fresh(prefix)
            self._lines.append(f"  {ref} = {instruction}")
            return ref
        known = self._known.get(instruction)
        if known is None:
            known = self._known[instruction] = self.fresh(prefix)
            self._lines.append(f"  {known} = {instruction}")
        return known

    # -- memory -----------------------------------------------------------------------------

    def alloca(self, llvm_type_text: str, count: int = 1) -> str:
        """Room on the stack, reserved once however often control passes here."""
        ref = self.fresh("stack")
        self._stack.append(f"  {ref} = alloca {llvm_type_text}, i64 {count}, align 16")
        return ref

    def element(self, pointer: str, dtype: DType, index: Value | int) -> str:
        """The address of an element of an array."""
        if isinstance(index, int):
            index = Value(str(index), INT64)
        if index.ref == "0":
            return pointer
        return self.raw(
            f"getelementptr inbounds {memory_type(dtype)}, ptr {pointer}, {index.typed}", "p"
        )

    def load(self, pointer: str, dtype: DType, lanes: int = 1, mask: Value | None = None) -> Value:
        """Load an element, or ``lanes`` neighbours; where ``mask`` is false, memory is not
        touched and the lane is 0.
        """
        kind, align = memory_type(dtype, lanes), dtype.itemsize
        if mask is None:
            text = f"load {kind}, ptr {pointer}, align {align}"
        else:
            symbol = self._masked(
                "load", dtype, lanes, "{kind} @{symbol}(ptr, i32, {mask}, {kind})"
            )
            text = (
                f"call {kind} @{symbol}(ptr {pointer}, i32 {align}, {mask.typed},"
                f" {kind} zeroinitializer)"
            )
        return self._from_memory(text, dtype, lanes)

    def store(
        self, value: Value, pointer: str, mask: Value | None = None, whole: bool = False
    ) -> None:
        """Store an element or neighbours; with ``mask``, only the lanes where it holds.

        If it is to be ``whole``, LLVM does not make a masked store of one of a ``select`` of what
        was loaded there and something else. With AVX2 a masked store can take ten times as long.
        """
        ref, align = self._to_memory(value), value.dtype.itemsize
        if mask is None:
            volatile = "volatile " if whole else ""
            self.emit(f"store {volatile}{ref}, ptr {pointer}, align {align}")
            return
        signature = "void @{symbol}({kind}, ptr, i32, {mask})"
        symbol = self._masked("store", value.dtype, value.lanes, signature)
        self.emit(f"call void @{symbol}({ref}, ptr {pointer}, i32 {align}, {mask.typed})")

    def gather(
        self, pointer: str, dtype: DType, indices: Value, mask: Value | None = None
    ) -> Value:
        """Load the elements of an array at a vector of indices; masked lanes are 0."""
        lanes = indices.lanes
        places, kind = self._places(pointer, dtype, indices), memory_type(dtype, lanes)
        symbol = self._masked(
            "gather",
            dtype,
            lanes,
            "{kind} @{symbol}({places}, i32, {mask}, {kind})",
            f".v{lanes}p0",
        )
        chosen = mask.typed if mask is not None else f"<{lanes} x i1> splat (i1 true)"
        text = f"call {kind} @{symbol}({places}, {chosen}, {kind} zeroinitializer)"
        return self._from_memory(text, dtype, lanes)

    def scatter(
        self, value: Value, pointer: str, indices: Value, mask: Value | None = None
    ) -> None:
        """Store the lanes of a vector at a vector of indices, the first lane first."""
        lanes = value.lanes
        places = self._places(pointer, value.dtype, indices)
        signature = "void @{symbol}({kind}, {places}, i32, {mask})"
        symbol = self._masked("scatter", value.dtype, lanes, signature, f".v{lanes}p0")
        chosen = mask.typed if mask is not None else f"<{lanes} x i1> splat (i1 true)"
        self.emit(f"call void @{symbol}({self._to_memory(value)}, {places}, {chosen})")

    def _places(self, pointer: str, dtype: DType, indices: Value) -> str:
        """The addresses of elements of an array and their alignment, as operands."""
        ref = self.raw(
            f"getelementptr inbounds {memory_type(dtype)}, ptr {pointer}, {indices.typed}", "p"
        )
        return f"<{indices.lanes} x ptr> {ref}, i32 {dtype.itemsize}"

    def _masked(
        self, operation: str, dtype: DType, lanes: int, signature: str, places: str = ".p0"
    ) -> str:
        """Declare a masked intrinsic; returns its symbol."""
        memory = np.dtype(np.int8) if dtype.kind == "b" else dtype
        symbol = f"llvm.masked.{operation}.{overload(memory, lanes)}{places}"
        text = signature.format(
            symbol=symbol,
            kind=memory_type(dtype, lanes),
            mask=f"<{lanes} x i1>",
            places=f"<{lanes} x ptr>",
        )
        self.module.declare(symbol, f"declare {text}")
        return symbol

    def _from_memory(self, instruction: str, dtype: DType, lanes: int) -> Value:
        if dtype.kind != "b":
            return self.value(instruction, dtype, lanes)
        byte = Value(self.raw(instruction), np.dtype(np.int8), lanes)
        zero = "zeroinitializer" if lanes > 1 else "0"
        return self.value(f"icmp ne {byte.typed}, {zero}", BOOL, lanes)

    def _to_memory(self, value: Value) -> str:
        """A value as memory holds it, with its type."""
        if value.dtype.kind != "b":
            return value.typed
        kind = memory_type(value.dtype, value.lanes)
        return f"{kind} {self.raw(f'zext {value.typed} to {kind}')}"

    def copy(self, target: str, source: str, num_bytes: Value) -> None:
        """Copy memory that does not overlap."""
        self.module.declare("llvm.memcpy", "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        self.emit(
            f"call void @llvm.memcpy.p0.p0.i64(ptr {target}, ptr {source},"
            f" {num_bytes.typed}, i1 false)"
        )

    # -- control ----------------------------------------------------------------------------

    def label(self, name: str) -> None:
        """Start the block ``%name``."""
        self._lines.append(f"{name[1:]}:")
        self.block = name[1:]
        self._known = {}

    def jump(self, label: str) -> None:
        self.emit(f"br label {label}")

    def branch(self, condition: Value, yes: str, no: str) -> None:
        self.emit(f"br i1 {condition.ref}, label {yes}, label {no}")

    def ret(self, value: Value | None = None) -> None:
        self.emit("ret void" if value is None else f"ret {value.typed}")

    @contextmanager
    def loop(
        self,
        extent: int | Value,
        carried: Sequence[Value] = (),
        start: int | Value = 0,
        step: int = 1,
        as_written: bool = False,
    ) -> Iterator[Loop]:
        """A counted loop of at least one turn, ``for i in range(start, extent, step)``.

        ``step`` divides the length of the range. The body sets ``loop.carried`` to the values
        for the next turn; after the block it holds those after the last turn. One turn is
        written without a loop.

        A loop is not rewritten by loop strength reduction if it shall be ``as_written``: its
        addresses are good, and that pass takes a fifth of the time of compilation.
        """
        if isinstance(extent, int) and isinstance(start, int):
            if extent <= start:
                raise InternalError(f"a loop of no turns reached the LLVM backend: {extent}")
            if extent - start == step:
                yield Loop(Value(str(start), INT64), list(carried))
                return
        first, last = (v.ref if isinstance(v, Value) else str(v) for v in (start, extent))
        before, head, after = self.block, self.fresh("loop"), self.fresh("done")
        self.jump(head)
        self.label(head)
        index = Value(self.fresh("i"), INT64)
        loop = Loop(index, [Value(self.fresh("c"), v.dtype, v.lanes) for v in carried])
        phis, at = loop.carried, len(self._lines)
        yield loop
        following = self.raw(f"add nuw nsw i64 {index.ref}, {step}", "n")
        if as_written:
            following = self._opaque(following)
        lines = [f"  {index.ref} = phi i64 [ {first}, %{before} ], [ {following}, %{self.block} ]"]
        for phi, initial, then in zip(phis, carried, loop.carried, strict=True):
            lines.append(
                f"  {phi.ref} = phi {phi.type} [ {initial.ref}, %{before} ],"
                f" [ {then.ref}, %{self.block} ]"
            )
        self._lines[at:at] = lines
        done = self.raw(f"icmp eq i64 {following}, {last}")
        self.emit(f"br i1 {done}, label {after}, label {head}")
        self.label(after)

    def _opaque(self, index: str) -> str:
        """The same index, which LLVM does not recognise as such before it selects instructions."""
        self.module.declare("llvm.expect.i64", "declare i64 @llvm.expect.i64(i64, i64)")
        return self.raw(f"call i64 @llvm.expect.i64(i64 {index}, i64 0)", "n")

    def repeat(
        self,
        initial: Sequence[Value],
        condition: Callable[..., Value],
        body: Callable[..., Sequence[Value]],
    ) -> list[Value]:
        """``while condition(*carried): carried = body(*carried)``; returns the last values."""
        before, head = self.block, self.fresh("while")
        inside, after = self.fresh("do"), self.fresh("done")
        self.jump(head)
        self.label(head)
        phis = [Value(self.fresh("c"), v.dtype, v.lanes) for v in initial]
        at = len(self._lines)
        self.branch(condition(*phis), inside, after)
        self.label(inside)
        following = body(*phis)
        self._lines[at:at] = [
            f"  {phi.ref} = phi {phi.type} [ {first.ref}, %{before} ],"
            f" [ {then.ref}, %{self.block} ]"
            for phi, first, then in zip(phis, initial, following, strict=True)
        ]
        self.jump(head)
        self.label(after)
        return phis

    @contextmanager
    def steps(self, extent: Value, step: Value) -> Iterator[Value]:
        """``for i in range(0, extent, step)``, of any number of turns."""
        before, head = self.block, self.fresh("loop")
        body, after = self.fresh("do"), self.fresh("done")
        index = Value(self.fresh("i"), INT64)
        self.jump(head)
        self.label(head)
        at = len(self._lines)
        self.branch(self.b.less(index, extent), body, after)
        self.label(body)
        yield index
        following = self.raw(f"add nsw i64 {index.ref}, {step.ref}", "n")
        phi = f"  {index.ref} = phi i64 [ 0, %{before} ], [ {following}, %{self.block} ]"
        self._lines.insert(at, phi)
        self.jump(head)
        self.label(after)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Run the body only if ``condition`` holds."""
        yes, after = self.fresh("then"), self.fresh("endif")
        self.branch(condition, yes, after)
        self.label(yes)
        yield
        self.jump(after)
        self.label(after)


@dataclass(slots=True)
class Loop:
    """The counter of a loop and the values that it carries from turn to turn."""

    index: Value
    carried: list[Value]
