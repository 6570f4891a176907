"""Meta-learning: the loss on real rows of a network that was trained on the set, differentiated through that training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from ..inner import Memory, unroll
from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import B, Problem
from ..recipes import Rule
from .networks import Fresh, Networks

__all__ = ["BackpropThroughTraining"]


@dataclass(frozen=True)
class BackpropThroughTraining:
    r"""DD (Wang et al., arXiv 2018, algorithm 1):

        \min_{S, \eta}  E_{\theta_0} L(T, \theta_K),   \theta_{k+1} = \theta_k - \eta_k \nabla L(S_k, \theta_k)

    A set that prescribes its steps has its own K, S_k and \eta_k. With a `window` shorter than K it is RaT-BPTT (Feng et al.,
    ICLR 2024, algorithm 1): training stops at a drawn step, and only the window's last steps before it are differentiated.
    `rule="momentum"` is the inner loop of Deng and Russakovsky (NeurIPS 2022, algorithm 1). Networks that train on between
    updates (`TrainedOnSet`) make it the second-order label distillation of Bohdal et al. (2020).
    """

    steps: int = 30  # K, unless the set prescribes its own
    window: int | None = None  # W; None: all of K
    n_real: int = 1024  # rows of T, drawn anew at each update
    size: int | None = None  # rows of S_k; None: the whole set
    rule: Rule = "sgd"  # of the inner loop
    augment: str | None = None  # the augmentation of S_k
    networks: Networks = Fresh()
    memory: Memory = "replay"

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        training = problem.training_with(self.augment)
        K = synthetic.train_steps or self.steps  # noqa: N806
        W = min(self.window or K, K)  # noqa: N806
        for net in self.networks.networks(problem, synthetic, run):
            theta = {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}  # theta_0
            skipped, order = run.rng.randint(0, K - W), run.rng.getrandbits(31)
            trained = unroll(
                training,
                net,
                theta,
                synthetic,
                steps=skipped + W,
                burn_in=skipped,
                seed=order,
                size=self.size,
                rule=self.rule,
                memory=self.memory,
            )
            yield problem.loss(net, problem.data.sample(self.n_real, rng=run.rng), {**theta, **trained})
