"""What training loops have in common."""

from fnad.train.metrics import accuracy

__all__ = ["accuracy"]
