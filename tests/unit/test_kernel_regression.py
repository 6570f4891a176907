"""Kernel regression: losses and gradients by their formulas, ancestors, resumed runs."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import toys
from sklearn.kernel_ridge import KernelRidge

from ddcore.distillation import resolve_method
from ddcore.errors import UnknownName
from ddcore.kernels import FullyConnected
from ddcore.loop import Run, optimise
from ddcore.methods.lamb import LAMB
from ddcore.methods.plan import Work
from ddcore.objectives import implicit
from ddcore.objectives.implicit import ImplicitRegression
from ddcore.objectives.kernel import FeatureKernels, Infinite, KernelRegression, Platt, Squared, solve_labels
from ddcore.objectives.networks import Fresh, Pool, SideBySide
from ddcore.rows import Rows, RowSynthetic

ADAM = partial(torch.optim.Adam, lr=0.02)
NTK = FullyConnected(1)


@pytest.fixture(autouse=True)
def double():
    """One-hot rows, too, are float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def flat(a, b):
    return NTK(a.x.flatten(1), b.x.flatten(1))


def other(a, b):
    return FullyConnected(2, "nngp")(a.x.flatten(1), b.x.flatten(1))


def start(rows=2, seed=0, labels=False):
    g = torch.Generator().manual_seed(seed)
    s = RowSynthetic(dict.fromkeys(range(3), rows), torch.randn(3 * rows, 1, 8, 8, generator=g, dtype=torch.float64))
    return s.learn_labels("values", torch.randn(3 * rows, 3, generator=g, dtype=torch.float64)) if labels else s


def problem(**changes):
    drawn = toys.recorded(**changes)
    return drawn, replace(drawn.problem, kernels={"fc-ntk": flat, "other": other})


def first_loss(p, s, objective, seed=0):
    """The loss of one update and dL/dS, by the loop's own random stream."""
    return next(objective.losses(p, s, Run(seed)))


def by_hand(k_ts, k_ss, y_s, y_t, reg):
    """1/2 |y_t - K_ts (K_ss + lambda I)^-1 y_s|^2, row by row."""
    lam = reg * sum(k_ss[i, i] for i in range(len(k_ss))) / len(k_ss)
    prediction = k_ts @ torch.linalg.inv(k_ss + lam * torch.eye(len(k_ss), dtype=torch.float64)) @ y_s
    return sum(0.5 * (a - b).square().sum() for a, b in zip(prediction, y_t)) / len(y_t)


def one_hot(y):
    return F.one_hot(y, 3).double()


# ---------------------------------------------------------------------------------------------------------------------
# the formulas


@pytest.mark.parametrize("labels", [False, True])
def test_kip_is_its_formula(labels):
    drawn, p = problem()
    s = start(labels=labels)
    loss = first_loss(p, s, KernelRegression(Infinite(("fc-ntk",)), n_real=20, reg=1e-3))
    real = p.data.take(drawn.data.taken[0])
    leaves = [q.detach().clone().requires_grad_() for q in s.leaves()]
    x = leaves[0].flatten(1)
    y_s = leaves[1] if labels else one_hot(torch.tensor([0, 0, 1, 1, 2, 2])) - 1 / 3
    expected = by_hand(NTK(real.x.flatten(1), x), NTK(x, x), y_s, one_hot(real.y) - 1 / 3, 1e-3)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    for a, b in zip(torch.autograd.grad(loss, s.leaves()), torch.autograd.grad(expected, leaves)):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


def test_predictions_are_scikit_learns():
    """Without a gradient: KIP's loss is that of KernelRidge fitted on the set."""
    drawn, p = problem()
    s, reg = start(), 1e-2
    loss = first_loss(p, s, KernelRegression(Infinite(("fc-ntk",)), n_real=20, reg=reg))
    real = p.data.take(drawn.data.taken[0])
    x = s.x.detach().flatten(1)
    k = NTK(x, x).numpy()
    y = (one_hot(torch.tensor([0, 0, 1, 1, 2, 2])) - 1 / 3).numpy()
    machine = KernelRidge(alpha=reg * k.trace() / len(k), kernel="precomputed").fit(k, y)
    residual = machine.predict(NTK(real.x.flatten(1), x).numpy()) - (one_hot(real.y) - 1 / 3).numpy()
    assert loss.item() == pytest.approx(0.5 * (residual**2).sum(1).mean(), rel=1e-9)


@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_frepo_is_its_formula(margin):
    drawn, p = problem()
    s = start(labels=True)
    objective = KernelRegression(FeatureKernels(Pool(number=2, life=4)), n_real=20, reg=1e-3, margin=margin)
    loss = first_loss(p, s, objective)
    real = p.data.take(drawn.data.taken[0])
    (used,) = {number for number, _, learned in drawn.reads if learned}
    net = drawn.networks[used]
    x, y = (q.detach().clone().requires_grad_() for q in s.leaves())
    a, b = net(real).features.detach(), net(Rows(x)).features
    expected = by_hand(a @ b.T, b @ b.T, y, one_hot(real.y) - 1 / 3, 1e-3)  # without 2 / d, which cancels
    for row in y:
        ordered = row.sort().values
        expected = expected - margin / len(y) * torch.minimum(ordered[-1] - ordered[-2], torch.tensor(1 / 3))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    for g, h in zip(torch.autograd.grad(loss, s.leaves()), torch.autograd.grad(expected, [x, y])):
        torch.testing.assert_close(g, h, rtol=1e-7, atol=1e-9)


def test_rfad_is_its_formula():
    """Two networks: features side by side over sqrt(N d), K = 2 Phi Phi^T + 0.01; the cross-entropy of e^tau times predictions,
    and tau by Adam."""
    drawn, p = problem()
    s = start(labels=True)
    objective = KernelRegression(FeatureKernels(SideBySide(2), bias=0.01), n_real=20, reg=5e-3, loss=Platt(lr=0.1))
    run = Run(0)
    updates = objective.losses(p, s, run)
    x, y = (q.detach().clone().requires_grad_() for q in s.leaves())
    tau = torch.zeros((), requires_grad=True)
    opt = torch.optim.Adam([tau], lr=0.1)
    for update in range(3):
        loss = next(updates)
        real = p.data.take(drawn.data.taken[2 * update])  # this read is remembered, too
        nets = drawn.networks[2 * update : 2 * update + 2]
        a, b = (torch.cat([net(rows).features for net in nets], 1) / np.sqrt(2 * 32) for rows in (real, Rows(x)))
        k_ts, k_ss = 2 * a @ b.T + 0.01, 2 * b @ b.T + 0.01
        ridge = torch.linalg.inv(k_ss + 5e-3 * k_ss.trace() / 6 * torch.eye(6)) @ y
        scaled = tau.exp() * (k_ts @ ridge)
        expected = -sum((row.log_softmax(0))[c] for row, c in zip(scaled, real.y)) / 20
        opt.zero_grad()
        g = torch.autograd.grad(expected, [x, y, tau])
        tau.grad = g[2]
        opt.step()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
        for have, want in zip(torch.autograd.grad(loss, s.leaves()), g):
            torch.testing.assert_close(have, want, rtol=1e-7, atol=1e-9)
    assert tau.abs() > 0.05


def test_dl_ds_is_a_finite_difference():
    _, p = problem()
    objective = KernelRegression(Infinite(("fc-ntk",)), n_real=20, reg=1e-3)
    s = start(labels=True)
    gradients = torch.autograd.grad(first_loss(p, s, objective), s.leaves())
    for leaf, g in zip(s.leaves(), gradients):
        direction = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                leaf += step * direction
                values.append(first_loss(p, s, objective).item())
                leaf -= step * direction
        assert (values[0] - values[1]) / 2e-5 == pytest.approx((g * direction).sum().item(), rel=1e-6)


# ---------------------------------------------------------------------------------------------------------------------
# implicit gradients


def written(p, s, objective):
    """Loss and dL/dS of an objective that writes gradients itself."""
    for q in s.leaves():
        q.grad = None
    loss = first_loss(p, s, objective)
    return loss.item(), [q.grad.clone() for q in s.leaves()]


@pytest.mark.parametrize("model", [toys.MLP, toys.ConvNet])
def test_the_implicit_gradient_is_that_of_the_solved_problem(model):
    """Finite differences through the whole of training; without its implicit term it is another."""
    _, p = problem(model=model)
    s = start(labels=True)
    whole = ImplicitRegression(Fresh(), n_real=20, decay=0.01, steps=30, loss=Squared(), margin=1.0, clip=False)
    _, gradients = written(p, s, whole)
    for leaf, g in zip(s.leaves(), gradients):
        direction = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(1))
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                leaf += step * direction
            values.append(written(p, s, whole)[0])
            with torch.no_grad():
                leaf -= step * direction
        assert (values[0] - values[1]) / 2e-5 == pytest.approx((g * direction).sum().item(), rel=1e-5)


def test_rcig_is_its_formula():
    """With Jacobians and Hessians in full: the linearised network's features are the body's Jacobian beside phi."""
    drawn, p = problem()
    s = start(labels=True)
    objective = ImplicitRegression(Fresh(), n_real=20, decay=0.01, steps=30, loss=Squared(), margin=0.0, clip=False)
    loss, gradients = written(p, s, objective)
    net, real = drawn.networks[0], p.data.take(drawn.data.taken[0])
    x, y = (q.detach().clone().requires_grad_() for q in s.leaves())

    def jacobian(rows):  # (n k, parameters of the body), (n, d)
        phi = F.relu(net.body(rows.x.flatten(1)))
        slopes = (phi > 0)[:, None] * net.head.weight  # (n, k, d): d logits / d preactivation
        inputs = torch.cat([rows.x.flatten(1), torch.ones(len(rows.x), 1)], 1)
        return torch.einsum("nkd,ni->nkdi", slopes, inputs).flatten(2).flatten(0, 1), phi

    (j_s, phi_s), (j_t, phi_t) = jacobian(Rows(x)), jacobian(real)
    eye, reg = torch.eye(3), 0.01 * 6
    design, other = (torch.cat([j, torch.kron(phi, eye)], 1) for j, phi in ((j_s, phi_s), (j_t, phi_t)))
    k = design @ design.T + reg * torch.eye(18)
    prediction = (other @ design.T @ torch.linalg.inv(k) @ y.flatten()).unflatten(0, (20, 3))
    expected = 0.5 * (prediction - (one_hot(real.y) - 1 / 3)).square().sum(1).mean()
    assert loss == pytest.approx(expected.item(), rel=1e-8)
    for g, h in zip(gradients, torch.autograd.grad(expected, [x, y])):
        torch.testing.assert_close(g, h, rtol=1e-5, atol=1e-8)


def test_without_tangents_it_is_regression_on_features():
    """RCIG that solves for nothing is FRePo's loss, with the same absolute ridge."""
    drawn, p = problem()
    s = start(labels=True)
    nothing = ImplicitRegression(Fresh(), n_real=20, decay=0.02, steps=0, loss=Squared(), margin=0.0)
    loss, gradients = written(p, s, nothing)
    phi = drawn.networks[0](Rows(s.x.detach())).features
    reg = 0.02 * 6 / (phi @ phi.T).diagonal().mean().item()
    x = s.x.detach().clone().requires_grad_()
    y = s.labels.stored.detach().clone().requires_grad_()
    real, a = p.data.take(drawn.data.taken[0]), drawn.networks[0](Rows(x)).features
    b = drawn.networks[0](real).features.detach()
    expected = by_hand(b @ a.T, a @ a.T, y, one_hot(real.y) - 1 / 3, reg)
    assert loss == pytest.approx(expected.item(), rel=1e-9)
    lam = 0.02 * 6
    held = (
        0.5
        * (b @ a.T @ torch.linalg.inv(a @ a.T + lam * torch.eye(6)) @ y - one_hot(real.y) + 1 / 3).square().sum()
        / 20
    )
    for g, h in zip(gradients, torch.autograd.grad(held, [x, y])):
        torch.testing.assert_close(g, h, rtol=1e-7, atol=1e-9)


def test_the_implicit_term_is_no_longer_than_the_direct_one(monkeypatch):
    objective = ImplicitRegression(Fresh(), n_real=20, steps=2, loss=Squared())

    def with_implicit(value):
        def found(ell, t, v, leaves):
            return [torch.full_like(q, value) for q in leaves]

        monkeypatch.setattr(implicit, "_implicit", found)
        return written(problem()[1], start(labels=True), objective)[1]

    for alone, short, long in zip(with_implicit(0.0), with_implicit(1e-6), with_implicit(1e3)):
        torch.testing.assert_close(alone - short, torch.full_like(alone, 1e-6))
        torch.testing.assert_close((alone - long).norm(), alone.norm())


# ---------------------------------------------------------------------------------------------------------------------
# label solve


def test_solved_labels_are_the_best_ones():
    """The gradient of KIP's loss over all training rows vanishes at them, and only rows beside them are worse."""
    _, p = problem(n=60)
    s = start()
    n = len(p.data.ids())
    y = solve_labels(p, s, flat, 1e-3, size=7)
    s.learn_labels("values", y)
    everything = KernelRegression(Infinite(("fc-ntk",)), n_real=n, reg=1e-3)
    loss = first_loss(p, s, everything)
    (g,) = torch.autograd.grad(loss, [s.labels.stored])
    assert g.abs().max() < 1e-6
    with torch.no_grad():
        s.labels.stored += 0.01 * torch.randn(y.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert first_loss(p, s, everything) > loss
    hard = first_loss(p, start(), everything)
    assert loss < hard


# ---------------------------------------------------------------------------------------------------------------------
# ancestors


def along_random_networks(networks, steps=4):
    """(losses of the updates, those of regression on the features of random network 0, 1 ... at the same rows and reals)."""
    drawn, p = problem()
    s, rows = start(), [start().x.detach()]
    objective = KernelRegression(FeatureKernels(networks), n_real=16, reg=1e-3, margin=1.0)
    keep = [lambda run: rows.append(s.x.detach().clone())]
    run = optimise(p, s, objective, steps=steps, optimiser=ADAM, callbacks=keep)
    y, expected = one_hot(torch.tensor([0, 0, 1, 1, 2, 2])) - 1 / 3, []
    for net, x, ids in zip(drawn.networks, rows, drawn.data.taken[:steps]):
        a, b = net(Rows(drawn.data.x[ids])).features.detach(), net(Rows(x)).features.detach()
        expected.append(by_hand(a @ b.T, b @ b.T, y, one_hot(drawn.data.y[ids]) - 1 / 3, 1e-3).item())
    return [h["loss"] for h in run.history], expected


@pytest.mark.parametrize("networks", [Pool(number=1, life=0), Fresh()], ids=["pool", "fresh"])
def test_an_empty_pool_is_random_features(networks):
    """FRePo without training of its networks (life 0) and with fixed labels: each update sees another random network."""
    losses, expected = along_random_networks(networks)
    assert losses == pytest.approx(expected, rel=1e-9)
    assert len(expected) == 4


def test_networks_of_a_pool_are_trained_from_the_second_update_on():
    losses, (expected,) = along_random_networks(Pool(number=1, life=5))
    assert losses[0] == pytest.approx(expected, rel=1e-9)
    others, _ = along_random_networks(Pool(number=1, life=0))
    assert losses[1] != pytest.approx(others[1], rel=1e-3)


def test_rfad_with_one_network_no_bias_and_squared_error_is_random_features():
    ends = []
    for kernel in (FeatureKernels(SideBySide(1), bias=0.0), FeatureKernels(Fresh())):
        s = start(labels=True)
        run = optimise(problem()[1], s, KernelRegression(kernel, n_real=16, loss=Squared()), steps=3, optimiser=ADAM)
        ends.append(([h["loss"] for h in run.history], [q.detach() for q in s.leaves()]))
    (losses, leaves), (others, same) = ends
    assert losses == others
    assert all(torch.equal(a, b) for a, b in zip(leaves, same))


def made(name, **options):
    """The set of a method, and its losses."""
    p, counts = problem()[1], dict.fromkeys(range(3), 2)
    method = resolve_method(name, p)
    work = Work(p, counts)
    s = work.perform(method.plan(p, counts, method.resolve(p, counts, "quick", options)))
    return s, [h["loss"] for h in work.history]


def test_solved_labels_are_not_those_that_kip_learns():
    """On the same random rows, those of label solve leave the least loss over all training rows."""
    solved, _ = made("ls")
    learned, _ = made("kip", labels="learned", steps=5, lr=1e-12)
    assert torch.allclose(solved.x, learned.x.detach(), atol=1e-9)
    assert not torch.allclose(solved.labels.stored, learned.labels.stored, rtol=0.01)
    p = problem()[1]
    everything = KernelRegression(Infinite(("fc-ntk",)), n_real=len(p.data.ids()), reg=1e-6)
    assert first_loss(p, solved, everything) < first_loss(p, learned, everything)
    with pytest.raises(UnknownName, match=r"no kernel 'fc_ntk' in image/toy.*fc-ntk"):
        made("ls", kernel="fc_ntk")


@pytest.mark.parametrize("method", ["frepo", "rcig"])
def test_labels_that_stay_have_no_margin(method):
    """Rows of users are values by themselves, and labels of their own are not learned."""
    torch.set_default_dtype(torch.float32)  # as users are
    p, found = toys.recommender(), []
    few = {"steps": 2, "n_real": 8, "networks": 1, **({"solve": 1} if method == "rcig" else {})}
    for margin in (0.0, 5.0):
        options = resolve_method(method, p).resolve(p, {0: 4}, "quick", {**few, "margin": margin})
        assert options.labels == "fixed"
        work = Work(p, {0: 4})
        work.perform(resolve_method(method, p).plan(p, {0: 4}, options))
        found.append([h["loss"] for h in work.history])
    assert found[0] == found[1]
    torch.set_default_dtype(torch.float64)
    assert made(method, **few, margin=0.0)[1] != made(method, **few, margin=5.0)[1]


def test_one_kernel_of_several_is_drawn():
    _, p = problem()
    objective = KernelRegression(Infinite(("fc-ntk", "other")), n_real=20, reg=1e-3)
    found = {round(first_loss(p, start(), objective, seed).item(), 9) for seed in range(6)}
    alone = {
        name: {
            round(first_loss(p, start(), replace(objective, kernel=Infinite((name,))), s).item(), 9) for s in range(6)
        }
        for name in ("fc-ntk", "other")
    }
    assert len(found) == 6
    assert not alone["fc-ntk"] & alone["other"]


# ---------------------------------------------------------------------------------------------------------------------
# the loop


@pytest.mark.parametrize(
    "objective",
    [
        KernelRegression(FeatureKernels(Pool(number=3, life=2)), n_real=16, reg=1e-3, margin=1.0),
        KernelRegression(FeatureKernels(SideBySide(2), bias=0.01), n_real=16, loss=Platt(), reg=5e-3),
        KernelRegression(Infinite(("fc-ntk", "other")), n_real=16),
        ImplicitRegression(Pool(number=3, life=2), n_real=16, steps=2),
    ],
    ids=["frepo", "rfad", "kip", "rcig"],
)
def test_a_resumed_run_equals_an_uninterrupted_one(objective):
    def run(s, steps, **options):
        return optimise(problem()[1], s, objective, steps=steps, optimiser=ADAM, seed=5, **options)

    whole, snapshots = start(labels=True), {}

    def write(snapshot):
        taken = snapshot()
        snapshots[taken["step"]] = taken

    reference = run(whole, 9, checkpoint=write)
    for at in (1, 4, 8):
        resumed = start(labels=True, seed=8)
        again = run(resumed, 9, resume=snapshots[at])
        assert [h["loss"] for h in again.history] == [h["loss"] for h in reference.history]
        for a, b in zip(resumed.leaves(), whole.leaves()):
            assert torch.equal(a, b)


@pytest.mark.parametrize("labels", [False, True])
def test_the_loss_comes_down(labels):
    _, p = problem()
    for kernel in (Infinite(("fc-ntk",)), FeatureKernels(Pool(number=2, life=20))):
        s = start(labels=labels)
        run = optimise(p, s, KernelRegression(kernel, n_real=100, reg=1e-3), steps=40, optimiser=ADAM)
        values = [h["loss"] for h in run.history]
        assert np.mean(values[-5:]) < 0.6 * np.mean(values[:5])


def test_an_unknown_kernel_is_named():
    _, p = problem()
    with pytest.raises(UnknownName, match=r"no kernel 'fc_ntk' in image/toy.*fc-ntk"):
        first_loss(p, start(), KernelRegression(Infinite(("fc_ntk",))))


def test_lamb_is_its_formula():
    """Two tensors, three steps, one of them from zero, where the ratio is 1."""
    gradients = [[torch.randn(3, 2), torch.randn(4)] for _ in range(3)]
    x = [torch.randn(3, 2), torch.zeros(4)]
    params = [torch.nn.Parameter(p.clone()) for p in x]
    opt = LAMB(params, lr=0.1)
    m, v = [torch.zeros_like(p) for p in x], [torch.zeros_like(p) for p in x]
    for t, grads in enumerate(gradients, start=1):
        for i, (p, g) in enumerate(zip(params, grads)):
            p.grad = g.clone()
            m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g**2
            r = m[i] / (1 - 0.9**t) / ((v[i] / (1 - 0.999**t)).sqrt() + 1e-6)
            ratio = x[i].norm() / r.norm() if x[i].norm() > 0 else 1.0
            x[i] = x[i] - 0.1 * ratio * r
        opt.step()
        for p, expected in zip(params, x):
            torch.testing.assert_close(p.detach(), expected)
