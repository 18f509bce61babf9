"""The primitives, one file a family; each primitive is one block with all its rules."""
