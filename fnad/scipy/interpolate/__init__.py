"""Interpolation (`scipy.interpolate`): of values on lines and on grids."""

from fnad.scipy.interpolate.barycentric import BarycentricInterpolator
from fnad.scipy.interpolate.grids import RegularGridInterpolator
from fnad.scipy.interpolate.hermite import (
    Akima1DInterpolator,
    CubicHermiteSpline,
    PchipInterpolator,
)
from fnad.scipy.interpolate.piecewise import PPoly
from fnad.scipy.interpolate.splines import CubicSpline

__all__ = [
    "Akima1DInterpolator",
    "BarycentricInterpolator",
    "CubicHermiteSpline",
    "CubicSpline",
    "PPoly",
    "PchipInterpolator",
    "RegularGridInterpolator",
]
