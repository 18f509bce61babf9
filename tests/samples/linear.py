"""Rows for contraction, convolution, windows and other linear algebra."""


from fnad.testing import Sample

SAMPLES: dict[str, list[Sample]] = {}
