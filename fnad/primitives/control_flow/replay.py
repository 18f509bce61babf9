"""A while loop run again, once the number of its steps is known: what reverse mode goes through.

Reverse mode runs through the steps of a loop from the last one to the first, and needs of each
what its derivative depends on. What `while_loop` keeps for that from the forward pass is its
initial carry and how many steps it made. The backward pass makes these steps again, either

* at once, and writes down the residuals of each on a tape: one more run, and memory for
  ``steps`` times the residuals; or
* in blocks of blocks of steps. A block of level ``l`` keeps the carry at the beginning of each of
  its ``sizes[l]`` parts, and goes back through these from the last one to the first, making the
  steps of each again; one of the last level has a tape for its ``sizes[-1]`` steps. That is one
  more run a level, and memory for ``sum(sizes[:-1])`` carries and ``sizes[-1]`` times the
  residuals. This is the checkpointing of nested loops, in the manner of treeverse (Griewank,
  "Achieving logarithmic growth of temporal and spatial complexity in reverse automatic
  differentiation", Optimization Methods and Software 1, 1992), with blocks of equal sizes for
  those that are optimal if every step counts (Griewank and Walther, "Algorithm 799: revolve",
  ACM TOMS 26, 2000): so every level is a loop that can be compiled, differentiated and batched.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnad.core.ir import Jaxpr, memoize
from fnad.core.rewrites import Mask
from fnad.core.tracer import apply_jaxpr, rewrite
from fnad.core.types import TAPE, aval_of, is_differentiable
from fnad.primitives.arithmetic import clamp
from fnad.primitives.checkpoint import checkpoint_p
from fnad.primitives.control_flow.counted_scan import COUNT, counted_scan_p
from fnad.primitives.logic import convert_element_type, select
from fnad.primitives.subprograms import dce_keeping, every, merge, parts, split


def sizes_of_blocks(name: str, max_steps: int | None, levels: int) -> tuple[int, ...]:
    """Equal sizes, one a level, whose product is at least ``max_steps``; none if that is None.

    Examples
    --------
    >>> sizes_of_blocks("while_loop", 1000, 2), sizes_of_blocks("while_loop", 1000, 3)
    ((32, 32), (10, 10, 10))
    """
    levels = operator.index(levels)
    if levels < 1:
        raise ValueError(f"{name}: levels must be positive, got {levels}")
    if max_steps is None:
        return ()
    max_steps = operator.index(max_steps)
    if max_steps < 1:
        raise ValueError(f"{name}: max_steps must be positive, got {max_steps}")
    size = round(max_steps ** (1 / levels))
    while size**levels < max_steps:
        size += 1
    while size > 1 and (size - 1) ** levels >= max_steps:
        size -= 1
    return (max(size, 1),) * levels


@memoize
def in_two_parts(known: Jaxpr, staged: Jaxpr, unknown: Mask, unknown_out: Mask) -> Jaxpr:
    """The program of which these are the known part and the unknown one.

    In it no equation, of a loop for example, has to do with both.
    """

    def run(*args: Any) -> list[Any]:
        known_in, unknown_in = split(unknown, args)
        outs = apply_jaxpr(known, known_in)
        count = unknown_out.count(False)
        return merge(unknown_out, outs[:count], apply_jaxpr(staged, [*outs[count:], *unknown_in]))

    num_residuals = len(staged.invars) - unknown.count(True)
    avals = merge(unknown, known.in_avals, staged.in_avals[num_residuals:])
    return rewrite(run, avals, "the backward pass of while_loop")


@memoize
def replayed(body: Jaxpr, num_consts: int, sizes: tuple[int, ...], wanted: Mask) -> Jaxpr:
    """The program that maps (number of steps, constants, first carry) to the last carry.

    Parameters
    ----------
    body : Jaxpr
        One step: maps (constants, carry) to the carry.
    num_consts : int
        The number of constants.
    sizes : tuple of int
        Sizes of blocks; none for a tape of as many steps as there are. Where there are more steps
        than these have room for, what comes out is NaN.
    wanted : mask
        The carries to return.
    """

    def run(count: Any, *args: Any) -> list[Any]:
        consts, carry = parts(args, num_consts)
        if not sizes:
            return _steps(body, count, consts, carry, TAPE)
        room = np.int64(math.prod(sizes))
        outs = _blocks(body, clamp(np.int64(0), count, room), consts, carry, sizes)
        return [_unless(count > room, x) for x in outs]

    program = rewrite(run, [COUNT, *body.in_avals], "the backward pass of while_loop")
    program = dce_keeping(program, wanted, every(len(program.invars)))

    def in_checkpoint(*args: Any) -> list[Any]:
        return checkpoint_p.bind(
            *args, jaxpr=program, policy=None, prevent_cse=True, differentiated=False
        )

    return rewrite(in_checkpoint, program.in_avals, "the backward pass of while_loop")


def _unless(truncated: Any, x: Any) -> Any:
    """``x``, made NaN where steps are missing: rather no number than a wrong one."""
    aval = aval_of(x)
    if not is_differentiable(aval):
        return x
    factor = convert_element_type(select(truncated, np.nan, 1.0), aval.dtype)
    return x * factor


def _steps(
    body: Jaxpr, count: Any, consts: Sequence[Any], carry: Sequence[Any], length: int
) -> Any:
    return counted_scan_p.bind(
        count,
        *consts,
        *carry,
        jaxpr=body,
        length=length,
        num_consts=len(consts),
        num_carry=len(carry),
        reverse=False,
    )


def _blocks(
    body: Jaxpr, count: Any, consts: Sequence[Any], carry: Sequence[Any], sizes: tuple[int, ...]
) -> Any:
    """Make ``count`` steps, at most the product of ``sizes``."""
    if len(sizes) == 1:
        return _steps(body, count, consts, carry, sizes[0])
    block = _block(body, len(consts), sizes[1:])
    each = np.int64(math.prod(sizes[1:]))
    blocks = (count + (each - 1)) // each
    outs = _steps(block, blocks, [count, *consts], [np.int64(0), *carry], sizes[0])
    return outs[1:]


@memoize
def _block(body: Jaxpr, num_consts: int, sizes: tuple[int, ...]) -> Jaxpr:
    """The next block of steps, as one step.

    Maps (number of all steps, constants, number of steps made, carry) to the latter two. In the
    backward pass, what is in it is computed again from the carry.
    """

    def inside(count: Any, *args: Any) -> list[Any]:
        consts, carry = parts(args, num_consts)
        return _blocks(body, count, consts, carry, sizes)

    program = rewrite(inside, [COUNT, *body.in_avals], "a block of steps")

    def run(count: Any, *args: Any) -> list[Any]:
        consts, [done], carry = parts(args, num_consts, 1)
        each = np.int64(math.prod(sizes))
        here = clamp(np.int64(0), count - done, each)
        outs = checkpoint_p.bind(
            here,
            *consts,
            *carry,
            jaxpr=program,
            policy=None,
            prevent_cse=False,
            differentiated=False,
        )
        return [done + each, *outs]

    consts, carry = parts(body.in_avals, num_consts)
    return rewrite(run, [COUNT, *consts, COUNT, *carry], "a block of steps")
