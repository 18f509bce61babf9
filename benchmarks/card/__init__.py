"""Benchmarks on a card: their rows, the frameworks there, and the process that measures them."""
