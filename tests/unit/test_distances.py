"""Distances beyond means: each equals its formula written out, and without its idea its ancestor."""

import cmath
import copy
import math
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from statistics import NormalDist, fmean, stdev

import numpy as np
import pytest
import torch
import toys

from ddcore.errors import NotSupported
from ddcore.experts import Trajectory
from ddcore.loop import Run, optimise
from ddcore.methods.distribution_distances import BACON, IDM
from ddcore.objectives.barycentre import BarycentreMatching, barycentre, class_targets, transport
from ddcore.objectives.bayesian import BayesianMatching, negative_log_likelihood
from ddcore.objectives.characteristic import CharacteristicMatching, FrequencyNet, characteristic_distance
from ddcore.objectives.classwise import ClasswiseMatching, mark
from ddcore.objectives.distribution import DistributionMatching
from ddcore.objectives.features import mean_distance
from ddcore.objectives.gradient import GroupwiseMatching
from ddcore.objectives.layers import LayerMatching
from ddcore.objectives.mmd import KernelMatching, gaussian, linear, mmd2
from ddcore.objectives.networks import Fresh, Interpolated, Queue, trained
from ddcore.objectives.quantiles import QuantileMatching, quantile_distance, quantiles
from ddcore.problem import Metric, Output
from ddcore.rows import Classification, Rows, RowSynthetic
from ddcore.seeds import generator, stream, torch_seeded

SGD = partial(torch.optim.SGD, lr=0.5)
CLASS = 16  # training rows of each class of the small problem


def rows(n, d, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def start(n=2, seed=0):
    """n rows of each of three classes of pictures."""
    g = torch.Generator().manual_seed(seed)
    return RowSynthetic(dict.fromkeys(range(3), n), torch.randn(3 * n, 1, 8, 8, generator=g, dtype=torch.float64))


@dataclass(frozen=True)
class Given:
    """One network, always."""

    net: torch.nn.Module

    def networks(self, problem, synthetic, run):
        while True:
            run.boundary()
            yield self.net


def small(**options):
    drawn = toys.recorded(n=90, **options)
    assert all(len(drawn.data.ids(g)) == CLASS for g in range(3))
    return drawn


def ends(objective, steps=3, n=2, optimiser=SGD, drawn=None):
    """Losses and rows after a few updates: equal where objectives are equal."""
    s = start(n)
    run = optimise((drawn or small()).problem, s, objective, steps=steps, optimiser=optimiser)
    return [h["loss"] for h in run.history], s.x.detach()


def the_same(one, other, tolerance=1e-10):
    assert one[0] == pytest.approx(other[0], rel=tolerance)
    torch.testing.assert_close(one[1], other[1], rtol=tolerance, atol=tolerance)


def gradient(f, x):
    x = x.clone().requires_grad_()
    value = f(x)
    return value.item(), torch.autograd.grad(value, x)[0]


def numerically(f, x, h=1e-6):
    """df/dx, one entry at a time, of a function of plain numbers."""
    found = torch.zeros_like(x)
    for i in range(x.numel()):
        e = torch.zeros_like(x).flatten()
        e[i] = h
        found.view(-1)[i] = (f(x + e.view_as(x)) - f(x - e.view_as(x))) / (2 * h)
    return found


def checked(f, reference, x):
    """A distance and its gradient against a formula on plain numbers."""
    value, g = gradient(f, x)
    assert value == pytest.approx(float(reference(x)), rel=1e-9)
    torch.testing.assert_close(g, numerically(reference, x), rtol=1e-5, atol=1e-7)


# ---------------------------------------------------------------------------------------------------------------------
# m3d: kernels


def by_double_sums(real, fake, k):
    """MMD^2 as three double sums over pairs of rows."""
    real, fake = real.tolist(), fake.tolist()

    def mean(xs, ys):
        return math.fsum(k(x, y) for x in xs for y in ys) / (len(xs) * len(ys))

    return mean(real, real) - 2 * mean(real, fake) + mean(fake, fake)


def squared(x, y):
    return math.fsum((a - b) ** 2 for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("n", [1, 3])
def test_gaussian_kernel_matching_is_its_double_sum(n):
    real = rows(6, 3) * 2
    apart = sorted(squared(x, y) for i, x in enumerate(real.tolist()) for j, y in enumerate(real.tolist()) if i != j)
    variance = apart[(len(apart) - 1) // 2]

    def k(x, y):
        return variance * math.exp(-squared(x, y) / (2 * variance))

    checked(lambda y: mmd2(real, y, gaussian(real)), lambda y: by_double_sums(real, y, k), rows(n, 3, 1))


@pytest.mark.parametrize("n", [1, 3])
def test_linear_kernel_matching_is_its_double_sum(n):
    real = rows(6, 3)

    def k(x, y):
        return math.fsum(a * b for a, b in zip(x, y, strict=True))

    checked(lambda y: mmd2(real, y, linear(real)), lambda y: by_double_sums(real, y, k), rows(n, 3, 1))


def test_a_linear_kernel_is_distribution_matching():
    options = {"n_real": 40, "augment": "match"}
    dm = ends(DistributionMatching(**options))
    the_same(ends(KernelMatching(**options, kernel="linear")), dm)
    assert not torch.allclose(ends(KernelMatching(**options))[1], dm[1])


def test_a_class_of_one_real_row_has_a_kernel_of_width_one():
    """Copies of a row, which rounding may hold apart, are no measure of distance; the set is drawn to them all the same."""
    row, y = rows(1, 3), rows(2, 3, 1)
    for real in (row, row.repeat(5, 1), (row + 1e-9 * rows(5, 3, 2))):

        def k(x, y):
            return math.exp(-squared(x, y) / 2)

        checked(lambda y, real=real: mmd2(real, y, gaussian(real)), lambda y, real=real: by_double_sums(real, y, k), y)


def test_a_wide_gaussian_kernel_is_a_linear_one():
    """Seen from real rows that are far apart, synthetic rows whose distances are small."""
    far = torch.cat([rows(4, 3), rows(4, 3) + 1e4])
    near, y = rows(4, 3), rows(3, 3, 1)
    wide = gradient(lambda y: mmd2(near, y, gaussian(far)), y)
    plain = gradient(lambda y: mmd2(near, y, linear(near)), y)
    assert wide[0] == pytest.approx(plain[0], rel=1e-4)
    torch.testing.assert_close(wide[1], plain[1], rtol=1e-4, atol=1e-6)


def test_kernel_matching_sees_what_means_do_not():
    """Two sets of one mean and different spread."""
    real = rows(8, 2)
    y = real.mean(0) + 0.01 * (real - real.mean(0))
    assert mmd2(real, y, linear(real)).item() == pytest.approx(0, abs=1e-12)
    assert mmd2(real, y, gaussian(real)) > 0.1
    assert mmd2(real, real, gaussian(real)).item() == pytest.approx(0, abs=1e-12)


# ---------------------------------------------------------------------------------------------------------------------
# idm: class by class, with half-trained networks that judge the set


def cross_entropy(logits, y):
    return (logits.logsumexp(1) - logits[:, y]).mean()


def test_the_first_update_of_each_class_is_its_formula():
    """Three updates, by one network that had no training yet, each with its own augmentation."""
    drawn, lr = small(), 0.1
    objective = ClasswiseMatching(CLASS, "match", Queue(start=1, every=100, steps=0), weight=0.5, marked=10)
    losses, x = ends(objective, drawn=drawn, optimiser=partial(torch.optim.SGD, lr=lr))
    net, s = drawn.networks[0], start().x.detach().clone()
    marked, *real = [drawn.data.x[ids] for ids in drawn.data.taken if ids]
    labels = drawn.data.y[next(ids for ids in drawn.data.taken if ids)]
    percent = 100 * (net(Rows(marked)).logits.argmax(1) == labels).double().mean()
    assert len(marked) == 10
    for g, (name, omega) in enumerate(drawn.seeds[0:6:2]):
        assert drawn.seeds[2 * g + 1] == (name, omega)
        mine = s[2 * g : 2 * g + 2].clone().requires_grad_()
        want, out = net(toys.roll(Rows(real[g]), omega)), net(toys.roll(Rows(mine), omega))
        means = (want.features.mean(0) - out.features.mean(0)).square().sum()
        loss = means + 0.5 * percent * cross_entropy(out.logits, g)
        assert losses[g] == pytest.approx(loss.item(), rel=1e-10)
        s[2 * g : 2 * g + 2] -= lr * torch.autograd.grad(loss, mine)[0]
    torch.testing.assert_close(x, s, rtol=1e-10, atol=1e-12)


def test_class_by_class_without_regulariser_and_with_fresh_networks_is_distribution_matching():
    """Whole classes as real batches; three class-wise updates move what one joint update moves."""
    one = small()
    _, x = ends(ClasswiseMatching(CLASS, None, Fresh(), weight=0.0), drawn=one)
    net, classwise = one.networks[0], start().x.detach()
    two = small()
    _, y = ends(DistributionMatching(CLASS, networks=Given(net)), steps=1, drawn=two)
    torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-12)
    assert not torch.equal(x, classwise)


@pytest.mark.parametrize("at", [1, -1])
def test_a_resumed_run_of_the_queue_equals_an_uninterrupted_one(at):
    p, s = toys.case("image", start=True, models={"convnet": toys.dropping})
    adam, saved, whole, cut = partial(torch.optim.Adam, lr=0.05), [], copy.deepcopy(s), copy.deepcopy(s)
    objective = ClasswiseMatching(8, "match", Queue(start=2, every=2, most=3, steps=2, size=8), marked=8)
    a = optimise(p, whole, objective, steps=20, optimiser=adam, checkpoint=lambda take: saved.append(take()))
    assert 0 < saved[at]["step"] < 20
    b = optimise(p, cut, objective, steps=20, optimiser=adam, resume=saved[at])
    assert torch.equal(whole.x, cut.x)
    assert a.history == b.history


def test_a_networks_mark_goes_from_its_worst_to_its_best():
    class Scored(Classification):
        metrics = (Metric("error", low=10.0, high=30.0, higher_is_better=False),)

        def score(self, pairs):
            return {"error": 15.0}

    run = Run(0)
    assert mark(toys.image(task=Scored(3)), toys.ConvNet(), 4, run) == 0.75
    perfect = lambda b: Output(Classification(3).targets(b), b.x.flatten(1))  # noqa: E731
    assert mark(toys.image(), perfect, 20, run) == 1.0


@pytest.mark.parametrize("method", [IDM, BACON], ids=lambda m: m.name)
def test_a_metric_without_a_range_weighs_nothing(method):
    class Unbounded(Classification):
        metrics = (Metric("error", high=math.inf, higher_is_better=False),)

    assert method.resolve(toys.image(), {0: 1})
    with pytest.raises(NotSupported, match="its metric error has no range"):
        method.resolve(toys.image(task=Unbounded(3)), {0: 1})


# ---------------------------------------------------------------------------------------------------------------------
# lqm: quantiles


def by_counting(real, fake):
    """Each sorted synthetic value against the smallest real value that at least (2i - 1) / 2k of the real ones do not exceed."""
    n, k, total = len(real), len(fake), []
    for column, values in zip(real.T.tolist(), fake.T.tolist(), strict=True):
        for i, v in enumerate(sorted(values), start=1):
            q = min(c for c in column if sum(a <= c for a in column) * 2 * k >= (2 * i - 1) * n)
            total.append((q - v) ** 2 / k)
    return math.fsum(total)


@pytest.mark.parametrize(("n", "k"), [(7, 1), (7, 3), (5, 5), (3, 4)])
def test_quantile_matching_is_its_formula(n, k):
    real = rows(n, 3)
    checked(lambda y: quantile_distance(real, y), lambda y: by_counting(real, y), rows(k, 3, 1))


def test_quantiles_are_the_points_nearest_by_cramer_and_von_mises():
    """No other equally weighted points come closer to the real rows' distribution function."""
    real, k = rows(200, 1), 3

    def statistic(points):
        """Of the sorted real values x_j: sum over j of ((j - 1/2) / n - F(x_j))^2."""
        x = sorted(real.flatten().tolist())
        return math.fsum(((j + 0.5) / len(x) - sum(p <= v for p in points) / k) ** 2 for j, v in enumerate(x))

    best = quantiles(real, k).flatten().tolist()
    for i in range(k):
        for move in (-0.5, -0.2, 0.2, 0.5):
            assert statistic([p + move * (i == j) for j, p in enumerate(best)]) > statistic(best)


def test_quantiles_of_shifted_rows_differ_by_the_means():
    """One shape, moved: then and only then the distance is DM's; else the spread adds to it."""
    real = rows(6, 3)
    shifted, other = real[torch.tensor([3, 0, 5, 1, 4, 2])] + rows(1, 3, 1), rows(6, 3, 2)
    assert quantile_distance(real, shifted).item() == pytest.approx(mean_distance(real, shifted).item(), rel=1e-10)
    for fake in (shifted, other):
        apart = (real.sort(0).values - fake.sort(0).values).var(0, unbiased=False).sum()
        assert quantile_distance(real, fake).item() == pytest.approx((mean_distance(real, fake) + apart).item())


def test_quantile_matching_of_real_rows_that_are_all_one_is_distribution_matching():
    """With one synthetic row a class and real rows without spread, the median is the mean."""

    def one_row_a_class():
        drawn = small()
        drawn.data.x[:] = drawn.data.x[drawn.data.y]
        return drawn

    options = {"n_real": CLASS, "augment": "match"}
    dm = ends(DistributionMatching(**options), n=1, drawn=one_row_a_class())
    the_same(ends(QuantileMatching(**options), n=1, drawn=one_row_a_class()), dm)
    assert not torch.allclose(ends(QuantileMatching(**options), n=1)[1], ends(DistributionMatching(**options), n=1)[1])


# ---------------------------------------------------------------------------------------------------------------------
# ncfm: characteristic functions


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


def experts(problem, number=2):
    found = []
    for k in range(number):
        nets = [problem.new_model(stream("expert", k, t)) for t in range(2)]
        found.append(Trajectory("mlp", k, 1, [dict(net.named_parameters()) for net in nets]))
    return found


def between(drawn, **options):
    """Few frequencies of two made-up experts, without augmentation."""
    found = experts(drawn.problem)
    networks = Given(drawn.problem.new_model(stream("between")))
    return CharacteristicMatching(CLASS, None, networks, experts=found, frequencies=4, **options)


def plain(drawn):
    return replace(drawn.problem, models={"mlp": lambda: toys.MLP().double()})


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


# ---------------------------------------------------------------------------------------------------------------------
# bacon: likelihood


@pytest.mark.parametrize("n", [1, 4])
def test_bayesian_distance_is_its_formula(n):
    """Feature by feature, with Python's normal density."""
    real = rows(6, 3)
    objective = BayesianMatching(variation=0.8)

    def reference(y):
        total = 0.0
        for column, values in zip(real.T.tolist(), y.T.tolist(), strict=True):
            law = NormalDist(fmean(column), math.exp(stdev(column)))
            total += -math.log(law.pdf(fmean(values))) + 0.8 * 0.5 * abs(fmean(values) - law.mean)
        return total

    checked(lambda y: objective.distance((real,), (y,), 0, None), reference, rows(n, 3, 1))


def test_bayesian_matching_without_its_prior_and_spread_is_class_by_class_matching():
    """Real rows that are all one have sigma = 1: twice the likelihood moves the set as IDM's distance does."""

    def alike():
        drawn = small()
        drawn.data.x[:] = drawn.data.x[drawn.data.y]
        return drawn

    one, two = alike(), alike()
    queue = Queue(start=1, every=100, steps=0)
    losses, x = ends(ClasswiseMatching(CLASS, networks=queue, weight=0.0), steps=7, drawn=one)
    found, y = ends(
        BayesianMatching(CLASS, networks=queue, weight=0.0, variation=0.0),
        steps=7,
        optimiser=partial(torch.optim.SGD, lr=1.0),
        drawn=two,
    )
    torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-10)
    assert found == pytest.approx([d / 2 + 32 * math.log(2 * math.pi) / 2 for d in losses])
    assert not torch.allclose(x, start().x)


def test_one_real_row_has_no_spread():
    real, y = rows(1, 3), rows(2, 3, 1)
    with_copies = torch.cat([real, real])
    for f in (negative_log_likelihood, lambda a, b: BayesianMatching().distance((a,), (b,), 0, None)):
        assert f(real, y).isfinite()
        assert f(real, y).item() == pytest.approx(f(with_copies, y).item(), rel=1e-12)


@pytest.mark.parametrize(
    "objective", [ClasswiseMatching, BayesianMatching, LayerMatching, GroupwiseMatching], ids=lambda o: o.__name__
)
def test_how_groups_are_taken_is_no_option_where_only_one_way_is_right(objective):
    with pytest.raises(TypeError, match="one_by_one"):
        objective(one_by_one=not objective().one_by_one)


def median_of_pairs(x):
    """Of squared distances, the lower one in the middle."""
    apart = sorted((((a - b) ** 2).sum() for i, a in enumerate(x) for j, b in enumerate(x) if i != j), key=float)
    return apart[(len(apart) - 1) // 2]


def by_kernel(t, s):
    v = median_of_pairs(t)
    mean = lambda a, b: sum((-((x - y) ** 2).sum() / (2 * v)).exp() for x in a for y in b) / (len(a) * len(b))  # noqa: E731
    return v * (mean(t, t) - 2 * mean(t, s) + mean(s, s))


def by_quantiles(t, s):
    """CLASS = 16 and two synthetic rows: the fourth and the twelfth smallest."""
    return sum((t.sort(0).values[at] - row).square().sum() for at, row in zip((3, 11), s.sort(0).values)) / 2


def by_likelihood(t, s):
    sigma = (((t - t.mean(0)) ** 2).sum(0) / (len(t) - 1)).sqrt().exp()
    z = (s.mean(0) - t.mean(0)) / sigma
    density = (-(z**2) / 2).exp() / (sigma * math.sqrt(2 * math.pi))
    return -density.log().sum() + 0.8 * 0.5 * (s.mean(0) - t.mean(0)).abs().sum()


@pytest.mark.parametrize(
    ("objective", "formula"),
    [
        (partial(KernelMatching, CLASS), by_kernel),
        (partial(QuantileMatching, CLASS), by_quantiles),
        (partial(BayesianMatching, CLASS, weight=0.0), by_likelihood),
    ],
    ids=["m3d", "lqm", "bacon"],
)
def test_an_update_is_the_formula_of_the_classes_and_moves_the_set_along_it(objective, formula):
    """Whole classes as real rows, under one network; BACON takes a class at a time."""
    drawn = small()
    net, x = drawn.problem.new_model(stream("net")), start().x.detach().requires_grad_()
    with torch.no_grad():
        real = [net(Rows(drawn.data.x[list(drawn.data.ids(g))])).features for g in range(3)]
    each = [formula(real[g], net(Rows(x[2 * g : 2 * g + 2])).features) for g in range(3)]
    steps = 3 if formula is by_likelihood else 1
    losses, moved = ends(objective(networks=Given(net)), steps=steps, drawn=drawn)
    assert losses == pytest.approx([d.item() for d in each] if steps == 3 else [sum(each).item()], rel=1e-9)
    (dx,) = torch.autograd.grad(sum(each), x)
    assert dx.flatten(1).abs().max(1).values.min() > 1e-6
    torch.testing.assert_close(moved, (x - 0.5 * dx).detach(), rtol=1e-8, atol=1e-10)


def test_the_spread_of_real_rows_weighs_their_means():
    drawn = small()
    queue = Queue(start=1, every=100, steps=0)
    _, x = ends(ClasswiseMatching(CLASS, networks=queue, weight=0.0), drawn=drawn)
    for variation in (0.0, 0.8):
        _, y = ends(BayesianMatching(CLASS, networks=queue, weight=0.0, variation=variation))
        assert not torch.allclose(x, y)
        x = y


# ---------------------------------------------------------------------------------------------------------------------
# wmdd: barycentres


@pytest.mark.parametrize(("k", "n"), [(1, 4), (2, 3), (3, 2), (2, 4), (3, 3), (4, 2)])
def test_transport_is_the_cheapest_of_all_plans(k, n):
    """Points and atoms in equal parts: the cheapest of all assignments of parts to parts."""
    for seed in range(3):
        cost = rows(k, n, seed).square().numpy()
        parts = [j for j in range(n) for _ in range(k // math.gcd(k, n))]
        places = [a for a in range(k) for _ in range(n // math.gcd(k, n))]
        plans = {tuple(sorted(zip(order, parts, strict=True))) for order in permutations(places)}
        cheapest = min(math.fsum(cost[a, j] for a, j in plan) / len(parts) for plan in plans)
        plan = transport(cost)
        assert (plan * cost).sum() == pytest.approx(cheapest)
        assert plan.sum(0) == pytest.approx(1 / n)
        assert plan.sum(1) == pytest.approx(1 / k)


@pytest.mark.parametrize(("k", "n"), [(5, 60), (7, 50)])
def test_transport_has_prices_that_prove_it(k, n):
    """Atoms' prices under which every point lies where it is cheapest: a certificate of the optimum (dual feasibility)."""
    x, atoms = rows(n, 4), rows(k, 4, 1)
    cost = torch.cdist(atoms, x).square().numpy()
    held = transport(cost) > 0
    passing = np.array([[(cost[b, held[a]] - cost[a, held[a]]).min() for b in range(k)] for a in range(k)])
    price = np.zeros(k)
    for _ in range(k):
        price = np.minimum(price, (price[:, None] + passing).min(0))
    reduced = cost - price[:, None]
    assert (reduced[held] <= np.broadcast_to(reduced.min(0), cost.shape)[held] + 1e-9).all()


def test_one_atom_is_the_mean_and_as_many_as_points_are_the_points():
    x = rows(6, 3)
    torch.testing.assert_close(barycentre(x, 1, stream(0)), x.mean(0, keepdim=True))
    six = barycentre(x, 6, stream(0))
    torch.testing.assert_close(six[six[:, 0].argsort()], x[x[:, 0].argsort()])


def test_atoms_of_clusters_are_their_means_and_rest_where_their_share_is():
    centres = torch.tensor([[0.0, 0], [10, 0], [0, 10]], dtype=torch.float64)
    x = torch.cat([c + 0.1 * rows(4, 2, i) for i, c in enumerate(centres)])
    atoms = barycentre(x, 3, stream(1))
    plan = torch.from_numpy(transport(torch.cdist(atoms, x).square().numpy()))
    torch.testing.assert_close(3 * plan @ x, atoms)
    best = min(
        torch.stack([part.mean(0) for part in x.split(4)])[list(order)].sub(atoms).abs().max()
        for order in permutations(range(3))
    )
    assert best < 1e-8


def targets(problem, counts, found):
    return class_targets(problem, counts, found, stream("targets"))


def test_barycentre_matching_is_its_formula():
    drawn = small()
    p = plain(drawn)
    found = experts(p, 1)
    s, teacher = start(), trained(p, found, stream("any"))
    goals = targets(p, s.counts, found)
    objective = BarycentreMatching(found, goals, loss=0.7, layers=0.3)
    x = s.x.detach().clone().requires_grad_()
    out, y = teacher(Rows(x)), torch.arange(3).repeat_interleave(2)
    expected = 0.7 * torch.stack([cross_entropy(out.logits[i : i + 1], y[i]) for i in range(6)]).mean()
    expected = expected + sum((out.features[i] - goals[i // 2].atoms[i % 2]).square().sum() for i in range(6)).sqrt()
    for g in range(3):
        real = teacher(Rows(drawn.data.x[list(drawn.data.ids(g))])).features
        mine = out.features[2 * g : 2 * g + 2]
        for order in (1, 2):
            a, b = (z.mean(0) if order == 1 else (z - z.mean(0)).square().mean(0) for z in (real, mine))
            expected = expected + 0.3 * (a - b).square().sum().sqrt()
    drawn.problem = p
    losses, moved = ends(objective, steps=1, drawn=drawn)
    assert losses[0] == pytest.approx(expected.item(), rel=1e-9)
    step = torch.autograd.grad(expected, x)[0]
    torch.testing.assert_close(moved, (x - 0.5 * step).detach(), rtol=1e-8, atol=1e-10)


def test_at_one_row_a_class_barycentre_matching_is_the_root_of_distribution_matching():
    """Then the barycentres are the class means: the distances are root and square, under the same network."""
    drawn = small()
    drawn.problem = plain(drawn)
    found = experts(drawn.problem, 1)
    teacher = trained(drawn.problem, found, stream("any"))
    (dm,), x = ends(DistributionMatching(CLASS, networks=Given(teacher)), steps=1, n=1, drawn=drawn)
    goals = targets(drawn.problem, dict.fromkeys(range(3), 1), found)
    (loss,), y = ends(BarycentreMatching(found, goals, loss=0.0, layers=0.0), steps=1, n=1, drawn=drawn)
    assert loss == pytest.approx(math.sqrt(dm), rel=1e-10)
    torch.testing.assert_close(y - start(1).x, (x - start(1).x) / (2 * loss), rtol=1e-9, atol=1e-12)
