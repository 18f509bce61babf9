"""A plan printed for a card: the source of its kernels, and the steps that run them.

Steps are plain data: what a device is asked to do, in order. Loops and branches hold further
steps; their turns are `counters`, their conditions lie in buffers on the device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fnad.lowering.host_calls import HostFunction
from fnad.lowering.plan import Buffer, Contraction, HostCall, Interface, Origin, Routine


@dataclass(frozen=True, slots=True)
class Launch:
    """Run a kernel: its arguments are the addresses of ``buffers``, then the turns of loops."""

    function: str
    blocks: int
    threads: int
    buffers: tuple[int, ...]
    counters: tuple[int, ...] = ()
    shared_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Product:
    """Have the device's library multiply matrices."""

    contraction: Contraction


@dataclass(frozen=True, slots=True)
class HostRoutine:
    """Call LAPACK on the host: what it reads is fetched, what it writes is sent back."""

    routine: Routine


@dataclass(frozen=True, slots=True)
class CallOfPython:
    """Call Python: what it reads is fetched, what it returns is sent back."""

    call: HostCall


@dataclass(frozen=True, slots=True)
class Repeat:
    """Run ``body`` for ``counter`` in a range, as `plan.For` does."""

    counter: int
    extent: int
    body: tuple[Step, ...]
    count: int | None = None
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class RepeatWhile:
    """Run ``condition``; if element 0 of the buffer ``predicate`` holds, ``body``; repeat."""

    condition: tuple[Step, ...]
    predicate: int
    body: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Switch:
    """Run one of ``branches``: that numbered by element 0 of a buffer, clamped to range."""

    index: int
    branches: tuple[tuple[Step, ...], ...]


Step = Launch | Product | HostRoutine | CallOfPython | Repeat | RepeatWhile | Switch


@dataclass(frozen=True, slots=True)
class Program:
    """What a device needs to run a plan; fields as in `plan.Plan`.

    ``interface`` are the types of arguments and results.
    ``makers`` says which equations buffers come from, for messages.
    """

    source: str
    steps: tuple[Step, ...]
    buffers: tuple[Buffer, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    constants: tuple[np.ndarray[Any, Any], ...]
    arena_size: int
    interface: Interface
    makers: Mapping[int, Origin] = field(default_factory=dict)
    functions: tuple[HostFunction, ...] = ()
