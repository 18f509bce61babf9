"""Interpolation (`scipy.interpolate`): of values on lines and on grids."""

from fnad.scipy.interpolate.barycentric import BarycentricInterpolator
from fnad.scipy.interpolate.bsplines import BSpline
from fnad.scipy.interpolate.fitpack import (
    spalde,
    splantider,
    splder,
    splev,
    splint,
    splrep,
    sproot,
)
from fnad.scipy.interpolate.grids import RegularGridInterpolator, interpn
from fnad.scipy.interpolate.hermite import (
    Akima1DInterpolator,
    CubicHermiteSpline,
    PchipInterpolator,
)
from fnad.scipy.interpolate.lines import InterpolatedUnivariateSpline, interp1d
from fnad.scipy.interpolate.piecewise import PPoly
from fnad.scipy.interpolate.spline_fitting import (
    make_interp_spline,
    make_lsq_spline,
    make_smoothing_spline,
)
from fnad.scipy.interpolate.splines import CubicSpline

__all__ = [
    "Akima1DInterpolator",
    "BSpline",
    "BarycentricInterpolator",
    "CubicHermiteSpline",
    "CubicSpline",
    "InterpolatedUnivariateSpline",
    "PPoly",
    "PchipInterpolator",
    "RegularGridInterpolator",
    "interp1d",
    "interpn",
    "make_interp_spline",
    "make_lsq_spline",
    "make_smoothing_spline",
    "spalde",
    "splantider",
    "splder",
    "splev",
    "splint",
    "splrep",
    "sproot",
]
