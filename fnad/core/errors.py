"""Errors of fnad. Every message is written for the person whose program raised it."""

from __future__ import annotations


class FnadError(Exception):
    """Base class of the errors that fnad raises about its own state or rules."""


class InternalError(FnadError):
    """An invariant of fnad itself is broken; the message asks for a report."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"{message}\nThis is a bug in fnad, not in your program. Please report it with the"
            " text above and, if you can, the function that was transformed."
        )


class ConcretizationTypeError(FnadError, TypeError):
    """Python asked for the value of an array that is only known when the program runs."""


class TracerBoolConversionError(ConcretizationTypeError):
    """A traced array was used where Python needs True or False (``if``, ``while``, ``and``)."""


class TracerIntegerConversionError(ConcretizationTypeError):
    """A traced array was used where Python needs an integer (``range``, a list index, a shape)."""


class TracerArrayConversionError(ConcretizationTypeError):
    """NumPy tried to turn a traced array into an ordinary ``numpy.ndarray``."""


class NonConcreteBooleanIndexError(ConcretizationTypeError, IndexError):
    """A traced boolean mask was used as an index, so the shape of the result is unknown."""


class UnexpectedTracerError(FnadError):
    """A traced array was used after the function that it belongs to had been traced."""


class MissingRuleError(FnadError, NotImplementedError):
    """A primitive lacks the rule that a transform or the compiler needs."""


class RuleError(FnadError, TypeError):
    """A rule of a primitive returned something of the wrong arity, shape or dtype."""


class RecompilationWarning(UserWarning):
    """A function is compiled again and again; the text says what is new in its arguments."""


class OutOfMemoryError(FnadError, MemoryError):
    """A program does not fit into memory; the text lists what is largest in it."""


class BackendError(FnadError, RuntimeError):
    """What a program is to run on is missing or out of order."""
