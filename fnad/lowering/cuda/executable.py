"""A program on a device as a Python function of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad.core.errors import InternalError
from fnad.lowering.cuda.device import Device
from fnad.lowering.cuda.program import (
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


class CudaExecutable:
    """A program compiled for a device: takes and returns lists of arrays on it.

    Launches are asynchronous, in order, on the device's current stream; the host waits only where
    it must know the condition of a loop or a branch.
    """

    def __init__(self, program: Program, device: Device) -> None:
        self._program = program
        self._device = device
        self._module = device.module(program.source)
        self._buffers = {b.number: b for b in program.buffers}
        constants = program.inputs[len(program.inputs) - len(program.constants) :]
        self._num_args = len(program.inputs) - len(constants)
        self._constants = [
            device.put(value, self._buffers[n].dtype)
            for n, value in zip(constants, program.constants)
        ]

    def __call__(self, args: Sequence[Any]) -> list[Any]:
        """Run the program."""
        program, device = self._program, self._device
        if len(args) != self._num_args:
            raise InternalError(
                f"a compiled program of {self._num_args} inputs was called with {len(args)}"
            )
        given = [
            device.put(value, self._buffers[n].dtype) for n, value in zip(program.inputs, args)
        ]
        arrays = dict(zip(program.inputs, [*given, *self._constants]))
        outs = []
        for number in program.outputs:
            buffer = self._buffers[number]
            out = device.empty(buffer.shape, buffer.dtype)
            if number in arrays:  # updated in place
                device.copy(device.address(out), device.address(arrays[number]), buffer.nbytes)
            outs.append(out)
        arrays.update(zip(program.outputs, outs))
        arena = device.empty((max(program.arena_size, 1),), _UINT8)
        _Run(self, arrays, device.address(arena)).steps(program.steps)
        return outs


class _Run:
    """One call of a program: where its buffers lie, and the turns of the loops it is in."""

    def __init__(self, executable: CudaExecutable, arrays: dict[int, Any], arena: int) -> None:
        self.device = executable._device
        self.module = executable._module
        self.buffers = executable._buffers
        self.turns: dict[int, int] = {}
        self.places = {n: self.device.address(array) for n, array in arrays.items()}
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
        self.device.product(node, left, right, out)

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

    def repeat(self, step: Repeat) -> None:
        for turn in range(step.extent):
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
    Repeat: _Run.repeat,
    RepeatWhile: _Run.repeat_while,
    Switch: _Run.switch,
}
