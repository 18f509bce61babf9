"""The primitives, one file a family; each primitive is one block with all its rules."""

import fnad.primitives.masked_products  # strong zeros are made of it
import fnad.primitives.shape  # noqa: F401 - says how zeros are made (install_zeros)
