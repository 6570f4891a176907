"""Coresets: which real rows stand for a class; one policy a file."""

from .base import Policy, choose
from .herding import herding
from .k_center import k_center
from .k_means import k_means
from .uniform import uniform

__all__ = ["Policy", "choose", "herding", "k_center", "k_means", "uniform"]
