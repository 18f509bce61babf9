"""Rows for gather, scatter, dynamic slices."""

from fnad.testing import Sample

SAMPLES: dict[str, list[Sample]] = {}
