"""Kernels of infinitely wide ReLU networks, on plain tensors: a modality registers them on its batches as `problem.kernels`."""

from .convolutional import Convolutional, PooledConvolutional
from .fully_connected import FullyConnected
from .ridge import KernelMachine, ridge, targets

__all__ = ["Convolutional", "FullyConnected", "KernelMachine", "PooledConvolutional", "ridge", "targets"]
