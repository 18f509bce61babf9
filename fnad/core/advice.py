"""What errors tell the user beyond what went wrong: where it was, and what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from fnad.core.errors import (
    ConcretizationTypeError,
    NonConcreteBooleanIndexError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
)
from fnad.core.source import SourceLine, is_internal, user_line

_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep

# Why Python asks for the value of an array, and what to write in place of that.
WAYS_OUT: dict[type[ConcretizationTypeError], tuple[str, str]] = {
    NonConcreteBooleanIndexError: (
        "NumPy needs the values of a boolean index here (x[mask]), since they fix the shape",
        "choose with fnp.where(mask, x, y), reduce with where=mask, assign with"
        " fnp.where(mask, value, x), or index with integers (fnp.argsort, fnp.take)",
    ),
    TracerBoolConversionError: (
        "Python needs True or False here (if, while, and, or, not, assert)",
        "choose between values with fnp.where(condition, x, y), between computations with"
        " lax.cond, loop with lax.while_loop, or, if the value depends on an argument that is"
        " no array, name that argument in static_argnums/static_argnames of jit",
    ),
    TracerIntegerConversionError: (
        "Python needs an integer here (range, a shape, a list index)",
        "loop with lax.fori_loop or lax.scan, index arrays (fnp.asarray) instead of lists, or"
        " name the argument in static_argnums/static_argnames of jit",
    ),
    ConcretizationTypeError: (
        "Python needs the value here (float, int, complex, item, print formats)",
        "keep the value as an array, choose with fnp.where or lax.cond, or name the argument in"
        " static_argnums/static_argnames of jit",
    ),
}


def add_source_note(error: BaseException, source: SourceLine | None) -> None:
    """Name the user's line on an error, once."""
    if source is not None and not getattr(error, "__notes__", None):
        error.add_note(f"fnad: raised by your code at {source}")


def add_recursion_note(error: RecursionError) -> None:
    """Say on an error of Python's, once, what was nested too deeply, and what to do."""
    if getattr(error, "__notes__", None):
        return
    source = _innermost(error) or user_line()
    error.add_note(
        "fnad: functions are nested more deeply in each other than the"
        f" {sys.getrecursionlimit()} frames of Python's limit allow.\n  at: {source}\n"
        "  ways out: a function that calls itself needs an end that does not depend on traced"
        " arrays; in place of many conds, jits or other transformed functions within each other,"
        " write one lax.switch, lax.scan or lax.fori_loop; or raise the limit with"
        " sys.setrecursionlimit(n)."
    )


def _innermost(error: BaseException) -> SourceLine | None:
    """The user's last line on the way to an error."""
    found, step = None, error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if not (is_internal(file) or file.startswith(_STANDARD_LIBRARY)):
            found = SourceLine(step.tb_frame.f_code, step.tb_lasti)
        step = step.tb_next
    return found


@contextmanager
def recursion_explained() -> Iterator[None]:
    """Add a note to the error of a block that exceeds Python's limit of recursion."""
    try:
        yield
    except RecursionError as error:
        add_recursion_note(error)
        raise
