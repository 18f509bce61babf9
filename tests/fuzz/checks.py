"""Whether a random program gives the same eagerly, compiled and in JAX.

JAX also runs with its inputs moved by a few units in the last place: how far its results move says
how well the program is conditioned, and so how far two right answers may lie apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.fuzz.programs import Program
from tests.fuzz.vocabulary import Vocabulary, fnad_vocabulary, jax_vocabulary

Results = list[np.ndarray[Any, Any]]
# How much more than the perturbed program's change is allowed, and than one rounding of the
# largest element: sums of a few hundred terms in another order stay below both.
_VARIATION_FACTOR = 30.0
_ROUNDINGS = 200.0


class RefusedError(Exception):
    """The oracle itself could not run the program."""


def forward(program: Program, vocabulary: Vocabulary) -> Callable[..., Any]:
    """Return the program itself."""
    return program.function(vocabulary)


def gradient(program: Program, vocabulary: Vocabulary) -> Callable[..., Any]:
    """Return the gradient, by all floating inputs, of a weighted sum of the floating results."""
    function, np_ = program.function(vocabulary), vocabulary.names["np"]

    def total(*arguments: Any) -> Any:
        weighted = np_.zeros(())
        for r in function(*arguments):
            if r.dtype.kind in "fc":
                weights = np_.cos(np_.arange(r.size, dtype="float64")).reshape(r.shape)
                weighted += np_.sum(weights * r.real) - np_.sum(weights * r.imag)
        return weighted

    argnums = tuple(i for i, a in enumerate(program.arguments) if a.dtype.kind in "fc")
    return vocabulary.fn.grad(total, argnums=argnums)


def tangent(program: Program, vocabulary: Vocabulary) -> Callable[..., Any]:
    """Return the directional derivative of the floating results along waves in the inputs."""
    function, np_ = program.function(vocabulary), vocabulary.names["np"]
    floating = [i for i, a in enumerate(program.arguments) if a.dtype.kind in "fc"]

    def directional(*arguments: Any) -> Any:
        def of_floating(*values: Any) -> Any:
            merged = list(arguments)
            for i, value in zip(floating, values, strict=True):
                merged[i] = value
            return [r for r in function(*merged) if r.dtype.kind in "fc"]

        primals = tuple(arguments[i] for i in floating)
        waves = tuple(
            np_.cos(np_.arange(x.size, dtype="float64")).reshape(x.shape).astype(x.dtype)
            for x in primals
        )
        return vocabulary.fn.jvp(of_floating, primals, waves)[1]

    return directional


def _over_versions(function: Callable[..., Any], vocabulary: Vocabulary) -> Callable[..., Any]:
    """Return a function mapped over three versions of its last argument."""
    np_ = vocabulary.names["np"]

    def mapped(*arguments: Any) -> Any:
        *others, last = arguments
        versions = np_.stack([last, last[::-1] if last.ndim else last, last])
        return vocabulary.fn.vmap(lambda x: function(*others, x))(versions)

    return mapped


def batched(program: Program, vocabulary: Vocabulary) -> Callable[..., Any]:
    """Return the program mapped over three versions of the last input."""
    return _over_versions(program.function(vocabulary), vocabulary)


def batched_gradient(program: Program, vocabulary: Vocabulary) -> Callable[..., Any]:
    """Return its gradient mapped over three versions of the last input."""
    return _over_versions(gradient(program, vocabulary), vocabulary)


CHECKS = {
    "forward": forward,
    "gradient": gradient,
    "batched": batched,
    "tangent": tangent,
    "batched_gradient": batched_gradient,
}
_DERIVATIVES = ("gradient", "tangent", "batched_gradient")


def disagreement(program: Program, check: str, with_jax: bool = True) -> str | None:
    """Return what is wrong with a program, in a line, or None.

    Raises
    ------
    RefusedError
        If JAX cannot run it or says nothing about it.
    """
    if check in _DERIVATIVES and not program.has_floating_inputs:
        raise RefusedError("no floating input")
    oracle = _Oracle(program, check) if with_jax else None
    runs = {}
    function = CHECKS[check](program, fnad_vocabulary())
    for name, run in {"eager": function, "jit": fnad_vocabulary().fn.jit(function)}.items():
        try:
            runs[name] = _results(run, program.arguments)
        except Exception as error:
            return f"{name} raises {type(error).__name__}: {str(error).splitlines()[0][:200]}"
    eager, compiled = runs["eager"], runs["jit"]
    spread = oracle.variation if oracle else [1e3 * program.eps for _ in eager]
    if found := _strict(eager, compiled) or _difference(compiled, eager, spread, program.eps):
        return f"{found} (jit, not eager)"
    if oracle and (found := _difference(eager, oracle.compiled, spread, program.eps)):
        if _difference(eager, oracle.step_by_step(), spread, program.eps) is None:
            raise RefusedError("JAX compiled differs from JAX op by op")
        return f"{found} (eager, not JAX)"
    return None


class _Oracle:
    """JAX's results, and how far each moves with the last digits of the inputs."""

    def __init__(self, program: Program, check: str) -> None:
        import jax

        self._program = program
        self._function = CHECKS[check](program, jax_vocabulary())
        run = jax.jit(self._function)
        try:
            self.compiled = _results(run, program.arguments)
            moved = [_results(run, _perturbed(program, sign)) for sign in (1, -1)]
        except Exception as error:
            raise RefusedError(f"JAX raises {type(error).__name__}") from error
        self.variation = [
            max(_movement(reference, other) for other in others)
            for reference, *others in zip(self.compiled, *moved, strict=True)
        ]

    def step_by_step(self) -> Results:
        """Return what JAX gives without its compiler's rewriting."""
        import jax

        with jax.disable_jit():
            return _results(self._function, self._program.arguments)


def _movement(reference: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    if reference.dtype.kind not in "fc":
        if not np.array_equal(reference, other):
            raise RefusedError("a whole number hangs on the last digits")
        return 0.0
    if not (np.all(np.isfinite(reference)) and np.all(np.isfinite(other))):
        raise RefusedError("JAX gives infinities or NaNs")
    return float(np.max(np.abs(reference.astype(np.complex128) - other), initial=0))


def _perturbed(program: Program, sign: int) -> list[Any]:
    """Return the inputs with floating ones moved by about four roundings, to and fro."""
    moved = []
    for array in program.arguments:
        if array.dtype.kind in "fc":
            waves = np.cos(np.arange(array.size)).reshape(array.shape)
            array = (array * (1 + sign * 4 * program.eps * waves)).astype(array.dtype)
        moved.append(array)
    return moved


def _results(function: Callable[..., Any], arguments: Any) -> Results:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [np.asarray(r) for r in function(*arguments)]


def _strict(eager: Results, compiled: Results) -> str | None:
    """Compiled results have the shapes and dtypes of eager ones."""
    for a, b in zip(eager, compiled, strict=True):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            return f"{a.dtype}{a.shape} and {b.dtype}{b.shape}"
    return None


def _difference(got: Results, want: Results, spread: list[float], eps: float) -> str | None:
    for number, (a, b, moves) in enumerate(zip(got, want, spread, strict=True)):
        if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
            return f"result {number}: {a.dtype}{a.shape} and {b.dtype}{b.shape}"
        if a.dtype.kind not in "fc":
            if not np.array_equal(a, b):
                return f"result {number}: unequal {a.dtype}"
        elif a.size:
            scale = float(np.max(np.abs(b), where=np.isfinite(b), initial=0))
            if not np.array_equal(np.isnan(a), np.isnan(b)):
                return f"result {number}: NaN in one of them only"
            apart = np.where((a == b) | np.isnan(a), 0, a.astype(np.complex128) - b)
            error = float(np.max(np.abs(apart)))
            if not error <= _VARIATION_FACTOR * moves + _ROUNDINGS * eps * max(scale, 1.0):
                return f"result {number}: apart by {error:.3g}, the largest is {scale:.3g}"
    return None
