"""Curvature (lcmat): the variance of row gradients in the classifier."""

import copy

import pytest
import torch
import toys
from gradients import Small, gradient, layer_cosine, start, update

from ddcore.objectives.gradient import CurvatureMatching, GradientMatching
from ddcore.objectives.networks import TrainedOnSet


@pytest.mark.parametrize("n_real", [6, 40])
def test_lcmat_matches_the_variance_of_row_gradients_in_the_classifier(n_real, monkeypatch):
    from ddcore.objectives import gradient as module

    monkeypatch.setattr(module, "rows_at_once", lambda *_: 16)  # real rows in pieces, where there are more
    drawn, s, rho = toys.recorded(Small), start(rows=3), 0.7
    x = s.x.detach().clone().requires_grad_()
    (loss,), g = update(CurvatureMatching(n_real=n_real, rho=rho), drawn, s)
    net = copy.deepcopy(drawn.networks[0])

    def variances(rows, label):
        each = [gradient(net, row[None], label)[2:] for row in rows]
        for parts in zip(*each):
            mean = sum(parts) / len(parts)
            yield sum((part - mean) ** 2 for part in parts) / len(parts)

    expected = 0.0
    for c in range(3):
        real = drawn.data.x[[i for ids in drawn.data.taken for i in ids if i % 3 == c]]
        fake = x[3 * c : 3 * c + 3]
        assert len(real) == n_real
        want = [w.detach() for w in gradient(net, real, c)]
        expected = expected + layer_cosine(gradient(net, fake, c), want)
        for v, w in zip(variances(fake, c), variances(real, c)):
            expected = expected + rho / 2 * (v - w.detach()).abs().sum()
    (dx,) = torch.autograd.grad(expected, x)
    assert loss == pytest.approx(expected.item(), rel=1e-9)
    assert torch.allclose(g, dx, rtol=1e-7, atol=1e-10)


def test_lcmat_without_curvature_is_dc():
    networks = TrainedOnSet(outer=2, epochs=2, lr=0.3)
    ends = []
    for objective in (
        CurvatureMatching(6, augment="match", networks=networks, rho=0.0),
        GradientMatching(6, augment="match", networks=networks),
    ):
        ends.append(update(objective, toys.recorded(Small), start(), steps=4))
    (losses, g), (other_losses, other_g) = ends
    assert losses == pytest.approx(other_losses, rel=1e-10)
    assert torch.allclose(g, other_g, rtol=1e-9, atol=1e-12)


def test_lcmat_has_a_constant_curvature_with_one_row_a_class():
    ends = [update(CurvatureMatching(6, rho=rho), toys.recorded(Small), start(rows=1)) for rho in (0.0, 1.0)]
    (plain, g), (bent, other) = ends
    assert bent[0] > plain[0]
    assert torch.allclose(g, other, rtol=1e-9, atol=1e-12)
