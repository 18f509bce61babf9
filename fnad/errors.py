"""The errors that fnad raises, by the names that JAX gives them where it has the thing."""

from fnad.core.errors import (
    BackendError,
    ConcretizationTypeError,
    FnadError,
    InternalError,
    MissingRuleError,
    NonConcreteBooleanIndexError,
    OutOfMemoryError,
    RecompilationWarning,
    RuleError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
    UnexpectedTracerError,
)

__all__ = [
    "BackendError",
    "FnadError",
    "InternalError",
    "ConcretizationTypeError",
    "TracerBoolConversionError",
    "TracerIntegerConversionError",
    "TracerArrayConversionError",
    "NonConcreteBooleanIndexError",
    "UnexpectedTracerError",
    "MissingRuleError",
    "OutOfMemoryError",
    "RuleError",
    "RecompilationWarning",
]
