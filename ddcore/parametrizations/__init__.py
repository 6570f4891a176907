"""What is learned: the contract, and sets of real rows."""

from .base import Selected, Synthetic

__all__ = ["Selected", "Synthetic"]
