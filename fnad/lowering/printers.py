"""What the printers of scalar operations have in common, whichever language they print.

A printer (`fnad.lowering.llvm.scalars`, `fnad.lowering.cuda.scalars`) has a method for each
operation of the builder interface; its values have a ``dtype``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnad.core.errors import InternalError
from fnad.core.types import is_half

_FLOAT32 = np.dtype(np.float32)


class ScalarPrinter:
    """Operations that are made of a printer's others: the methods called here are its own."""

    def _same(self, name: str, *args: Any) -> np.dtype[Any]:
        dtype = args[0].dtype
        if any(a.dtype is not dtype and a.dtype != dtype for a in args):
            found = ", ".join(str(a.dtype) for a in args)
            raise InternalError(f"operands of {name} differ in dtype: {found}")
        return dtype

    def _widened(self: Any, method: Callable[..., Any], *args: Any) -> Any:
        """Compute an operation on numbers of 16 bits in float32 and round once."""
        wide = [self.convert(a, _FLOAT32) if is_half(a.dtype) else a for a in args]
        result = method(*wide)
        return self.convert(result, args[0].dtype) if result.dtype == _FLOAT32 else result

    def accumulate(self: Any, kind: str, total: Any, term: Any) -> Any:
        """Fold ``term`` into a reduction of `kind` ``add multiply max min and or``."""
        dtype = self._same(kind, total, term)
        if is_half(dtype):
            return self._widened(lambda t, x: self.accumulate(kind, t, x), total, term)
        if kind in ("add", "multiply"):
            return self.add(total, term) if kind == "add" else self.multiply(total, term)
        if kind in ("max", "min"):
            return self.maximum(term, total) if kind == "max" else self.minimum(term, total)
        return self.bitwise_and(total, term) if kind == "and" else self.bitwise_or(total, term)
