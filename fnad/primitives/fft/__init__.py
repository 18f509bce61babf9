"""Discrete Fourier transforms.

`transform` is the primitive; `decomposition` makes passes of it, `passes` is one of them, in which
`butterflies` are computed. `factors` says which passes there are for a length.
"""
