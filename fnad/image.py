"""Images of other sizes: resampling along axes, with the names of ``jax.image``."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnad import numpy as fnp
from fnad.core.types import is_half
from fnad.numpy.operands import Array, convert, to_inexact
from fnad.numpy.ranges import positions

__all__ = ["ResizeMethod", "resize", "scale_and_translate"]


class ResizeMethod(enum.Enum):
    """How values between the pixels of an image are made.

    ``NEAREST`` takes the pixel whose square holds the place; the others are sums over pixels with
    weights by distance: ``LINEAR`` a triangle, ``CUBIC`` the kernel of R. Keys, "Cubic convolution
    interpolation for digital image processing" (1981), with a = -1/2, ``LANCZOS3`` and
    ``LANCZOS5`` sinc under a window of 3 or 5 of its lobes.
    """

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4

    @staticmethod
    def from_string(s: str) -> ResizeMethod:
        """Return the method of a name; "bilinear" and "bicubic" are "linear" and "cubic"."""
        if s not in _NAMES:
            raise ValueError(f"image: the method must be one of {', '.join(_NAMES)}, got {s!r}")
        return _NAMES[s]


_NAMES = {
    "nearest": ResizeMethod.NEAREST,
    **dict.fromkeys(["linear", "bilinear", "trilinear", "triangle"], ResizeMethod.LINEAR),
    **dict.fromkeys(["cubic", "bicubic", "tricubic"], ResizeMethod.CUBIC),
    "lanczos3": ResizeMethod.LANCZOS3,
    "lanczos5": ResizeMethod.LANCZOS5,
}


def _triangle(x: Any) -> Any:
    return fnp.maximum(0.0, 1.0 - x)


def _keys(x: Any) -> Any:
    near = ((1.5 * x - 2.5) * x) * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return fnp.where(x < 1.0, near, fnp.where(x < 2.0, far, 0.0))


def _lanczos(lobes: float) -> Callable[[Any], Any]:
    return lambda x: fnp.where(x < lobes, fnp.sinc(x) * fnp.sinc(x / lobes), 0.0)


# Weights by the distance from the place, in pixels.
_KERNELS: dict[ResizeMethod, Callable[[Any], Any]] = {
    ResizeMethod.LINEAR: _triangle,
    ResizeMethod.CUBIC: _keys,
    ResizeMethod.LANCZOS3: _lanczos(3.0),
    ResizeMethod.LANCZOS5: _lanczos(5.0),
}
# Below this sum of weights a place has no neighbours to speak of.
_LEAST_SUM = 1000 * float(np.finfo(np.float32).eps)


def resize(
    image: Any,
    shape: Sequence[int],
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = None,
) -> Array:
    """Resample an image to another shape; its corners stay where they are.

    Pixel ``i`` of an axis is a square from ``i`` to ``i + 1`` with its value in the middle.

    Parameters
    ----------
    image : array
        Of any rank; integers become floating numbers, but for ``"nearest"``.
    shape : sequence of int
        Of the result, as many as ``image`` has axes. Axes that keep their size are left alone.
    method : str or ResizeMethod
        ``"nearest"``, ``"linear"`` (or ``"bilinear"``, ``"trilinear"``, ``"triangle"``),
        ``"cubic"`` (or ``"bicubic"``, ``"tricubic"``), ``"lanczos3"``, ``"lanczos5"``.
    antialias : bool
        Whether to average over what becomes one pixel where the image gets smaller, rather than
        look only at the pixels next to the middle of each.
    precision
        For the sake of JAX's signature; it changes nothing.

    Returns
    -------
    array of shape ``shape``

    Raises
    ------
    ValueError
        If ``shape`` is of another rank, or there is no such method.

    Examples
    --------
    >>> import numpy as np
    >>> resize(np.array([1.0, 3.0]), (4,), "linear")
    array([1. , 1.5, 2.5, 3. ])
    >>> resize(np.array([[1, 2, 3, 4]]), (1, 2), "nearest")
    array([[2, 4]])
    """
    image = fnp.asarray(image)
    sizes = _sizes("resize", image, shape)
    changed = [axis for axis, n in enumerate(sizes) if n != image.shape[axis]]
    kind = _kind(method)
    if kind is ResizeMethod.NEAREST:
        for axis in changed:
            image = _nearest(image, axis, sizes[axis])
        return image
    scales = [max(sizes[axis], 1) / max(image.shape[axis], 1) for axis in changed]
    return _resampled(image, sizes, changed, scales, [0.0] * len(changed), kind, antialias)


def scale_and_translate(
    image: Any,
    shape: Sequence[int],
    spatial_dims: Sequence[int],
    scale: Any,
    translation: Any,
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = None,
) -> Array:
    """Scale an image about its corner, move it, and cut out or fill up with zeros to a shape.

    The point ``x`` of the image comes to ``x * scale + translation`` of the result. All of it,
    ``scale`` and ``translation`` included, can be differentiated.

    Parameters
    ----------
    image : array
        Of any rank; integers become floating numbers.
    shape : sequence of int
        Of the result, as many as ``image`` has axes.
    spatial_dims : sequence of int
        The axes that are resampled; the others must keep their sizes.
    scale, translation : array
        ``(len(spatial_dims),)``: factors, and pixels of the result.
    method : str or ResizeMethod
        As for `resize`, but for ``"nearest"``.
    antialias : bool
        As for `resize`.
    precision
        For the sake of JAX's signature; it changes nothing.

    Returns
    -------
    array of shape ``shape``

    Raises
    ------
    ValueError
        If shapes disagree, or there is no such method.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> scale_and_translate(x, (4,), (0,), np.array([1.0]), np.array([1.0]), "linear")
    array([0., 1., 2., 3.])
    """
    image = fnp.asarray(image)
    sizes = _sizes("scale_and_translate", image, shape)
    axes = [_axis(image, axis) for axis in spatial_dims]
    for axis, n in enumerate(sizes):
        if axis not in axes and n != image.shape[axis]:
            raise ValueError(
                f"scale_and_translate: axis {axis} is not one of spatial_dims {tuple(axes)}, so it"
                f" must keep its size {image.shape[axis]}, but shape has {n}"
            )
    for name, values in (("scale", scale), ("translation", translation)):
        if fnp.shape(values) != (len(axes),):
            raise ValueError(
                f"scale_and_translate: {name} must have the shape ({len(axes)},), a number for each"
                f" of spatial_dims, got {fnp.shape(values)}"
            )
    kind = _kind(method)
    if kind is ResizeMethod.NEAREST:
        raise ValueError("scale_and_translate: there is no method nearest; use linear, or resize")
    scales, translations = fnp.asarray(scale), fnp.asarray(translation)
    count = range(len(axes))
    return _resampled(
        image,
        sizes,
        axes,
        [scales[i] for i in count],
        [translations[i] for i in count],
        kind,
        antialias,
    )


def _kind(method: str | ResizeMethod) -> ResizeMethod:
    return method if isinstance(method, ResizeMethod) else ResizeMethod.from_string(method)


def _sizes(name: str, image: Array, shape: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(shape)
    if len(sizes) != image.ndim:
        raise ValueError(
            f"{name}: shape must have a size for each axis of the image, which has the shape"
            f" {image.shape}, got {sizes}"
        )
    return sizes


def _axis(image: Array, axis: int) -> int:
    if not -image.ndim <= axis < image.ndim:
        raise ValueError(
            f"scale_and_translate: spatial_dims has {axis}, the image has {image.ndim} axes"
        )
    return axis % image.ndim


def _nearest(image: Array, axis: int, size: int) -> Array:
    middles = (positions(0, size) + 0.5) * (image.shape[axis] / max(size, 1))
    return fnp.take(image, (middles // 1).astype(np.int32), axis=axis)


def _resampled(
    image: Array,
    sizes: Sequence[int],
    axes: Sequence[int],
    scales: Sequence[Any],
    translations: Sequence[Any],
    method: ResizeMethod,
    antialias: bool,
) -> Array:
    image = to_inexact(image)
    dtype = image.dtype
    if is_half(dtype):
        image = convert(image, np.dtype(np.float32))
    for axis, scale, translation in zip(axes, scales, translations, strict=True):
        given = image.shape[axis], sizes[axis]
        weights = _weights(*given, scale, translation, _KERNELS[method], antialias)
        weights = convert(weights, image.real.dtype)
        image = fnp.moveaxis(fnp.tensordot(image, weights, ((axis,), (0,))), -1, axis)
    return convert(image, dtype)


def _weights(
    old: int, new: int, scale: Any, translation: Any, kernel: Callable[[Any], Any], antialias: bool
) -> Array:
    """What each of the old pixels counts in each of the new ones, ``(old, new)``.

    For images: a signal of 100,000 samples would want a better way than a product of matrices. In
    double precision: places in wide images take the better part of single precision's digits.
    """
    step = 1.0 / fnp.asarray(scale, np.float64)
    places = (positions(0, new) + 0.5 - fnp.asarray(translation, np.float64)) * step - 0.5
    width = fnp.maximum(step, 1.0) if antialias else 1.0
    weights = kernel(abs(places - positions(0, old)[:, None]) / width)
    total = weights.sum(0)
    heard = abs(total) > _LEAST_SUM
    within = (places >= -0.5) & (places <= old - 0.5)
    return fnp.where(heard & within, weights / fnp.where(heard, total, 1.0), 0.0)
