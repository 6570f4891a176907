"""Distribution matching beyond the mean of random features: covariances, memories, and what trained networks say of the set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..experts import Trajectory
from ..loop import Run
from ..problem import B, Output, Problem
from .features import FeatureMatching, Seen, mean_distance
from .networks import trained

__all__ = ["CalibratedMatching", "RelationMatching", "SemanticMatching", "covariance"]


def covariance(x: Tensor, lost: int = 0) -> Tensor:  # (n, c, ...) -> (c, c)
    """Of channels, around the mean of each position, summed over positions and averaged over n - `lost` rows."""
    z = (x - x.mean(0)).reshape(*x.shape[:2], -1)  # (n, c, positions)
    return torch.einsum("ncp,ndp->cd", z, z) / (len(x) - lost)


@dataclass(frozen=True)
class RelationMatching(FeatureMatching):
    r"""IID on DM (Deng et al., CVPR 2024, section 3; as in its code): the covariance of the last layer's channels agrees as well,
    and in the features \psi of a trained network the synthetic rows of a class are close to each other:

        \sum_g  \| mean \phi(T_g) - mean \phi(S_g) \|^2  +  \lambda_{CM} \| cov(T_g) - cov(S_g) \|^2
            +  \lambda_{CC} \sum_{s \in S_g} \| \psi(s) - mean \psi(S_g) \|^2

    With both weights 0 it is DM.
    """

    experts: Sequence[Trajectory] = ()  # psi is the end of one of them
    centralisation: float = 0.05  # lambda_CC
    covariance: float = 0.01  # lambda_CM

    def look(self, out: Output) -> Seen:
        return out.features, out.layers[-1]

    def judge(self, problem: Problem[B], net: nn.Module, run: Run) -> nn.Module | None:
        return trained(problem, self.experts, run.rng) if self.centralisation else None

    def judged(self, problem: Problem[B], judge: nn.Module | None, batch: B, out: Output) -> Seen:
        return () if judge is None else (judge(batch).features,)

    def distance(self, real: Seen, fake: Seen, g: int, run: Run) -> Tensor:  # ()
        total = mean_distance(real[0], fake[0])
        total = total + self.covariance * (covariance(real[1]) - covariance(fake[1])).square().sum()
        for psi in fake[2:]:
            total = total + self.centralisation * (psi - psi.mean(0)).square().sum()
        return total


@dataclass(frozen=True)
class SemanticMatching(FeatureMatching):
    r"""DSDM (Li et al., MM 2024; as in its code), in the features of trained networks:

        \sum_g  \| m(T_g) - m(S_g) \|^2  +  \frac{\lambda_C}{d} \| cov(T_g) - cov(S_g) \|^2
            +  \frac{\lambda_H}{d} \| m(S_g) - h_g \|^2,     h_g <- \mu h_g + (1 - \mu) m(S_g)

    with m the mean of the d features, and h_g the memory of what earlier networks saw in the set; it counts after `wait` updates.
    A single row has no covariance, and that term is left out. With random networks and both weights 0 it is DM.
    """

    covariance: float = 50.0  # lambda_C
    history: float = 0.2  # lambda_H
    smoothing: float = 0.99  # mu
    wait: int = 2000

    def distance(self, real: Seen, fake: Seen, g: int, run: Run) -> Tensor:  # ()
        (t,), (s,), d = real, fake, fake[0].shape[1]
        total, m = mean_distance(t, s), s.mean(0)
        if min(len(t), len(s)) > 1:
            total = total + self.covariance / d * (covariance(t, lost=1) - covariance(s, lost=1)).square().sum()
        h: Tensor = run.state.get(f"h {g}", m.detach()).to(m.device)
        if run.step > self.wait:
            total = total + self.history / d * (m - h).square().sum()
        run.state[f"h {g}"] = torch.lerp(m.detach(), h, self.smoothing)
        return total


@dataclass(frozen=True)
class CalibratedMatching(FeatureMatching):
    r"""DANCE (Zhang et al., IJCAI 2024, eq. 4 to 7): DM in networks between an expert's start and end, `Interpolated` (the view
    inside a class), and the set's loss on experts at their end, \theta_T (the view between classes):

        \sum_g  \| mean \phi(T_g) - mean \phi(S_g) \|^2  +  \lambda  mean_{s \in S_g} L(s, \theta_T)

    With random networks and \lambda = 0 it is DM.
    """

    experts: Sequence[Trajectory] = ()  # theta_T is the end of one of them
    calibration: float = 1.0  # lambda

    def judge(self, problem: Problem[B], net: nn.Module, run: Run) -> nn.Module | None:
        return trained(problem, self.experts, run.rng) if self.calibration else None

    def judged(self, problem: Problem[B], judge: nn.Module | None, batch: B, out: Output) -> Seen:
        return () if judge is None else (problem.task.losses(judge(batch), batch),)

    def distance(self, real: Seen, fake: Seen, g: int, run: Run) -> Tensor:  # ()
        total = mean_distance(real[0], fake[0])
        for losses in fake[1:]:
            total = total + self.calibration * losses.mean()
        return total
