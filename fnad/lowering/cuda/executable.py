"""A program on a device as a Python function of arrays."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fnad.core.errors import InternalError
from fnad.lowering.cuda.device import Device
from fnad.lowering.cuda.memory import out_of_memory
from fnad.lowering.cuda.program import (
    CallOfPython,
    HostRoutine,
    Launch,
    Product,
    Program,
    Repeat,
    RepeatWhile,
    Step,
    Switch,
)
from fnad.lowering.cuda.routines import run_routine
from fnad.lowering.expr import Expr, affine_parts

_UINT8 = np.dtype(np.uint8)

# A stream, and the addresses of arguments and results.
_Key = tuple[int, tuple[int, ...]]

# Recordings that an executable keeps; the one that was used longest ago goes first.
_MOST_RECORDINGS = 16
# More than so many launches are not worth a graph: the host is ahead of the card by then.
_MOST_LAUNCHES = 20_000


class CudaExecutable:
    """A program compiled for a device: takes and returns lists of arrays on it.

    Launches are asynchronous, in order, on the device's current stream; the host waits only where
    it must know the condition of a loop or a branch. A program that never waits is recorded when it
    is called with arrays at the same addresses again, and replayed from then on as one launch.

    Parameters
    ----------
    program : Program
    device : Device
    precision : str
        How the device's library multiplies float32 matrices: `fnad.config.matmul_precision`.
    """

    def __init__(self, program: Program, device: Device, precision: str = "float32") -> None:
        self._program = program
        self._device = device
        self._precision = precision
        self._module = device.module(program.source)
        self._recordings: OrderedDict[_Key, Callable[[], None]] = OrderedDict()
        self._met: OrderedDict[_Key, None] = OrderedDict()
        self._arenas: dict[int, Any] = {}  # of the recordings, by stream
        self._recordable = 1 < _launches(program.steps) <= _MOST_LAUNCHES
        self._buffers = {b.number: b for b in program.buffers}
        constants = program.inputs[len(program.inputs) - len(program.constants) :]
        self._num_args = len(program.inputs) - len(constants)
        self._constants = [
            device.put(value, self._buffers[n].dtype)
            for n, value in zip(constants, program.constants)
        ]

    def __call__(self, args: Sequence[Any]) -> list[Any]:
        """Run the program.

        Raises
        ------
        OutOfMemoryError
            If it does not fit, even without the memory that recordings keep.
        """
        try:
            return self._call(args)
        except MemoryError:
            self._recordings.clear()
            self._arenas.clear()
            self._met.clear()
        try:
            return self._call(args)
        except MemoryError as error:
            raise out_of_memory(self._program, error) from None

    def _call(self, args: Sequence[Any]) -> list[Any]:
        program, device = self._program, self._device
        if len(args) != self._num_args:
            raise InternalError(
                f"a compiled program of {self._num_args} inputs was called with {len(args)}"
            )
        arguments, results = program.interface
        given = [device.put(value, dtype) for (_, dtype), value in zip(arguments, args)]
        outs = [device.empty(shape, dtype) for shape, dtype in results]
        places = tuple([device.address(array) for array in (*given, *outs)])
        key = device.stream(), places
        replay = self._recordings.get(key)
        if replay is not None:
            self._recordings.move_to_end(key)
            replay()
        elif key in self._met and self._recordable:
            self._record(key)()
        else:
            self._met[key] = None
            _forget_oldest(self._met)
            arena = device.empty((max(program.arena_size, 1),), _UINT8)
            self._run(places, device.address(arena))
        return outs

    def _record(self, key: _Key) -> Callable[[], None]:
        """Keep what a call with arrays at these addresses does.

        Arrays of a training step soon lie where those of an earlier one lay, for the pool gives out
        again what was returned last. Recordings share the memory for temporaries: those of one
        stream run one after another.
        """
        stream, places = key
        arena = self._arenas.get(stream)
        if arena is None:
            arena = self._device.empty((max(self._program.arena_size, 1),), _UINT8)
            self._arenas[stream] = arena
        replay = self._device.record(partial(self._run, places, self._device.address(arena)))
        self._recordings[key] = replay
        _forget_oldest(self._recordings)
        return replay

    def _run(self, places: tuple[int, ...], arena: int) -> None:
        """Ask the device for all that the program does, its arrays being at these addresses."""
        program, device = self._program, self._device
        constants = [device.address(array) for array in self._constants]
        found = dict(zip(program.inputs, [*places[: self._num_args], *constants]))
        for number, place in zip(program.outputs, places[self._num_args :]):
            if number in found:  # updated in place
                device.copy(place, found[number], self._buffers[number].nbytes)
            found[number] = place
        _Run(self, found, arena).steps(program.steps)


def _forget_oldest(kept: OrderedDict[_Key, Any]) -> None:
    while len(kept) > _MOST_RECORDINGS:
        kept.popitem(last=False)


def _launches(steps: Sequence[Step]) -> float:
    """How many launches steps make; infinity if that depends on values."""
    total: float = 0
    for step in steps:
        if isinstance(step, Repeat) and step.count is None:
            total += step.extent * _launches(step.body)
        else:
            total += 1 if isinstance(step, (Launch, Product)) else math.inf
    return total


class _Run:
    """One call of a program: where its buffers lie, and the turns of the loops it is in."""

    def __init__(self, executable: CudaExecutable, places: dict[int, int], arena: int) -> None:
        self.device = executable._device
        self.module = executable._module
        self.precision = executable._precision
        self.buffers = executable._buffers
        self.functions = executable._program.functions
        self.turns: dict[int, int] = {}
        self.places = places
        for number, buffer in self.buffers.items():
            if buffer.offset is not None:
                self.places[number] = arena + buffer.offset

    def steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            _RUN[type(step)](self, step)

    def launch(self, step: Launch) -> None:
        arguments = [self.places[n] for n in step.buffers]
        arguments += [self.turns[t] for t in step.counters]
        self.device.launch(
            self.module, step.function, step.blocks, step.threads, step.shared_bytes, arguments
        )

    def product(self, step: Product) -> None:
        node = step.contraction
        left, right, out = (
            self.places[m.buffer] + self._index(m.offset) * self.buffers[m.buffer].dtype.itemsize
            for m in (node.left, node.right, node.out)
        )
        self.device.product(node, left, right, out, self.precision)

    def _index(self, offset: Expr) -> int:
        """The value of an index that depends on the turns of loops alone."""
        terms, total = affine_parts(offset)
        for term, coefficient in terms.items():
            if term.op != "counter":
                raise InternalError(f"matrices begin at {offset}, which the host cannot know")
            total += coefficient * self.turns[term.attr[0]]
        return total

    def routine(self, step: HostRoutine) -> None:
        run_routine(self.device, step.routine, self.buffers, self.places)

    def call_of_python(self, step: CallOfPython) -> None:
        node, function = step.call, self.functions[step.call.number]
        arrays = [
            self.device.fetch(self.places[n], self.buffers[n].size, dtype).reshape(shape)
            for n, (shape, dtype) in zip(node.sources, function.operands)
        ]
        for n, result in zip(node.outs, function(arrays), strict=True):
            self.device.send(self.places[n], np.ascontiguousarray(result).reshape(-1))

    def repeat(self, step: Repeat) -> None:
        turns = range(step.extent)
        if step.count is not None:
            turns = turns[: max(int(self._first(step.count)), 0)]
        for turn in reversed(turns) if step.backwards else turns:
            self.turns[step.counter] = turn
            self.steps(step.body)

    def repeat_while(self, step: RepeatWhile) -> None:
        while True:
            self.steps(step.condition)
            if not self._first(step.predicate):
                return
            self.steps(step.body)

    def switch(self, step: Switch) -> None:
        index = int(self._first(step.index))
        self.steps(step.branches[min(max(index, 0), len(step.branches) - 1)])

    def _first(self, number: int) -> Any:
        return self.device.fetch(self.places[number], 1, self.buffers[number].dtype)[0]


_RUN: dict[type, Callable[[_Run, Any], None]] = {
    Launch: _Run.launch,
    Product: _Run.product,
    HostRoutine: _Run.routine,
    CallOfPython: _Run.call_of_python,
    Repeat: _Run.repeat,
    RepeatWhile: _Run.repeat_while,
    Switch: _Run.switch,
}
