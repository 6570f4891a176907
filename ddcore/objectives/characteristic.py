"""Characteristic functions: distributions of features agree when E exp(i t . f) does, for the frequencies t that tell most."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import B, Output, Problem
from ..seeds import generator, stream, torch_seeded
from .features import Seen
from .moments import CalibratedMatching

__all__ = ["CharacteristicMatching", "FrequencyNet", "characteristic_distance"]


def characteristic_distance(real: Tensor, fake: Tensor, t: Tensor) -> Tensor:  # (n, d), (m, d), (frequencies, d) -> ()
    r"""mean over t of sqrt( (|\Phi_T| - |\Phi_S|)^2 / 2 + (|\Phi_T||\Phi_S| - Re \Phi_T \bar\Phi_S) ), \Phi(t) = E exp(i t . f):
    amplitude and phase with equal weights (NCFM, eq. 8), which together are |\Phi_T - \Phi_S| / sqrt(2)."""

    def phi(f: Tensor) -> tuple[Tensor, Tensor]:  # (rows, d) -> real and imaginary part, (frequencies,) each
        angles = f @ t.T
        return angles.cos().mean(0), angles.sin().mean(0)

    (a, b), (c, d) = phi(real), phi(fake)
    squared = (a - c).square() + (b - d).square()
    return squared.clamp_min(1e-12).sqrt().mean() / math.sqrt(2)


class FrequencyNet(nn.Module):
    """Noise to frequencies in (-1, 1)^d: three linear layers with BatchNorm (NCFM, section 3.3)."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(d, d), nn.BatchNorm1d(d), nn.LeakyReLU(0.2)),
            *(nn.Linear(d, d), nn.BatchNorm1d(d), nn.LeakyReLU(0.2)),
            *(nn.Linear(d, d), nn.BatchNorm1d(d), nn.Tanh()),
        )

    def forward(self, noise: Tensor) -> Tensor:  # (frequencies, d) -> (frequencies, d)
        t: Tensor = self.layers(noise)
        return t


@dataclass(frozen=True)
class CharacteristicMatching(CalibratedMatching):
    r"""NCFM (Wang et al., CVPR 2025, eq. 9): \min_S \max_\psi

        \sum_g  scale * C( \phi(T_g), \phi(S_g); t_\psi )  +  calibration * L(S_g, \theta_T)

    C is the characteristic distance of features of length one; the network t_\psi, which climbs, proposes its frequencies
    (without `learned`, normal noise is); \theta_T is a trained expert, all of one model, as in DANCE. `networks` is
    Interpolated between its ends.
    """

    frequencies: int = 4096
    learned: bool = True
    lr: float = 1e-3  # of the ascent: SGD, momentum 0.5
    scale: float = 300.0

    def look(self, out: Output) -> Seen:
        return (F.normalize(out.features, dim=1),)

    def distance(self, real: Seen, fake: Seen, g: int, run: Run) -> Tensor:  # ()
        (x,), (y, *losses) = real, fake
        loss = self.scale * characteristic_distance(x, y, self._frequencies(x, y, run))
        return loss + self.calibration * losses[0].mean() if losses else loss

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        if self.learned:
            some, model = stream(run.seed, "width"), self.experts[0].model if self.experts else None
            with torch.no_grad():
                features = problem.new_model(some, model)(synthetic.batch(rng=some)).features
            self._adversary(features, run)
        yield from super().losses(problem, synthetic, run)

    def _frequencies(self, x: Tensor, y: Tensor, run: Run) -> Tensor:  # (frequencies, d)
        """For this update; then the adversary takes its step up."""
        noise = torch.randn(self.frequencies, x.shape[1], generator=generator(run.rng), dtype=x.dtype).to(x.device)
        if not self.learned:
            return noise
        t_psi, opt = self._adversary(x, run)
        t: Tensor = t_psi(noise)
        opt.zero_grad()
        (-self.scale * characteristic_distance(x, y.detach(), t)).backward()
        opt.step()
        return t.detach()

    def _adversary(self, features: Tensor, run: Run) -> tuple[FrequencyNet, torch.optim.Optimizer]:
        def make(rng: random.Random) -> FrequencyNet:
            with torch_seeded(rng.getrandbits(63)):
                return FrequencyNet(features.shape[1]).to(features)

        t_psi = run.keep("frequencies", make)
        return t_psi, run.keep("climber", lambda _: torch.optim.SGD(t_psi.parameters(), lr=self.lr, momentum=0.5))
