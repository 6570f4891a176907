"""What is matched where a set is discrete: gradients of the classifier, through the probability of a text or through vectors
that are kept near words."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ddcore.inner import fit, optimiser
from ddcore.loop import Run
from ddcore.objectives.gradient import cosine
from ddcore.objectives.networks import Networks, TrainedOnReal
from ddcore.parametrizations import Synthetic
from ddcore.problem import Problem

from .heads import head_gradients
from .parametrizations import EmbeddingSequences, GeneratedTexts

__all__ = ["GeneratorMatching", "NearWords", "text_weights", "trained_on_real"]


def text_weights(rates: Tensor, temperature: float) -> Tensor:  # (n,) -> (n,), sum to one
    r"""softmax(-l / \tau) over the mean token losses of texts: the generator's probability of each among them (DiLM, eq. 5)."""
    return (-rates / temperature).softmax(0)


@dataclass(frozen=True)
class GeneratorMatching:
    r"""DiLM (Maekawa et al. 2024, section 3.2): for the texts s_j that a generator wrote in a class,

        1 - cos( g_real, \sum_j w_j g(s_j) ),   w = softmax(-l / \tau),

    averaged over classes. g is the gradient of the classifier alone; the texts are discrete, and only w depends on the generator.
    They are written anew for each network.
    """

    n_syn: int = 64
    n_real: int = 200
    temperature: float = 1.0
    networks: Networks = TrainedOnReal(outer=10, steps=20)

    def losses(self, problem: Problem[Any], synthetic: Synthetic[Any], run: Run) -> Iterator[Tensor]:
        assert isinstance(synthetic, GeneratedTexts), "a generator is matched"
        before: nn.Module | None = None
        texts: dict[int, Tensor] = {}
        for net in self.networks.networks(problem, synthetic, run):
            if net is not before:
                y = {g: torch.full((self.n_syn,), g, device=problem.device) for g in synthetic.counts}
                texts, before = {g: synthetic.write(y[g], run.rng) for g in y}, net
            terms = []
            for g, tokens in texts.items():
                with torch.no_grad():
                    real = problem.data.sample(self.n_real, g, rng=run.rng)
                    fake = synthetic.sentences(tokens, y[g])
                    want = head_gradients(net(real), problem.task.targets(real)).mean(0)
                    each = head_gradients(net(fake), problem.task.targets(fake))  # (n, k, d + 1)
                w = text_weights(synthetic.model.rates(tokens, y[g]), self.temperature)
                terms.append(cosine([torch.einsum("n,nkd->kd", w, each)], [want]))
            yield torch.stack(terms).mean()


Project = Callable[[Tensor], Tensor]
"""Vectors (n, t, d) to those of words."""


@dataclass(frozen=True)
class NearWords:
    r"""GRADMM (Nguyen et al. 2025, algorithm 1), the alternating direction method of multipliers: vectors x match the gradient of
    the classifier while they are drawn to the words z,

        z = P(x + \lambda / \rho);   x = argmin D(x) + \rho/2 \| x - z + \lambda / \rho \|^2;   \lambda += \rho (x - z)

    with D = 1 - cos(g(x), g_real) and `inner` updates for x; \lambda starts at 0. One network is matched throughout, trained on
    `before` minibatches of real texts: it stands for the paper's pretrained one.
    """

    project: Project
    inner: int = 50
    rho: float = 0.1
    n_real: int = 100
    before: int = 100
    model: str | None = None

    def losses(self, problem: Problem[Any], synthetic: Synthetic[Any], run: Run) -> Iterator[Tensor]:
        assert isinstance(synthetic, EmbeddingSequences), "vectors are matched"
        x, weights = synthetic.x, synthetic.mask.unsqueeze(-1).to(synthetic.x.dtype)
        net = run.keep("net", lambda rng: trained_on_real(problem, run.rng, self.before, self.model))
        while True:
            run.boundary()
            dual: Tensor = run.state.setdefault("dual", torch.zeros_like(x))
            with torch.no_grad():
                z = self.project(x + dual / self.rho)
                real = {g: problem.data.sample(self.n_real, g, rng=run.rng) for g in synthetic.counts}
                want = {g: self._gradient(problem, net, batch) for g, batch in real.items()}
            for _ in range(self.inner):
                far = ((x - z + dual / self.rho) * weights).square().sum((1, 2)).mean()
                have = {g: self._gradient(problem, net, synthetic.batch(g, run.rng)) for g in synthetic.counts}
                matched = torch.stack([cosine([have[g]], [want[g]]) for g in have]).mean()
                run.log(matched=float(matched.detach()), far=float(far.detach()))
                yield matched + self.rho / 2 * far
            run.state["dual"] = dual + self.rho * (x.detach() - z)

    def _gradient(self, problem: Problem[Any], net: nn.Module, batch: Any) -> Tensor:  # (k, d + 1)
        return head_gradients(net(batch), problem.task.targets(batch)).mean(0)


def trained_on_real(problem: Problem[Any], rng: random.Random, steps: int, model: str | None = None) -> nn.Module:
    """A network of the zoo after `steps` of Adam on 64 real texts each: what stands for a pretrained one."""
    net = problem.new_model(rng, model)
    batches = ((problem.data.sample(64, rng=rng), torch.tensor(1e-3)) for _ in range(steps))
    return fit(problem, net, batches, optimiser(net, "adam", 1e-3)).requires_grad_(False)
