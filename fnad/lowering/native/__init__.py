"""Native calls: memory of results, and calls of compiled functions without Python in between.

Reading order: ``capi`` (CPython and NumPy seen from machine code), ``pool``, ``signatures``,
``calls``; ``pool.ll`` and ``calls.ll`` are the code itself.
"""
