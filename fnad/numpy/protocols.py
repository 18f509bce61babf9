"""NumPy's protocols: ``np.sin(x)``, ``np.where(...)``, ``array + x`` with a traced ``x``.

NumPy asks the tracer (``__array_ufunc__``, ``__array_function__``) before it computes; the call
is answered by the function of `fnad.numpy` that has the same name.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
from typing import Any

import numpy as np

from fnad.core.source import user_line
from fnad.numpy.absent import ABSENT
from fnad.numpy.ufuncs import OPERATIONS

# Parameters of NumPy's functions that fnad's lack, with values that mean "as usual".
_USUAL: dict[str, tuple[Any, ...]] = {
    "out": (None,),
    "where": (True, np._NoValue, None),
    "initial": (np._NoValue, None),
    "keepdims": (np._NoValue,),
    "order": ("K", "C", None),
    "subok": (True, False),
    "casting": ("same_kind",),
    "like": (None,),
    "copy": (True,),
    "device": (None,),
    "kind": (None, "quicksort", "stable", "mergesort", "heapsort"),
    "stable": (None, True, np._NoValue),
    "overwrite_input": (False,),
    "mode": ("raise",),
}


def _namespace() -> Any:
    import fnad.numpy

    return fnad.numpy


def _refuse(what: str, way_out: str, why: str = "") -> TypeError:
    reason = f": it {why}" if why else ""
    at = f"  at: {user_line()}\n  way out: {way_out}"
    return TypeError(f"{what} cannot be traced{reason}.\n{at}")


def array_ufunc(self: Any, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """Answer a NumPy ufunc that was called with a traced array."""
    name = ufunc.__name__
    if options.pop("out", None) is not None:
        raise _refuse(
            f"np.{name} with out= (or an in-place operator such as += on a NumPy array)",
            f"bind the result to a name: x = fnp.{name}(...)",
        )
    if method == "__call__":
        return _call_ufunc(ufunc, inputs, options)
    if method == "at":
        raise _refuse(f"np.{name}.at, which works in place,", "fnp.at(x)[index].add(values)")
    answer = getattr(getattr(_namespace(), name, None), method, None)
    if answer is not None:
        return answer(*inputs, **_without_usual(options))
    raise _refuse(f"np.{name}.{method}", "compose it from functions of fnad.numpy")


def _call_ufunc(ufunc: np.ufunc, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    name = ufunc.__name__
    dtype = options.pop("dtype", None)
    options = _without_usual(options)
    if options:
        raise _refuse(f"np.{name} with {', '.join(options)}=", "fnp.where around the call")
    namespace = _namespace()
    function = OPERATIONS.get(name) or getattr(namespace, name, None)
    if function is None:
        special = importlib.import_module("fnad.scipy.special")
        if hasattr(special, name) and not hasattr(np, name):
            raise _refuse(f"scipy.special.{name}", f"fnad.scipy.special.{name}(...)")
        raise _unknown(f"np.{name}", name)
    if dtype is not None:
        inputs = tuple(namespace.astype(x, dtype) for x in inputs)
    return function(*inputs)


def _without_usual(options: dict[str, Any]) -> dict[str, Any]:
    """Drop the arguments that say what is the case anyway."""
    return {
        name: value
        for name, value in options.items()
        if not any(value is usual for usual in _USUAL.get(name, ()))
    }


def _unknown(what: str, name: str) -> TypeError:
    if name in ABSENT:
        why, instead = ABSENT[name]
        return _refuse(what, instead, why)
    namespace = _namespace()
    near = difflib.get_close_matches(name, [n for n in dir(namespace) if n[0] != "_"], 3, 0.75)
    names = f" (near names: {', '.join('fnp.' + n for n in near)})" if near else ""
    return _refuse(
        what,
        f"fnad.numpy has no function {name}{names}; compose it from functions that fnad.numpy has,"
        " or apply it outside the traced function",
    )


def _find(function: Any) -> Any:
    """The function of `fnad.numpy` with the qualified name of one of NumPy."""
    target = _namespace()
    module = getattr(function, "__module__", None) or "numpy"
    for part in [p for p in module.split(".")[1:] if not p.startswith("_")]:
        target = getattr(target, part, None)
    return getattr(target, function.__name__, None)


@functools.lru_cache(maxsize=1024)
def _positions(function: Any, found: Any) -> tuple[int | None, tuple[str, ...]]:
    """The first position at which NumPy's and fnad's parameters differ, and NumPy's names."""
    try:
        theirs = inspect.signature(function).parameters.values()
    except ValueError:  # a function of an older NumPy, written in C
        return None, ()
    ours = inspect.signature(found).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in (*theirs, *ours)):
        return None, ()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = tuple(p.name for p in theirs if p.kind in positional)
    own = [p.name for p in ours if p.kind in positional]
    all_names, all_own = {p.name for p in theirs}, {p.name for p in ours}
    for place, name in enumerate(names):
        here = own[place] if place < len(own) else None
        # Two names that the other side does not have are one parameter under another name.
        if here != name and (here is None or name in all_own or here in all_names):
            return place, names
    return None, names


def _by_numpys_names(
    function: Any, found: Any, args: tuple[Any, ...]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments by position that mean the same to both functions, and the others by name."""
    place, names = _positions(function, found)
    if place is None or len(args) <= place:
        return args, {}
    return args[:place], dict(zip(names[place:], args[place:]))


def array_function(
    self: Any, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    """Answer a NumPy function that was called with a traced array."""
    found = _find(function)
    qualified = f"{function.__module__}.{function.__name__}".replace("numpy.", "np.", 1)
    if found is None:
        raise _unknown(qualified, function.__name__)
    parameters = inspect.signature(found).parameters
    args, by_name = _by_numpys_names(function, found, args)
    options = _without_usual(by_name | options)
    given = dict(zip(_positions(function, found)[1], args))
    if "out" in options or given.get("out") is not None:
        raise _refuse(f"{qualified} with out=", f"x = {qualified}(...) without out=")
    unknown = [name for name in options if name not in parameters]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        raise _refuse(
            f"{qualified} with {', '.join(unknown)}=",
            f"fnad's {function.__name__} takes {', '.join(parameters)}",
        )
    return found(*args, **options)


def array_namespace(self: Any, *, api_version: str | None = None) -> Any:
    """The module of functions for traced arrays: `fnad.numpy`."""
    return _namespace()


PROTOCOLS: dict[str, Any] = {
    "__array_ufunc__": array_ufunc,
    "__array_function__": array_function,
    "__array_namespace__": array_namespace,
}
