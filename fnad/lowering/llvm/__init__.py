"""The LLVM backend: prints plans as LLVM IR and has them compiled for this machine.

Reading order: ``writer`` (text of functions and loops), ``scalars`` (one method per scalar
operation), ``maths`` (vectorisable elementary functions), ``kernels``, ``matrix``, ``sorting``,
``emitter`` (a whole plan), ``target`` (the compiler).
"""
