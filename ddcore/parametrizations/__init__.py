"""What is learned: the contract, and sets of real rows."""

from .base import RealRows, Selected, Synthetic

__all__ = ["RealRows", "Selected", "Synthetic"]
