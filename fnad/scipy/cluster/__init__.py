"""Clusters of points, under the names of `scipy.cluster`."""

from fnad.scipy.cluster import vq

__all__ = ["vq"]
