"""fnad (public names are installed when all parts exist)."""
