"""Linear maps that are not matrices (`scipy.sparse`)."""

from fnad.scipy.sparse import linalg

__all__ = ["linalg"]
