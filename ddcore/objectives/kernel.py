"""Kernel regression: ridge regression on the set predicts real rows, and the set follows the gradient of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import UnknownName, choices
from ..kernels import ridge, targets
from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import B, Output, Problem
from .networks import Networks, Pool

__all__ = [
    "Blocks",
    "FeatureKernels",
    "FittingLoss",
    "Infinite",
    "KernelRegression",
    "Kernels",
    "Platt",
    "Squared",
    "label_margin",
    "solve_labels",
]

Blocks = Callable[[Any, Any], tuple[Tensor, Tensor]]
"""(real batch, synthetic batch) -> K_ts (n, s) and K_ss (s, s)."""


# ---------------------------------------------------------------------------------------------------------------------
# kernels


class Kernels(Protocol):
    """A generator of kernels, one for each update; it calls `run.boundary()` as network policies do."""

    def kernels(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Blocks]: ...


@dataclass(frozen=True)
class Infinite:
    """A kernel of the problem, of a network of infinite width (KIP); of several, one is drawn for each update."""

    names: tuple[str, ...]  # in problem.kernels

    def kernels(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Blocks]:
        known = problem.kernels
        for name in self.names:
            if name not in known:
                raise UnknownName(f"no kernel {name!r} in {problem.name}.{choices(name, known)}")
        while True:
            run.boundary()
            k = known[run.rng.choice(self.names)]
            yield lambda real, fake, k=k: (k(real, fake), k(fake, fake))  # type: ignore[misc]


@dataclass(frozen=True)
class FeatureKernels:
    r"""2 \Phi \Phi^T / d + \sigma_b^2 over the d features of a network: the NNGP of a readout layer (RFAD, FRePo). Networks are
    in evaluation mode, and real rows are constants."""

    networks: Networks
    bias: float = 0.0  # sigma_b^2

    def kernels(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Blocks]:
        def k(a: Tensor, b: Tensor) -> Tensor:  # (n, d), (m, d) -> (n, m)
            return 2 / a.shape[1] * a @ b.T + self.bias

        def blocks(real: B, fake: B, phi: nn.Module) -> tuple[Tensor, Tensor]:
            with torch.no_grad():
                t = phi(real).features
            s = phi(fake).features
            return k(t, s), k(s, s)

        for phi in self.networks.networks(problem, synthetic, run):
            phi.eval()
            yield lambda real, fake, phi=phi: blocks(real, fake, phi)  # type: ignore[misc]


# ---------------------------------------------------------------------------------------------------------------------
# losses of the predictions


class FittingLoss(Protocol):
    """What predictions of real rows cost. `start` makes what must survive a resume, before the first boundary."""

    def start(self, problem: Problem[B], run: Run) -> Callable[[Tensor, Tensor, B], Tensor]:
        """(predictions (n, k), targets (n, k), real batch) -> ()"""
        ...


@dataclass(frozen=True)
class Squared:
    """1/2 |y - prediction|^2, mean over rows."""

    def start(self, problem: Problem[B], run: Run) -> Callable[[Tensor, Tensor, B], Tensor]:
        return lambda prediction, y, batch: 0.5 * (prediction - y).square().sum(1).mean()


class _LogScale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))


@dataclass(frozen=True)
class Platt:
    r"""The task's loss of e^\tau times the predictions, \tau learned along with the set (RFAD, section 3.3: Platt scaling)."""

    lr: float = 1e-2  # of tau: Adam

    def start(self, problem: Problem[B], run: Run) -> Callable[[Tensor, Tensor, B], Tensor]:
        tau = run.keep("platt", lambda _: _LogScale().to(problem.device)).value
        opt = run.keep("platt_optimiser", lambda _: torch.optim.Adam([tau], lr=self.lr))

        def scaled(prediction: Tensor, tau: Tensor, batch: B) -> Tensor:
            return problem.task.loss(Output(tau.exp() * prediction, prediction), batch)

        def loss(prediction: Tensor, y: Tensor, batch: B) -> Tensor:
            found = scaled(prediction, tau.detach().clone(), batch)
            opt.zero_grad()
            torch.autograd.backward(scaled(prediction.detach(), tau, batch), inputs=[tau])
            opt.step()
            return found

        return loss


# ---------------------------------------------------------------------------------------------------------------------
# the objective


@dataclass(frozen=True)
class KernelRegression:
    r"""KIP (Nguyen et al., ICLR 2021, eq. 5), and with the kernel of networks RFAD (Loo et al., NeurIPS 2022) and FRePo (Zhou et
    al., NeurIPS 2022, algorithm 1): on real rows (x_t, y_t), drawn anew,

        L( y_t,  K_ts (K_ss + \lambda I)^{-1} y_s ),   \lambda = reg tr(K_ss) / |S|

    One-hot targets are centred, y - 1/k; learned labels of kind "values" are taken as they are. FRePo adds for these
    `margin` times the mean of -min(largest - second largest entry, 1/k).
    """

    kernel: Kernels = FeatureKernels(Pool())
    n_real: int = 1024  # real rows in an update
    reg: float = 1e-6
    loss: FittingLoss = Squared()
    margin: float = 0.0
    centre: bool = True  # of targets that are one of k

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        loss = self.loss.start(problem, run)
        learned = synthetic.label_kind == "values"
        for kernel in self.kernel.kernels(problem, synthetic, run):
            real, fake = problem.data.sample(self.n_real, rng=run.rng), synthetic.batch(rng=run.rng)
            y_t = targets(problem, real, self.centre)
            y_s = targets(problem, fake, self.centre and not learned)
            k_ts, k_ss = kernel(real, fake)
            total = loss(k_ts @ ridge(k_ss, y_s, self.reg), y_t, real)
            if self.margin and learned:
                total = total - self.margin * label_margin(y_s)
            yield total


def label_margin(y: Tensor, most: float = 1.0) -> Tensor:  # (s, k) -> ()
    """How far a row's largest entry is ahead of its second, at most `most` / k; the mean over rows."""
    first, second = y.topk(2).values.unbind(1)
    return (first - second).clamp(max=most / y.shape[1]).mean()


@torch.no_grad()
def solve_labels(
    problem: Problem[B],
    synthetic: Synthetic[B],
    kernel: Callable[[B, B], Tensor],
    reg: float = 1e-6,
    *,
    centre: bool = True,
    size: int = 1000,  # real rows read at once
) -> Tensor:  # (s, k)
    r"""Label solve (Nguyen et al., ICLR 2021, algorithm 2): the labels of fixed rows from which ridge regression predicts all
    real training rows best, the least-squares solution of K_ts (K_ss + \lambda I)^{-1} y_s = y_t, of least norm."""
    rows = synthetic.batch()
    k_ss = kernel(rows, rows).double()
    inverse = ridge(k_ss, torch.eye(len(k_ss), dtype=torch.float64, device=k_ss.device), reg)  # (s, s)
    batches = list(problem.data.batches("train", size))
    k_ts = torch.cat([kernel(batch, rows) for batch in batches]).double()  # (n, s)
    y_t = torch.cat([targets(problem, batch, centre) for batch in batches])  # (n, k)
    y_s: Tensor = torch.linalg.pinv(k_ts @ inverse) @ y_t.double()
    return y_s.to(y_t.dtype)
