"""Kernels of infinitely wide graph networks."""
