"""Kernels of infinitely wide ReLU networks, on plain tensors: a modality registers them on its batches as `problem.kernels`."""

from .convolutional import Convolutional, PooledConvolutional
from .fully_connected import FullyConnected
from .ridge import KernelMachine, one_row_per_class, ridge, targets

__all__ = [
    "Convolutional",
    "FullyConnected",
    "KernelMachine",
    "PooledConvolutional",
    "one_row_per_class",
    "ridge",
    "targets",
]
