"""Native calls: memory of results, and calls of compiled functions without Python in between.

Reading order: ``capi`` (CPython and NumPy seen from machine code), ``pool``, ``routine``,
``signatures``, ``calls``. The code itself is LLVM IR: ``pool.ll``, and ``objects.ll``,
``leaves.ll``, ``arguments.ll``, ``results.ll``, ``trees.ll``, ``calls.ll``.
"""
