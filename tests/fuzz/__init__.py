"""Random programs over the whole language: eager, compiled and by JAX they must agree.

``python -m tests.fuzz --programs 1000`` draws programs and prints those that disagree, made small.
"""
