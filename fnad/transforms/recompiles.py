"""Why a function was compiled again: which shape, dtype, layout, structure or value is new."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fnad.core import tree
from fnad.transforms.layouts import Layouts, Order
from fnad.transforms.signatures import Form

# Called with the name of each function that is traced for a new form, and the explanation.
listeners: list[Callable[[str, str], None]] = []


def explanation(name: str, fun: Callable[..., Any], forms: list[Form]) -> str:
    """What makes the last of these forms differ from the one before that is most like it."""
    *before, new = forms
    if not before:
        return f"{name} is compiled for the first time, for {new}"
    names = _parameter_names(fun)
    changes = min((_changes(old, new, names) for old in before), key=len)
    if not changes:
        changes = ["the names of enclosing vmap axes"]
    return "\n".join([f"{name} is compiled for new arguments:", *(f"  {c}" for c in changes)])


def _changes(old: Form, new: Form, names: list[str]) -> list[str]:
    found = _static_changes(old, new, names)
    if old.in_tree != new.in_tree:
        return [*found, f"the structure was {old.in_tree}, is {new.in_tree}"]
    paths = _paths(new, names)
    layouts = zip(_orders(old), _orders(new), strict=True)
    for path, was, now, (lay, lies) in zip(paths, old.avals, new.avals, layouts, strict=True):
        if was != now:
            found.append(f"{path} was {was}, is {now}")
        elif lay != lies:
            found.append(
                f"the memory layout of {path} was {_layout(lay)}, is {_layout(lies)};"
                " np.ascontiguousarray gives arrays of one shape one layout"
            )
    return found


def _orders(form: Form) -> Layouts:
    return form.layouts or (None,) * len(form.types)


def _layout(order: Order) -> str:
    """How the user knows an order of axes."""
    if order is None:
        return "in C order"
    if order == tuple(reversed(range(len(order)))):
        return "in Fortran order (transposed)"
    return f"with its axes in the order {order}"


def _static_changes(old: Form, new: Form, names: list[str]) -> list[str]:
    was: dict[Any, Any] = dict((*old.static_args, *old.static_kwargs))
    now: dict[Any, Any] = dict((*new.static_args, *new.static_kwargs))
    found = []
    for where in dict.fromkeys([*was, *now]):
        texts = [repr(d[where]) if where in d else "not given" for d in (was, now)]
        if texts[0] != texts[1] or was.get(where) != now.get(where):
            found.append(f"static {_name(where, names)} was {texts[0]}, is {texts[1]}")
    return found


def _paths(form: Form, names: list[str]) -> list[str]:
    """How the user calls the leaves: ``params['w']``."""
    static = {i for i, _ in form.static_args}
    positions = [i for i in range(form.num_args) if i not in static]
    holder = form.in_tree.unflatten(range(form.in_tree.num_leaves))
    paths = []
    for path, _ in tree.flatten_with_path(holder)[0]:
        in_args, argument = path[0].idx == 0, path[1]
        where = positions[argument.idx] if in_args else argument.key
        paths.append(_name(where, names) + tree.keystr(path[2:]))
    return paths


def _name(where: Any, names: list[str]) -> str:
    if isinstance(where, int):
        return names[where] if where < len(names) else f"argument {where}"
    return str(where)


def _parameter_names(fun: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in kinds]
