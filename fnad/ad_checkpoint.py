"""Rematerialisation, as ``jax.ad_checkpoint`` names it."""

from fnad.primitives.checkpoint import checkpoint, checkpoint_name, checkpoint_policies
from fnad.transforms.residuals import print_saved_residuals, saved_residuals

__all__ = [
    "checkpoint",
    "checkpoint_name",
    "checkpoint_policies",
    "print_saved_residuals",
    "saved_residuals",
]
