"""A program for any sizes as a Python function of arrays."""

from __future__ import annotations

import ctypes
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from fnad import config
from fnad.core.polynomials import evaluate
from fnad.core.sizes import polynomial
from fnad.lowering.dynamic_planner import DynamicPlan
from fnad.lowering.executable import _data, _prepare, no_memory_for_tapes
from fnad.lowering.llvm.interface import ENTRY
from fnad.lowering.llvm.matrix.schedule import Product, schedule
from fnad.lowering.llvm.routines import workspace_bytes
from fnad.lowering.llvm.sorting import lanes_bytes
from fnad.lowering.llvm.symbols import address_of
from fnad.lowering.llvm.target import OPTIMIZED, CompiledModule, compile_module
from fnad.lowering.plan import Contraction, Routine

_ALIGNMENT = 64
# Bytes of temporaries that a program keeps for its next call, at most: fresh memory costs as much
# as a pass over it.
_KEPT_BYTES = 1 << 26
# Sizes for which the shapes of results and the places of temporaries are kept.
_KEPT = 256


class DynamicExecutable:
    """A compiled `DynamicPlan`; any number of threads may call it at once.

    Parameters
    ----------
    plan : DynamicPlan
        What has been printed.
    text : str
        The module.
    names : sequence of str
        The order in which it takes the values of names.
    """

    def __init__(self, plan: DynamicPlan, text: str, names: Sequence[str]) -> None:
        self._plan = plan
        self._names = tuple(names)
        self._text = text
        self._module: CompiledModule | None = None
        self._entry: Any = None
        self._lock = threading.Lock()
        self._constants = [np.ascontiguousarray(c) for c in plan.constants]
        self._layouts: OrderedDict[tuple[int, ...], _Layout] = OrderedDict()
        self._memory: list[np.ndarray[Any, Any]] = []  # not in use; one piece, or two of threads

    def compile(self) -> None:
        """Make machine code, unless it is there; the first call does."""
        with self._lock:
            if self._module is None:
                self._module = compile_module(self._text, OPTIMIZED)
                address = self._module.address(ENTRY)
                self._entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(address)
                self._text = ""  # it is large

    def __call__(self, args: Sequence[Any], sizes: Mapping[str, int]) -> list[Any]:
        """Run the program; ``sizes`` are the values of the names."""
        if self._entry is None:
            self.compile()
        values = tuple([sizes[name] for name in self._names])
        threads = config.num_threads
        layout = self._layouts.get((threads, *values))
        if layout is None:
            layout = self._layouts[threads, *values] = _Layout(self._plan, sizes, threads)
            if len(self._layouts) > _KEPT:
                with suppress(KeyError):  # another thread was first
                    self._layouts.popitem(last=False)
        plan = self._plan
        arrays = [_prepare(a, *kind) for a, kind in zip(args, layout.inputs)]
        outs = [np.empty(*kind) for kind in layout.outputs]
        memory = self._taken(layout.nbytes + _ALIGNMENT)
        arena = memory.ctypes.data + -memory.ctypes.data % _ALIGNMENT
        table = (ctypes.c_void_p * (len(plan.buffers) + len(layout.words) + 1))()
        for number, array in zip(plan.inputs, [*arrays, *self._constants]):
            table[number] = _data(array)
        for number, array in zip(plan.outputs, outs):
            table[number] = _data(array)
        for number, offset in layout.offsets:
            table[number] = arena + offset
        for place, word in enumerate(layout.words, len(plan.buffers)):
            table[place] = arena + layout.scratch if word is None else word
        self._entry(table, (ctypes.c_int64 * len(values))(*values))
        if table[-1]:
            raise no_memory_for_tapes(table[-1])
        if memory.nbytes <= _KEPT_BYTES and len(self._memory) < 2:
            self._memory.append(memory)
        return [out if out.ndim else out[()] for out in outs]

    def _taken(self, nbytes: int) -> np.ndarray[Any, Any]:
        """Memory that no other call uses."""
        with suppress(IndexError):  # another thread was first
            memory = self._memory.pop()
            if memory.nbytes >= nbytes:
                return memory
        return np.empty(nbytes, np.uint8)


class _Layout:
    """Types of arguments and results, and places of temporaries, for some sizes and threads."""

    def __init__(self, plan: DynamicPlan, sizes: Mapping[str, int], threads: int) -> None:
        def kind(number: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
            buffer = plan.buffers[number]
            shape = tuple([evaluate(polynomial(n), sizes) for n in buffer.shape])
            if number in plan.complexes:
                return shape[:-1], np.result_type(buffer.dtype, np.complex64)
            return shape, buffer.dtype

        self.inputs = [kind(n) for n in plan.inputs[: len(plan.inputs) - len(plan.constants)]]
        self.outputs = [kind(n) for n in plan.outputs]
        begins, self.nbytes = [], 0
        for size in plan.nbytes:
            begins.append(self.nbytes)
            needed = max(evaluate(polynomial(size), sizes), 0)
            self.nbytes += -(-needed // _ALIGNMENT) * _ALIGNMENT
        self.offsets = [(number, begins[slot]) for number, slot in plan.slots.items()]
        self.scratch = self.nbytes
        self.records: list[np.ndarray[Any, Any]] = []
        self.words: list[int | None] = []  # None: the scratch memory
        for node in plan.prepared():
            if isinstance(node, Contraction):
                self._add_product(node, sizes, threads)
            elif isinstance(node, Routine):
                self._add_scratch(evaluate(polynomial(workspace_bytes(node)), sizes), threads)
            else:
                dtypes = [plan.buffers[n].dtype for n in node.outs]
                length = evaluate(polynomial(node.extents[1]), sizes)
                self.words.append(None)
                self.nbytes = max(self.nbytes, self.scratch + lanes_bytes(dtypes, length))

    def _add_product(self, node: Contraction, sizes: Mapping[str, int], threads: int) -> None:
        """The words of a matrix product: see `fnad.lowering.llvm.dynamic`."""

        def known(numbers: Sequence[int]) -> tuple[int, ...]:
            return tuple([evaluate(polynomial(n), sizes) for n in numbers])

        batch, (m, n, k) = known(node.batch), known((node.m, node.n, node.k))
        if 0 in (*batch, m, n, k):
            self.words += [0, 0 if 0 in (*batch, m, n) else -1, None, 0, 1]
            return
        left, right, out = (known(x.strides) for x in (node.left, node.right, node.out))
        s = schedule(Product(batch, m, n, k, node.dtype, left, right, out, node.accumulate), True)
        functions = [address_of(symbol) if symbol else 0 for symbol in s.functions()]
        axes = [number for axis in s.batch_fields() for number in axis]
        fields = [int(value) for value in s.fields(None).values()]
        record = np.array([*fields, *functions, *axes], np.int64)
        self.records.append(record)
        self.words += [_data(record), s.tasks]
        self._add_scratch(s.scratch_bytes, threads)

    def _add_scratch(self, nbytes: int, threads: int) -> None:
        """The words of memory that each thread has for itself."""
        each = -(-nbytes // _ALIGNMENT) * _ALIGNMENT
        self.words += [None, each, threads]
        self.nbytes = max(self.nbytes, self.scratch + threads * each)
