"""Divides a module into several that can be compiled at the same time.

Only its tasks (`functions`) are called by name from another part, the one that has their table;
everything else a part has for itself, which is why helper functions are ``internal``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

TASK = ".task"

_SYMBOLS = re.compile(r"^(?:define|declare)\b[^@\n]*@([\w.$]+)\(|^@([\w.$]+) =", re.MULTILINE)
_REFERENCES = re.compile(r"@([\w.$]+)")
_TASK = re.compile(r"^define internal (void @[\w.$]+\.task)\(", re.MULTILINE)
_PUBLIC = re.compile(r"^define (?!internal)", re.MULTILINE)

# Characters of IR that are worth a part of their own, and the most parts.
_SIZE = 16_000
_MOST = 8


def split(parts: Sequence[str]) -> list[str]:
    """Modules that make up the one whose declarations and definitions are ``parts``.

    Depends on nothing but the text: the same parts on every machine.
    """
    count = min(sum(map(len, parts)) // _SIZE, _MOST)
    tasks = {i: found[1] for i, part in enumerate(parts) if (found := _TASK.search(part))}
    if count < 2 or len(tasks) < 2:
        return [_joined(parts)]
    needs = _needs(parts)
    closures = {i: _closure([i], needs) for i in tasks}
    sizes = {i: sum(len(parts[j]) for j in closures[i]) for i in tasks}
    chosen: list[set[int]] = [set() for _ in range(min(count, len(tasks)))]
    for i in sorted(tasks, key=lambda i: (-sizes[i], i)):
        smallest = min(chosen, key=lambda c: sum(len(parts[j]) for j in c))
        smallest |= closures[i]
    modules = [_joined(_TASK.sub(r"define \1(", parts[i]) for i in sorted(c)) for c in chosen]
    # The part that is called from outside has the other parts' tasks declared.
    needs |= {i: set() for i in tasks}
    main = _closure([i for i, part in enumerate(parts) if _PUBLIC.search(part)], needs)
    declared = {i: f"declare {task}(ptr, i64, i64, i64)" for i, task in tasks.items()}
    return [_joined(declared.get(i, parts[i]) for i in sorted(main)), *modules]


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _needs(parts: Sequence[str]) -> dict[int, set[int]]:
    """For each part those that define or declare what it refers to."""
    owners: dict[str, int] = {}
    for i, part in enumerate(parts):
        for function, variable in _SYMBOLS.findall(part):
            owners[function or variable] = i
    return {
        i: {owners[symbol] for symbol in _REFERENCES.findall(part) if symbol in owners} - {i}
        for i, part in enumerate(parts)
    }


def _closure(roots: Iterable[int], needs: dict[int, set[int]]) -> set[int]:
    found = set(roots)
    stack = list(found)
    while stack:
        for i in needs[stack.pop()] - found:
            found.add(i)
            stack.append(i)
    return found
