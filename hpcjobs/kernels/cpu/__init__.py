"""Numba twins of the kernels."""
