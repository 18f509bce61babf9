"""Geometry, under the names of `scipy.spatial`."""

from fnad.scipy.spatial import transform

__all__ = ["transform"]
