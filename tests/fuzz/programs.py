"""Random programs: drawn by seed, held as source text, run with fnad's names or with JAX's."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.fuzz.draw import Draw, UnfitError, Value
from tests.fuzz.library import STATEMENTS
from tests.fuzz.vocabulary import Vocabulary, fnad_vocabulary

_LARGEST_RESULT = 5000
# Larger numbers make overflow, and differences that say nothing: the sine of a rounded one.
_LARGEST_NUMBER = 300.0
# Of statements, that want values of other kinds than there are. After these there is another input.
_MOST_MISFITS = 1000
_FLOATS = ("float32", "float64")
_OTHER_INTEGERS = ("int8", "uint8", "int64", "uint32")
_INPUT_DTYPES = (*_FLOATS * 6, *("int32", "bool", "complex64", "complex128") * 2, *_OTHER_INTEGERS)


@dataclass(frozen=True)
class Program:
    """A function of some arrays: assignments ``name = expression``, and the names it returns."""

    seed: int
    inputs: tuple[tuple[str, np.ndarray[Any, Any]], ...]
    lines: tuple[tuple[str, str], ...]
    results: tuple[str, ...]

    @property
    def arguments(self) -> tuple[np.ndarray[Any, Any], ...]:
        return tuple(array for _, array in self.inputs)

    @property
    def has_floating_inputs(self) -> bool:
        return any(a.dtype.kind in "fc" for a in self.arguments)

    @property
    def eps(self) -> float:
        """The rounding of the coarsest floating dtype in it."""
        single = "float32" in self.source or any(a.dtype.char in "fF" for a in self.arguments)
        return float(np.finfo(np.float32 if single else np.float64).eps)

    @property
    def source(self) -> str:
        head = f"def program({', '.join(name for name, _ in self.inputs)}):"
        assignments = [f"    {name} = {expression}" for name, expression in self.lines]
        return "\n".join([head, *assignments, f"    return {', '.join(self.results)},"])

    def function(self, vocabulary: Vocabulary) -> Callable[..., Any]:
        """Return the program as a function that uses one library's names."""
        names: dict[str, Any] = dict(vocabulary.names)
        exec(compile(self.source, f"<program {self.seed}>", "exec"), names)
        return names["program"]

    def returning(self, *results: str) -> Program:
        """Return the program that gives these results and does nothing else."""
        needed, lines = set(results), []
        for name, expression in reversed(self.lines):
            if name in needed:
                lines.append((name, expression))
                needed |= _names_in(expression)
        inputs = tuple((name, array) for name, array in self.inputs if name in needed)
        return replace(
            self,
            lines=tuple(reversed(lines)),
            results=results,
            inputs=inputs or self.inputs[:1],
        )


def _names_in(expression: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)}


def generate(seed: int, statements: int = 8) -> Program:
    """Draw a program; it is evaluated by NumPy as it grows, to know shapes and dtypes."""
    rng = np.random.default_rng(seed)
    draw, names = Draw(rng), dict(fnad_vocabulary().names)
    inputs: list[tuple[str, np.ndarray[Any, Any]]] = []
    lines: list[tuple[str, str]] = []

    def enter(array: np.ndarray[Any, Any]) -> None:
        name = f"x{len(inputs)}"
        inputs.append((name, array))
        names[name] = array
        draw.values.append(Value(name, array.shape, array.dtype))

    for _ in range(int(rng.integers(1, 4))):
        enter(_input(draw))
    misfits = 0
    while len(lines) < statements:
        try:
            expression = draw.among(STATEMENTS)(draw)
        except UnfitError:
            misfits += 1
            if misfits == _MOST_MISFITS:
                enter(draw.rng.standard_normal(3))
            continue
        name = f"v{len(lines)}"
        result = _evaluated(expression, names)
        if result is None:
            continue
        names[name] = result
        lines.append((name, expression))
        draw.values.append(Value(name, result.shape, result.dtype))
    computed = (v for v in draw.values if v.name in dict(lines))
    floats = [v.name for v in computed if v.dtype.kind in "fc"]
    results = (*floats[-2:], lines[-1][0])
    return Program(seed, tuple(inputs), tuple(lines), tuple(dict.fromkeys(results)))


def _input(draw: Draw) -> np.ndarray[Any, Any]:
    dtype = draw.among(_INPUT_DTYPES)
    shape = draw.shape(draw.integer(0, 4))
    if dtype == "bool":
        return np.asarray(draw.rng.random(shape) < 0.5)
    if np.dtype(dtype).kind in "iu":
        low = 0 if dtype.startswith("u") else -9
        return np.asarray(draw.rng.integers(low, 10, shape), dtype)
    array = draw.rng.standard_normal(shape) * 1.5
    if dtype.startswith("complex"):
        array = array + 1j * draw.rng.standard_normal(shape)
    return np.asarray(array, dtype)


def _evaluated(expression: str, names: dict[str, Any]) -> np.ndarray[Any, Any] | None:
    """Return the value, or None where it would make the program large or its numbers wild."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = np.asarray(eval(expression, names))
    if result.size > _LARGEST_RESULT or result.dtype.kind not in "fiubc":
        return None
    if result.dtype.kind in "fc" and not np.all(np.abs(result) < _LARGEST_NUMBER):
        return None
    return result
