"""What functions of distributions do to their arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad.core.types import is_half
from fnad.numpy.operands import broadcast_shapes, convert, dtype_of, shape_of
from fnad.scipy.operands import floating

_FLOAT32 = np.dtype(np.float32)
_Function = Callable[..., Any]


def of_reals(function: _Function) -> _Function:
    """Give a function of a distribution real operands of one dtype; 16 bits are rounded once."""
    name = _name_of(function)
    own = signature(function)
    defaults = tuple(p.default for p in own.parameters.values())
    required = defaults.count(Parameter.empty)

    def operands(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        # Most calls name nothing; to bind costs more than such a function takes of 10 numbers.
        if not kwargs and required <= len(args) <= len(defaults):
            return args + defaults[len(args) :]
        try:
            bound = own.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        bound.apply_defaults()
        return bound.args

    @wraps(function)
    def promoted(*args: Any, **kwargs: Any) -> Any:
        xs = floating(name, *operands(args, kwargs))
        dtype = dtype_of(xs[0])
        if not is_half(dtype):
            return function(*xs)
        return convert(function(*[convert(x, _FLOAT32) for x in xs]), dtype)

    return promoted


def law(domain: Callable[..., Any] | None = None) -> Callable[[_Function], _Function]:
    """`of_reals` for an elementwise function, which is NaN where there is no distribution.

    ``domain(*shapes)`` says of which shapes, the parameters but ``loc`` and ``scale``, there is
    one; scales are positive. Where there is none, the function is one of NaN: it needs to know
    nothing of domains, but has to give NaN there. To choose among the points, not the values,
    leaves derivatives in the parameters without a choice.
    """

    def decorate(function: _Function) -> _Function:
        name = _name_of(function)
        names = list(signature(function).parameters)
        shapes = [i for i, n in enumerate(names) if i and n not in ("loc", "scale")]
        scale = names.index("scale") if "scale" in names else None

        @of_reals
        @wraps(function)
        def known(x: Any, *parameters: Any) -> Any:
            xs = (x, *parameters)
            broadcast_shapes([shape_of(x) for x in xs], name)
            conditions = [] if domain is None else [domain(*[xs[i] for i in shapes])]
            if scale is not None:
                conditions.append(xs[scale] > 0)
            for valid in conditions:
                if valid is not np.True_:
                    x = fnp.where(valid, x, np.nan)
            return function(x, *parameters)

        return known

    return decorate


def _name_of(function: _Function) -> str:
    """The name of a function of a distribution in messages, that of its module included."""
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


def counts(n: Any) -> Any:
    """Where numbers are those of trials: whole ones from 0 on."""
    return (n >= 0) & (n == fnp.floor(n))
