"""The foundation every other folder stands on: types, IR, tracer, pytrees, errors.

Nothing in this folder knows any primitive by name, any transform or any backend.
Reading order: ``types``, ``ir``, ``primitive``, ``tracer``, ``interpret``.
"""
