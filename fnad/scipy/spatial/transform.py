"""Rotations of space, and ways from one to the next, as `jax.scipy.spatial.transform` has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

import fnad.numpy as fnp
from fnad import random
from fnad.numpy.indexing import getitem
from fnad.numpy.operands import Array, convert, to_inexact
from fnad.primitives.logic import stop_gradient
from fnad.tree import register_dataclass

# Squares of sines of half an angle below which roots are taken from their series.
_SMALL = 1e-6
# Nearer to where two axes are parallel, one of the angles is not determined.
_LOCKED = 1e-7


def _real(x: Any, name: str, *last: int) -> Array:
    """A floating array whose last axes have these lengths, perhaps one more axis before them."""
    x = to_inexact(fnp.asarray(x))
    if x.ndim not in (len(last), len(last) + 1) or x.shape[x.ndim - len(last) :] != last:
        wanted = ", ".join(map(str, last))
        raise ValueError(f"{name} must have shape ({wanted}) or (N, {wanted}), got {x.shape}")
    if x.dtype.kind == "c":
        raise TypeError(f"{name} must be real, got dtype {x.dtype}")
    return x


def _normalized(q: Array) -> Array:
    # By a power of two first, which is exact, so that no square over- or underflows.
    largest = fnp.max(fnp.abs(stop_gradient(q)), -1, keepdims=True, initial=0)
    exponent = fnp.frexp(fnp.where(fnp.isfinite(largest), largest, 1))[1]
    exponent = fnp.maximum(exponent, 1 - np.finfo(q.dtype).maxexp)
    q = q * fnp.ldexp(fnp.ones((), q.dtype), -exponent)
    return q / fnp.sqrt(fnp.sum(q * q, -1, keepdims=True))


def _series(s: Array, near: Sequence[float], far: Callable[[Array], Array]) -> Array:
    """A smooth function of squares: near 0, where roots have no slope, by its series."""
    small = s < _SMALL
    value = fnp.zeros_like(s)
    for coefficient in reversed(near):
        value = value * s + coefficient
    return fnp.where(small, value, far(fnp.where(small, 1, s)))


def _product(p: Array, q: Array) -> Array:
    """Hamilton's product of quaternions (x, y, z, w)."""
    a, b = p[..., :3], q[..., :3]
    v, w = p[..., 3:], q[..., 3:]
    return fnp.concatenate(
        [v * b + w * a + fnp.cross(a, b), v * w - fnp.sum(a * b, -1, keepdims=True)], -1
    )


def _canonical(q: Array) -> Array:
    """Of the two quaternions of a rotation, the one whose w is positive.

    If that is 0, the first of x, y, z that is not.
    """
    negative = fnp.zeros_like(q[..., 0], dtype=bool)
    for k in (2, 1, 0, 3):
        part = q[..., k]
        negative = fnp.where(part == 0, negative, part < 0)
    return fnp.where(negative[..., None], -q, q)


@register_dataclass
@dataclass(frozen=True)
class Rotation:
    """A rotation of space, or a sequence of them; a container of one array, its quaternions.

    Make them with the methods ``from_...``. All of it can be traced, differentiated and batched.

    Parameters
    ----------
    quat : array
        Quaternions of length 1, ``(4,)`` or ``(N, 4)``: x, y, z, w.

    Examples
    --------
    >>> quarter = Rotation.from_euler("z", 90, degrees=True)
    >>> quarter.apply(np.array([1.0, 0.0, 0.0])).round(6) + 0
    array([0., 1., 0.])
    >>> (quarter * quarter).as_rotvec(degrees=True)
    array([  0.,   0., 180.])
    """

    quat: Any

    # -- from other descriptions ---------------------------------------------------------------

    @classmethod
    def from_quat(cls, quat: Any) -> Rotation:
        """Rotations by quaternions (x, y, z, w) of any length but 0."""
        return cls(_normalized(_real(quat, "quat", 4)))

    @classmethod
    def from_matrix(cls, matrix: Any) -> Rotation:
        """Rotations by orthogonal matrices ``(..., 3, 3)`` of determinant 1 (Shepperd, 1978).

        Of a matrix whose determinant is not positive, it is NaN.
        """
        m = _real(matrix, "matrix", 3, 3)
        diagonal = [m[..., k, k] for k in range(3)]
        trace = diagonal[0] + diagonal[1] + diagonal[2]
        candidates = []
        for i in range(3):  # the quaternion, multiplied by four times its element i
            j, k = (i + 1) % 3, (i + 2) % 3
            parts: list[Any] = [None] * 4
            parts[i] = 1 - trace + 2 * diagonal[i]
            parts[j] = m[..., j, i] + m[..., i, j]
            parts[k] = m[..., k, i] + m[..., i, k]
            parts[3] = m[..., k, j] - m[..., j, k]
            candidates.append(fnp.stack(parts, -1))
        sines = [
            m[..., (k + 2) % 3, (k + 1) % 3] - m[..., (k + 1) % 3, (k + 2) % 3] for k in range(3)
        ]
        candidates.append(fnp.stack([*sines, 1 + trace], -1))
        largest = fnp.argmax(fnp.stack([*diagonal, trace], -1), -1)
        chosen = candidates[3]
        for k in range(3):
            chosen = fnp.where((largest == k)[..., None], candidates[k], chosen)
        proper = fnp.sum(fnp.cross(m[..., 0, :], m[..., 1, :]) * m[..., 2, :], -1) > 0
        return cls(_normalized(fnp.where(proper[..., None], chosen, m.dtype.type(np.nan))))

    @classmethod
    def from_rotvec(cls, rotvec: Any, degrees: bool = False) -> Rotation:
        """Rotations around vectors ``(..., 3)``, by angles that are their lengths."""
        v = _real(rotvec, "rotvec", 3)
        v = fnp.radians(v) if degrees else v
        s = fnp.sum(v * v, -1, keepdims=True) / 4
        sine = _series(s, (0.5, -1 / 12, 1 / 240), lambda s: fnp.sin(fnp.sqrt(s)) / fnp.sqrt(s) / 2)
        cosine = _series(s, (1.0, -1 / 2, 1 / 24), lambda s: fnp.cos(fnp.sqrt(s)))
        return cls(fnp.concatenate([v * sine, cosine], -1))

    @classmethod
    def from_mrp(cls, mrp: Any) -> Rotation:
        """Rotations by modified Rodrigues parameters, axes times tangents of a quarter angle."""
        p = _real(mrp, "mrp", 3)
        s = fnp.sum(p * p, -1, keepdims=True)
        return cls(fnp.concatenate([2 * p, 1 - s], -1) / (1 + s))

    @classmethod
    def from_euler(cls, seq: str, angles: Any, degrees: bool = False) -> Rotation:
        """Rotations around one, two or three coordinate axes, one after the other.

        Parameters
        ----------
        seq : str
            The axes: of "xyz" for axes that stay, of "XYZ" for those that rotate along.
        angles : array_like
            ``(len(seq),)`` or ``(N, len(seq))``; for one axis also ``()`` or ``(N,)``.
        degrees : bool
            Whether angles are in degrees.
        """
        axes, along = _axes(seq, (1, 2, 3))
        x = to_inexact(fnp.asarray(angles))
        x = fnp.radians(x) if degrees else x
        if len(axes) == 1 and (x.ndim < 2):
            x = x[..., None]
        if x.ndim not in (1, 2) or x.shape[-1] != len(axes):
            raise ValueError(
                f"angles for the axes {seq!r} must have {len(axes)} columns, got shape"
                f" {np.shape(angles)}"
            )
        total: Any = None
        for k, axis in enumerate(axes):
            half = x[..., k] / 2
            parts = [fnp.zeros_like(half)] * 3
            parts[axis] = fnp.sin(half)
            one = fnp.stack([*parts, fnp.cos(half)], -1)
            if total is None:
                total = one
            else:
                total = _product(total, one) if along else _product(one, total)
        return cls(total)

    @classmethod
    def identity(cls, num: int | None = None, dtype: Any = float) -> Rotation:
        """The rotation that moves nothing, or ``num`` of it."""
        quat = np.array([0, 0, 0, 1], dtype)
        return cls(quat if num is None else np.tile(quat, (num, 1)))

    @classmethod
    def random(cls, random_key: Any, num: int | None = None) -> Rotation:
        """Uniformly distributed rotations, from a key of `fnad.random`."""
        shape = (4,) if num is None else (num, 4)
        return cls(_normalized(random.normal(random_key, shape, np.float64)))

    @classmethod
    def concatenate(cls, rotations: Sequence[Rotation]) -> Rotation:
        """One sequence of several rotations and sequences."""
        return cls(fnp.concatenate([fnp.reshape(r.quat, (-1, 4)) for r in rotations]))

    # -- to other descriptions -----------------------------------------------------------------

    def as_quat(self, canonical: bool = False, scalar_first: bool = False) -> Array:
        """Quaternions (x, y, z, w), or (w, x, y, z); of the two, the one with positive w."""
        quat = _canonical(self.quat) if canonical else self.quat
        return fnp.roll(quat, 1, -1) if scalar_first else quat

    def as_matrix(self) -> Array:
        """Matrices ``(..., 3, 3)``."""
        x, y, z, w = (self.quat[..., k] for k in range(4))
        rows = [
            [x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), -x * x + y * y - z * z + w * w, 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), -x * x - y * y + z * z + w * w],
        ]
        return fnp.stack([fnp.stack(row, -1) for row in rows], -2)

    def as_rotvec(self, degrees: bool = False) -> Array:
        """Axes times angles, which are at most pi (180 ``degrees``)."""
        q = _canonical(self.quat)
        s = fnp.sum(q[..., :3] ** 2, -1, keepdims=True)
        w = q[..., 3:]
        scale = _series(
            s, (2.0, 1 / 3, 3 / 20), lambda s: 2 * fnp.arctan2(fnp.sqrt(s), w) / fnp.sqrt(s)
        )
        vector = q[..., :3] * scale
        return fnp.degrees(vector) if degrees else vector

    def as_mrp(self) -> Array:
        """Modified Rodrigues parameters, of lengths up to 1."""
        q = fnp.where(self.quat[..., 3:] < 0, -self.quat, self.quat)
        return q[..., :3] / (1 + q[..., 3:])

    def as_euler(self, seq: str, degrees: bool = False) -> Array:
        """Angles of rotations around three coordinate axes; see `from_euler`.

        Where the first and the last axis are parallel after the second rotation, only their sum or
        difference is determined: then the last angle is 0.

        References
        ----------
        Bernardes and Viollet (2022), "Quaternion to Euler angles conversion".
        """
        axes, along = _axes(seq, (3,))
        i, j, k = axes[::-1] if along else axes
        symmetric = i == k
        k = 3 - i - j if symmetric else k
        sign = (i - j) * (j - k) * (k - i) // 2
        q = [self.quat[..., n] for n in range(4)]
        if symmetric:
            a, b, c, d = q[3], q[i], q[j], q[k] * sign
        else:
            a, b, c, d = q[3] - q[j], q[i] + q[k] * sign, q[j] + q[3], q[k] * sign - q[i]
        middle = 2 * fnp.arctan2(fnp.hypot(c, d), fnp.hypot(a, b))
        total, difference = fnp.arctan2(b, a), fnp.arctan2(d, c)
        low, high = fnp.abs(middle) <= _LOCKED, fnp.abs(middle - np.pi) <= _LOCKED
        first, third = total - difference, total + difference
        if not symmetric:
            third, middle = third * sign, middle - np.pi / 2
        first, third = (third, first) if along else (first, third)
        alone = 2 * fnp.where(low, total, difference if along else -difference)
        alone = alone * sign if along and not symmetric else alone
        first = fnp.where(low | high, alone, first)
        third = fnp.where(low | high, 0, third)
        angles = fnp.stack([first, middle, third], -1)
        angles = fnp.where(angles < -np.pi, angles + 2 * np.pi, angles)
        angles = fnp.where(angles > np.pi, angles - 2 * np.pi, angles)
        return fnp.degrees(angles) if degrees else angles

    # -- what is done with them ----------------------------------------------------------------

    def apply(self, vectors: Any, inverse: bool = False) -> Array:
        """Rotate vectors ``(3,)`` or ``(N, 3)``, all by one rotation, or each by its own."""
        vectors = _real(vectors, "vectors", 3)
        matrix = self.as_matrix()
        return fnp.einsum("...ji,...j->...i" if inverse else "...ij,...j->...i", matrix, vectors)

    def __mul__(self, other: Rotation) -> Rotation:
        """The rotation ``other``, followed by this one."""
        if not isinstance(other, Rotation):
            return NotImplemented
        p, q = fnp.broadcast_arrays(self.quat, other.quat)
        return Rotation(_normalized(_product(p, q)))

    def inv(self) -> Rotation:
        """The rotation back."""
        return Rotation(self.quat * np.array([-1, -1, -1, 1], self.quat.dtype))

    def magnitude(self) -> Array:
        """The angles of rotation, from 0 to pi."""
        s = fnp.sum(self.quat[..., :3] ** 2, -1)
        away = s > 0  # the root of 0 has no slope
        sine = fnp.where(away, fnp.sqrt(fnp.where(away, s, 1)), 0)
        return 2 * fnp.arctan2(sine, fnp.abs(self.quat[..., 3]))

    def mean(self, weights: Any = None) -> Rotation:
        """The rotation for which the weighted sum of squared sines of half angles is least.

        References
        ----------
        Markley et al. (2007), "Averaging quaternions".
        """
        quat = fnp.reshape(self.quat, (-1, 4))
        weights = np.ones(quat.shape[0]) if weights is None else fnp.asarray(weights)
        if weights.shape != quat.shape[:1]:
            raise ValueError(f"mean: weights must have shape {quat.shape[:1]}, got {weights.shape}")
        if not quat.shape[0]:
            raise ValueError("mean: there are no rotations")
        if isinstance(weights, np.ndarray) and (weights < 0).any():
            raise ValueError("mean: weights must not be negative")
        weighted = convert(weights, quat.dtype)[:, None] * quat
        return Rotation(fnp.linalg.eigh(weighted.T @ quat)[1][:, -1])

    @property
    def single(self) -> bool:
        """Whether this is one rotation and no sequence."""
        return bool(self.quat.ndim == 1)

    def __len__(self) -> int:
        if self.single:
            raise TypeError("a single Rotation has no length")
        return int(self.quat.shape[0])

    def __getitem__(self, index: Any) -> Rotation:
        if self.single:
            raise TypeError("a single Rotation has no elements")
        return Rotation(getitem(self.quat, index))


def _axes(seq: str, lengths: Sequence[int]) -> tuple[list[int], bool]:
    """The axes that letters name, and whether they rotate along."""
    if not isinstance(seq, str):
        raise TypeError(f"seq must be a string of axes, got {type(seq).__name__}")
    along = seq.isupper()
    axes = ["xyz".find(letter) for letter in seq.lower()]
    plain = seq in (seq.lower(), seq.upper()) and -1 not in axes
    if len(axes) not in lengths or not plain or any(a == b for a, b in pairwise(axes)):
        raise ValueError(
            f"seq must be {' or '.join(map(str, lengths))} letters of 'xyz' or of 'XYZ', no two"
            f" neighbours equal, got {seq!r}"
        )
    return axes, along


@register_dataclass
@dataclass(frozen=True)
class Slerp:
    """Interpolation of rotations at a constant velocity; make it with `init`.

    Examples
    --------
    >>> turns = Rotation.from_euler("z", np.array([0.0, 90.0, 270.0]), degrees=True)
    >>> between = Slerp.init(np.array([0.0, 1.0, 2.0]), turns)
    >>> between(np.array([0.5, 1.0])).as_euler("zyx", degrees=True).round(6)[:, 0]
    array([45., 90.])
    """

    times: Any
    timedelta: Any
    rotations: Rotation
    rotvecs: Any

    @classmethod
    def init(cls, times: Any, rotations: Rotation) -> Slerp:
        """The interpolation of ``N >= 2`` rotations at ascending times ``(N,)``."""
        if not isinstance(rotations, Rotation) or rotations.single or len(rotations) < 2:
            raise ValueError("Slerp: rotations must be a Rotation of at least 2 elements")
        quat = rotations.quat
        times = fnp.asarray(times, quat.dtype)
        if times.shape != (len(rotations),):
            raise ValueError(
                f"Slerp: {len(rotations)} rotations need as many times, got shape {times.shape}"
            )
        steps = fnp.diff(times)
        if isinstance(steps, np.ndarray) and not (steps > 0).all():
            raise ValueError("Slerp: times must be strictly ascending")
        begins = Rotation(quat[:-1])
        return cls(times, steps, begins, (begins.inv() * Rotation(quat[1:])).as_rotvec())

    def __call__(self, times: Any) -> Rotation:
        """The rotations at times ``()`` or ``(M,)``; outside, the nearest turn goes on."""
        t = fnp.asarray(times, self.times.dtype)
        if t.ndim > 1:
            raise ValueError(f"Slerp: times must have at most one axis, got shape {t.shape}")
        last = self.timedelta.shape[0] - 1
        step = fnp.clip(fnp.searchsorted(self.times, t, "right") - 1, 0, last)
        part = (t - getitem(self.times, step)) / getitem(self.timedelta, step)
        turn = Rotation.from_rotvec(getitem(self.rotvecs, step) * part[..., None])
        return Rotation(getitem(self.rotations.quat, step)) * turn


__all__ = ["Rotation", "Slerp"]
