"""What methods of audio match that no objective of the core does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.loop import Run
from ddcore.objectives.features import FeatureMatching, Seen, mean_distance

__all__ = ["ContrastiveMeans"]


@dataclass(frozen=True)
class ContrastiveMeans(FeatureMatching):
    r"""DisTrack: class means agree in random networks, and each synthetic mean s_g is nearer to its own class's real mean t_g
    than to another's,

        \sum_g \| t_g - s_g \|^2  -  \lambda / G  \sum_g \log ( e^{\cos(s_g, t_g) / \tau} / \sum_h e^{\cos(s_g, t_h) / \tau} )
    """

    one_by_one: bool = False  # groups are compared with each other
    weight: float = 0.2  # lambda
    temperature: float = 0.1  # tau

    def distance(self, real: Seen, fake: Seen, g: int, run: Run) -> Tensor:  # ()
        return mean_distance(real[0], fake[0])

    def matched(self, real: Mapping[int, Seen], fake: Mapping[int, Seen], run: Run) -> Tensor:  # ()
        want, have = (torch.stack([seen[0].mean(0) for seen in side.values()]) for side in (real, fake))  # (G, d)
        closeness = F.normalize(have, dim=1) @ F.normalize(want, dim=1).T / self.temperature  # (G, G)
        told_apart = F.cross_entropy(closeness, torch.arange(len(have), device=have.device))
        return super().matched(real, fake, run) + self.weight * told_apart
