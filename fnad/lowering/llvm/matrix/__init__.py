"""Matrix products as kernels of their own, compiled once per process.

``variants`` and ``schedule`` decide how a product is computed; ``tiles``, ``dots``, ``packing`` and
``driver`` print the runtime's functions, with sizes and strides as run-time values; ``library``
compiles those that programs name; ``contractions`` prints the call of a plan's node.
"""
