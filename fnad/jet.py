"""Taylor mode, ``fnad.jet.jet`` (as ``jax.experimental.jet``)."""

from fnad.transforms.jet import jet

__all__ = ["jet"]
