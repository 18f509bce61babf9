"""Benchmarks of fnad against JAX and PyTorch: ``python -m benchmarks``."""
