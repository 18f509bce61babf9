"""Divides a module into several that can be compiled while the rest of it is still being printed.

Some functions, the units, are worth LLVM's time and come in modules of their own, several in each.
All else that ``fnad.entry`` needs, which is mostly calls, is the main module. Only units are called
by name from another module; helper functions are ``internal``, and each module has its own copies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from fnad.lowering.llvm.target import PLAIN, Recipe
from fnad.lowering.llvm.writer import Module

_SYMBOLS = re.compile(r"^(?:define|declare)\b[^@\n]*@([\w.$]+)\(|^@([\w.$]+) =", re.MULTILINE)
_REFERENCES = re.compile(r"@([\w.$]+)")
_HEADER = re.compile(r"^define (.*) \{$", re.MULTILINE)

# Characters of IR that are worth a module.
_SIZE = 24_000


class Splitter:
    """Hands over the parts of a module that grows.

    Where it cuts depends on nothing but the text: the same parts on every machine.

    Parameters
    ----------
    module : Module
        The module.
    units : mapping of str to Recipe
        Its functions that are units, by name. Grows with the module.
    begin : callable
        Is given the text of each part and its recipe.
    """

    def __init__(
        self, module: Module, units: Mapping[str, Recipe], begin: Callable[[str, Recipe], None]
    ) -> None:
        self._module = module
        self._units = units
        self._begin = begin
        self._texts: list[str] = []
        self._owners: dict[str, int] = {}  # which text defines or declares a symbol
        self._references: list[set[str]] = []
        self._size = 0  # of the module, the last time
        self._read_units = 0
        self._waiting: dict[Recipe, set[int]] = {}  # what is to become the next part

    def grow(self) -> None:
        """Look at what the module has got since the last time, if it is much; it is complete."""
        if self._module.size - self._size >= _SIZE:
            self._size = self._module.size
            self._take_units()

    def finish(self, entry: str) -> None:
        """Hand over the rest; the main module is what the function ``entry`` needs."""
        self._take_units()
        for recipe in self._waiting:
            self._cut(recipe)
        for i in {self._owners[name] for name in self._units}:
            self._texts[i] = _declaration(self._texts[i])
            self._references[i] = set()
        self._hand_over(self._closure([self._owners[entry]]), PLAIN)

    def _take_units(self) -> None:
        self._read()
        fresh = list(self._units.items())[self._read_units :]
        self._read_units += len(fresh)
        for name, recipe in fresh:
            waiting = self._waiting.setdefault(recipe, set())
            waiting |= self._closure([self._owners[name]])
            if sum(len(self._texts[i]) for i in waiting) >= _SIZE:
                self._cut(recipe)

    def _read(self) -> None:
        parts = list(self._module.parts().values())
        for i in range(len(self._texts), len(parts)):
            self._texts.append(parts[i])
            self._references.append(set(_REFERENCES.findall(parts[i])))
            for function, variable in _SYMBOLS.findall(parts[i]):
                self._owners[function or variable] = i

    def _closure(self, roots: Iterable[int]) -> set[int]:
        """Some texts and all that they need."""
        found = set(roots)
        stack = list(found)
        while stack:
            needed = {self._owners[symbol] for symbol in self._references[stack.pop()]} - found
            found |= needed
            stack += needed
        return found

    def _cut(self, recipe: Recipe) -> None:
        if waiting := self._waiting[recipe]:
            self._hand_over(waiting, recipe)
        self._waiting[recipe] = set()

    def _hand_over(self, chosen: Iterable[int], recipe: Recipe) -> None:
        self._begin("\n\n".join([self._texts[i] for i in sorted(chosen)]) + "\n", recipe)


def _declaration(definition: str) -> str:
    found = _HEADER.search(definition)
    assert found is not None
    return f"declare {found[1]}"
