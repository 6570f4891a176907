"""Experts and teachers: the paths of networks in training on real data, kept in a store and trained where they are absent."""

from .cost import Cost, estimate_experts
from .record import Snapshot, Trajectory
from .store import train_experts
from .training import Curriculum, Training

__all__ = ["Cost", "Curriculum", "Snapshot", "Training", "Trajectory", "estimate_experts", "train_experts"]
