"""Small programs that still disagree."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tests.fuzz.programs import Program
from tests.fuzz.vocabulary import fnad_vocabulary


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """Return a program of few lines for which ``fails`` still holds.

    One result is kept where one suffices; then lines become inputs, which hold what NumPy
    computed there, from the last to the first.
    """
    for result in program.results:
        single = program.returning(result)
        if fails(single):
            program = single
            break
    values = _values(program)
    for name, _ in reversed(program.lines[:-1]):
        smaller = _with_input(program, name, values[name])
        if fails(smaller):
            program = smaller
    return program


def _values(program: Program) -> dict[str, Any]:
    names = {**fnad_vocabulary().names, **dict(program.inputs)}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name, expression in program.lines:
            names[name] = np.asarray(eval(expression, names))
    return names


def _with_input(program: Program, name: str, value: Any) -> Program:
    lines = tuple(line for line in program.lines if line[0] != name)
    return replace(program, inputs=(*program.inputs, (name, value)), lines=lines).returning(
        *program.results
    )
