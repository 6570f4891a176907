"""Characteristic functions (ncfm): the distance by complex numbers, and the adversary that climbs."""

import cmath
import copy
import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from formulas import (
    CLASS,
    SGD,
    Given,
    checked,
    cross_entropy,
    ends,
    experts,
    gradient,
    plain,
    rows,
    small,
    start,
)

from ddcore.loop import Run, optimise
from ddcore.objectives.characteristic import CharacteristicMatching, FrequencyNet, characteristic_distance
from ddcore.objectives.features import mean_distance
from ddcore.objectives.networks import Interpolated, trained
from ddcore.rows import Rows
from ddcore.seeds import generator, stream, torch_seeded


def by_complex_numbers(real, fake, t):
    """Amplitude and phase of the two characteristic functions, in Python's complex arithmetic."""
    total = []
    for frequency in t.tolist():
        a, b = (
            sum(cmath.exp(1j * math.fsum(u * v for u, v in zip(frequency, f, strict=True))) for f in x.tolist())
            / len(x)
            for x in (real, fake)
        )
        amplitude, phase = (abs(a) - abs(b)) ** 2, 2 * (abs(a) * abs(b) - (a * b.conjugate()).real)
        total.append(math.sqrt(0.5 * amplitude + 0.5 * phase))
    return math.fsum(total) / len(total)


@pytest.mark.parametrize("n", [1, 4])
def test_characteristic_distance_is_its_complex_formula(n):
    real, t = rows(6, 3), rows(5, 3, 2)
    checked(lambda y: characteristic_distance(real, y, t), lambda y: by_complex_numbers(real, y, t), rows(n, 3, 1))


def test_at_small_frequencies_the_distance_is_that_of_the_means():
    r"""C / eps -> mean_t |t . (mu_T - mu_S)| / sqrt(2), which for normal t is the root of DM's distance over sqrt(pi)."""
    real, y, t = rows(8, 3), rows(4, 3, 1), rows(4000, 3, 2)
    small_, g = gradient(lambda y: characteristic_distance(real, y, 1e-4 * t) / 1e-4, y)
    along, h = gradient(lambda y: (t @ (real.mean(0) - y.mean(0))).abs().mean() / math.sqrt(2), y)
    assert small_ == pytest.approx(along, rel=1e-3)
    torch.testing.assert_close(g, h, rtol=1e-2, atol=1e-4)
    assert small_ == pytest.approx(math.sqrt(mean_distance(real, y).item() / math.pi), rel=0.05)


def between(drawn, **options):
    """Few frequencies of two made-up experts, without augmentation."""
    found = experts(drawn.problem)
    networks = Given(drawn.problem.new_model(stream("between")))
    return CharacteristicMatching(CLASS, None, networks, experts=found, frequencies=4, **options)


def apart(f, h, t):
    """Amplitudes and phases of the characteristic functions of f and h at t, with equal weights."""
    (a, b), (c, d) = (((z @ t.T).cos().mean(0), (z @ t.T).sin().mean(0)) for z in (f, h))
    amplitude = ((a**2 + b**2).sqrt() - (c**2 + d**2).sqrt()) ** 2
    phase = 2 * ((a**2 + b**2).sqrt() * (c**2 + d**2).sqrt() - a * c - b * d)
    return (0.5 * amplitude + 0.5 * phase).sqrt().mean()


def test_characteristic_matching_is_its_formula():
    """Features of length one, 300 times the distance, and the loss under a trained expert."""
    drawn = small()
    drawn.problem = plain(drawn)
    objective = between(drawn, learned=False)
    (loss,), x = ends(objective, steps=1, drawn=drawn)
    net, s, y = objective.networks.net, start().x.detach().requires_grad_(), torch.arange(3).repeat_interleave(2)

    # the draws of the run, in the order of the frame: omega, real and synthetic rows, the expert, then frequencies by group
    run = Run(0)
    for bits in (31, 63, 63):
        run.rng.getrandbits(bits)
    teacher = trained(drawn.problem, objective.experts, run.rng)
    total = 0.0
    for g in range(3):
        f, h = (
            (lambda z: z / z.norm(dim=1, keepdim=True))(net(Rows(x)).features)
            for x in (drawn.data.x[list(drawn.data.ids(g))], s[2 * g : 2 * g + 2])
        )
        t = torch.randn(4, 32, generator=generator(run.rng), dtype=torch.float64)
        logits = teacher(Rows(s[2 * g : 2 * g + 2])).logits
        total = total + 300 * apart(f, h, t) + cross_entropy(logits, g)
    assert len(y) == 6
    assert loss == pytest.approx(total.item(), rel=1e-9)
    torch.testing.assert_close(x, (s - 0.5 * torch.autograd.grad(total, s)[0]).detach(), rtol=1e-8, atol=1e-10)


def test_without_calibration_and_adversary_it_is_the_characteristic_distance():
    drawn = small()
    drawn.problem = plain(drawn)
    objective = between(drawn, learned=False, calibration=0.0)
    (loss,), _ = ends(objective, steps=1, drawn=drawn)
    net, s, rng, total = objective.networks.net, start().x.detach(), Run(0).rng, 0.0
    for bits in (31, 63, 63):
        rng.getrandbits(bits)
    for g in range(3):
        x, y = (
            (lambda z: z / z.norm(dim=1, keepdim=True))(net(Rows(x)).features)
            for x in (drawn.data.x[list(drawn.data.ids(g))], s[2 * g : 2 * g + 2])
        )
        total += 300 * characteristic_distance(x, y, torch.randn(4, 32, generator=generator(rng), dtype=torch.float64))
    assert loss == pytest.approx(total.item(), rel=1e-10)


def test_the_adversary_climbs_after_each_class():
    """Two updates: frequencies of the noise as they are, then a step of SGD with momentum 0.5 up; the set goes down."""
    drawn = small()
    drawn.problem = plain(drawn)
    losses, x = ends(between(drawn, lr=0.02, calibration=0.0), steps=2, drawn=drawn)
    net, s, rng = between(drawn).networks.net, start().x.detach(), Run(0).rng
    with torch_seeded(rng.getrandbits(63)):
        theta = [p.detach().double().requires_grad_() for p in FrequencyNet(32).parameters()]
    velocity = [torch.zeros_like(p) for p in theta]

    def frequencies(z):
        for i in range(0, len(theta), 4):
            weight, bias, scale, shift = theta[i : i + 4]
            z = z @ weight.T + bias
            z = (z - z.mean(0)) / ((z - z.mean(0)).square().mean(0) + 1e-5).sqrt() * scale + shift
            z = z.tanh() if i + 4 == len(theta) else torch.where(z > 0, z, 0.2 * z)
        return z

    for loss in losses:
        for bits in (31, 63, 63):
            rng.getrandbits(bits)
        s, total = s.detach().requires_grad_(), 0.0
        for g in range(3):
            f, h = (
                (lambda z: z / z.norm(dim=1, keepdim=True))(net(Rows(rows)).features)
                for rows in (drawn.data.x[list(drawn.data.ids(g))], s[2 * g : 2 * g + 2])
            )
            t = frequencies(torch.randn(4, 32, generator=generator(rng), dtype=torch.float64))
            total = total + 300 * apart(f, h, t.detach())
            up = torch.autograd.grad(300 * apart(f.detach(), h.detach(), t), theta)
            for k, (p, d) in enumerate(zip(theta, up)):
                velocity[k] = 0.5 * velocity[k] + d
                theta[k] = (p + 0.02 * velocity[k]).detach().requires_grad_()
        assert loss == pytest.approx(total.item(), rel=1e-8)
        s = s - 0.5 * torch.autograd.grad(total, s)[0]
    torch.testing.assert_close(x, s.detach(), rtol=1e-6, atol=1e-9)


def test_learned_frequencies_climb():
    """On a set that stands still, the adversary finds frequencies that tell more than those it began with."""
    drawn = small()
    drawn.problem = plain(drawn)
    still = partial(torch.optim.SGD, lr=0.0)
    losses, _ = ends(between(drawn, lr=3e-3, calibration=0.0), steps=60, optimiser=still, drawn=drawn)
    assert sum(losses[-10:]) > 1.1 * sum(losses[:10])


@pytest.mark.parametrize("at", [1, -1])
def test_a_resumed_run_of_the_adversary_equals_an_uninterrupted_one(at):
    drawn = small()
    p, s, saved = plain(drawn), start(), []
    objective = replace(between(drawn), networks=Interpolated(experts(p)), experts=experts(p))
    whole, cut = copy.deepcopy(s), copy.deepcopy(s)
    a = optimise(p, whole, objective, steps=6, optimiser=SGD, checkpoint=lambda take: saved.append(take()))
    assert 0 < saved[at]["step"] < 6
    b = optimise(p, cut, objective, steps=6, optimiser=SGD, resume=saved[at])
    assert torch.equal(whole.x, cut.x)
    assert a.history == b.history
