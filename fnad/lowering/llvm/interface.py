"""What compiled programs and their callers agree on."""

from __future__ import annotations

# The function that a program begins with.
ENTRY = "fnad.entry"

# Where in the arena a program says how many bytes for a tape it did not get.
MISSING_OFFSET = 8
