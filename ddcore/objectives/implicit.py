"""Implicit gradients of kernel regression: networks are linearised, so that training one on the set has a single answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from ..inner import grads
from ..kernels import targets
from ..loop import Run
from ..parametrizations.base import Synthetic
from ..problem import B, Problem
from .kernel import FittingLoss, Platt, label_margin
from .networks import Networks, Pool

__all__ = ["ImplicitRegression"]

Tangent = list[Tensor]  # one of each parameter of the body


@dataclass(frozen=True)
class ImplicitRegression:
    r"""RCIG (Loo et al., ICML 2023, algorithm 1). A network at \psi is replaced by its linearisation

        f(x) = D_\psi f(x) t + w^T \phi(x)

    in a tangent t of the body and a readout w of the features \phi. Trained on the set with weight decay,

        \ell(t, S) = \min_w ( |y_s - f(x_s)|^2 + \lambda |w|^2 + \lambda |t|^2 ) / (2 |S| k),    \lambda = decay |S|

    is a quadratic in t, w being a ridge regression's. With t at its minimum, the loss L of real rows has the gradient
    dL/dS - d<v, d\ell/dt>/dS, where H v = dL/dt. Both linear systems are solved by `steps` conjugate gradients. The second,
    implicit term is made no longer than the first, tensor by tensor.
    """

    networks: Networks = Pool(number=30, lr=5e-5)
    n_real: int = 1024  # real rows in an update
    decay: float = 5e-4
    steps: int = 20  # 0: the networks' features as they are, without an implicit term
    loss: FittingLoss = Platt()
    margin: float = 1.0
    centre: bool = True  # of targets that are one of k
    clip: bool = True  # the implicit term's length

    def losses(self, problem: Problem[B], synthetic: Synthetic[B], run: Run) -> Iterator[Tensor | None]:
        fitting, leaves = self.loss.start(problem, run), synthetic.leaves()
        learned = synthetic.label_kind == "values"
        for net in self.networks.networks(problem, synthetic, run):
            real, fake = problem.data.sample(self.n_real, rng=run.rng), synthetic.batch(rng=run.rng)
            y_t = targets(problem, real, self.centre)
            y_s = targets(problem, fake, self.centre and not learned)
            f = _Linearised(net.eval(), fake)
            reg = self.decay * len(y_s)

            def dual(
                t: Tangent,
            ) -> tuple[Tensor, Tensor, Tensor]:  # features (s, d), coefficients (s, k), outputs' rest (s, k)
                phi, moved = f(fake, t)  # noqa: B023
                k_ss = phi @ phi.T
                rest = y_s - moved  # noqa: B023
                eye = torch.eye(len(k_ss), dtype=k_ss.dtype, device=k_ss.device)
                return phi, torch.linalg.solve(k_ss + reg * eye, rest), rest  # noqa: B023

            def ell(t: Tangent) -> Tensor:  # () = reg tr(rest^T (K + reg I)^-1 rest) / 2 with its minimal w
                _, a, rest = dual(t)
                return reg * ((a * rest).sum() + sum(x.square().sum() for x in t)) / (2 * rest.numel())  # noqa: B023

            def slope(t: Tangent) -> Tangent:  # d ell / dt
                t = [x.detach().requires_grad_() for x in t]
                return [_or_zero(g, x) for g, x in zip(grads(ell(t), t), t, strict=True)]

            zero = [torch.zeros_like(x) for x in f.body.values()]
            at_zero = slope(zero)

            def hessian(p: Tangent) -> Tangent:  # ell is a quadratic: the difference of its slopes
                return [a - b for a, b in zip(slope(p), at_zero, strict=True)]  # noqa: B023

            t = [x.requires_grad_() for x in _conjugate_gradients(hessian, [-g for g in at_zero], self.steps)]
            phi_s, a, _ = dual(t)
            phi_t, moved = f(real, t)
            loss = fitting(moved + phi_t.detach() @ phi_s.T @ a, y_t, real)
            if learned and self.margin:
                loss = loss - self.margin * label_margin(y_s, 0.5)
            found = torch.autograd.grad(
                loss, [*leaves, *t], retain_graph=True, allow_unused=True
            )  # `fake` is used again
            direct, g_t = found[: len(leaves)], [_or_zero(g, x) for g, x in zip(found[len(leaves) :], t, strict=True)]
            v = _conjugate_gradients(hessian, g_t, self.steps)
            implicit = _implicit(ell, [x.detach() for x in t], v, leaves)
            for p, g, h in zip(leaves, direct, implicit, strict=True):
                if g is not None:
                    h = torch.zeros_like(g) if h is None else h
                    p.grad = g - (h * (g.norm() / h.norm()).clamp(max=1).nan_to_num(0.0) if self.clip else h)
            yield loss.detach()


def _implicit(
    ell: Callable[[Tangent], Tensor], t: Tangent, v: Tangent, leaves: list[nn.Parameter]
) -> list[Tensor | None]:
    """d<v, d ell/dt>/dS: of a quadratic, half the difference of its values at t + v and t - v, whatever the length of v."""
    length = sum(x.square().sum() for x in v) ** 0.5
    if not float(length):
        return [None] * len(leaves)
    step = (sum(x.square().sum() for x in t) ** 0.5) / length
    ahead, behind = ([x + sign * step * d for x, d in zip(t, v, strict=True)] for sign in (1, -1))
    return grads((ell(ahead) - ell(behind)) / (2 * step), leaves)


class _Linearised:
    """A network's features, and how its logits move along a tangent of what the features depend on."""

    def __init__(self, net: nn.Module, batch: Any) -> None:
        self.net = net
        with torch.enable_grad():
            named = {k: p for k, p in net.named_parameters() if p.requires_grad}
            touched = grads(net(batch).features.sum(), list(named.values()))
        self.body = {k: p.detach() for (k, p), g in zip(named.items(), touched, strict=True) if g is not None}
        self.rest = {k: p.detach() for k, p in net.named_parameters() if k not in self.body}

    def __call__(self, batch: Any, t: Tangent) -> tuple[Tensor, Tensor]:  # (n, d), (n, k)
        def both(body: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            out = functional_call(self.net, {**self.rest, **body}, (batch,))
            return out.features, out.logits

        found: Any = jvp(both, (self.body,), (dict(zip(self.body, t, strict=True)),))
        (features, _), (_, moved) = found
        return features, moved


def _or_zero(g: Tensor | None, x: Tensor) -> Tensor:
    return torch.zeros_like(x) if g is None else g


def _dot(a: Tangent, b: Tangent) -> Tensor:
    return torch.stack([(x * y).sum() for x, y in zip(a, b, strict=True)]).sum()


def _conjugate_gradients(hessian: Callable[[Tangent], Tangent], b: Tangent, steps: int) -> Tangent:
    """x with H x = b after at most `steps` steps from 0; fewer where the residual vanishes (Hestenes and Stiefel 1952)."""
    x, r = [torch.zeros_like(g) for g in b], b
    p, rr = r, _dot(r, r)
    first = rr
    for _ in range(steps):
        if rr <= torch.finfo(rr.dtype).eps ** 2 * first:
            break
        hp = hessian(p)
        alpha = rr / _dot(p, hp)
        x = [u + alpha * d for u, d in zip(x, p, strict=True)]
        r = [u - alpha * d for u, d in zip(r, hp, strict=True)]
        rr, before = _dot(r, r), rr
        p = [u + rr / before * d for u, d in zip(r, p, strict=True)]
    return x
