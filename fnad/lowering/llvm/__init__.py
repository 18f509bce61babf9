"""The LLVM backend: prints plans as LLVM IR and has them compiled for this machine.

Reading order: ``writer`` (text of functions and loops), ``scalars`` (one method per scalar
operation), ``maths`` (vectorisable elementary functions), ``kernels``, ``matrix``, ``sorting``,
``leaves`` and ``work`` (nodes as functions over ranges of tasks), ``functions``, ``emitter`` (a
whole plan), ``table`` and ``threads`` (the runtime that makes the calls), ``split``, ``target``
(the compiler), ``cache`` (machine code on disk).
"""
