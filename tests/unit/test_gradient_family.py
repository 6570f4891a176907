"""The methods of gradient matching beside DC: each by its own formula, and without its idea its ancestor."""

import copy
import random
from functools import partial

import pytest
import torch
import toys
from torch import nn

from ddcore.errors import NotSupported
from ddcore.experts import Trajectory
from ddcore.loop import Run, optimise
from ddcore.objectives.gradient import (
    ContrastiveMatching,
    CurvatureMatching,
    GradientMatching,
    GroupwiseMatching,
    MultiLevelMatching,
    ProgressiveMatching,
    Theta,
)
from ddcore.objectives.networks import TrainedOnReal, TrainedOnSet
from ddcore.objectives.real_rows import Representative
from ddcore.objectives.starts import AfterParts, EarlyStage, UntilOverfit
from ddcore.parametrizations.part import Part
from ddcore.problem import Output
from ddcore.rows import Rows, RowSynthetic

SGD = partial(torch.optim.SGD, lr=0.5, momentum=0.5)


class Small(nn.Module):
    """Weights of two and of four dimensions, biases."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 2, 3), nn.Linear(2 * 9, 3)

    def forward(self, b):
        z = torch.tanh(nn.functional.avg_pool2d(self.conv(b.x), 2)).flatten(1)
        return Output(self.head(z), z)


def start(rows=2, groups=3):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(groups * rows, 1, 8, 8, generator=g, dtype=torch.float64)
    return RowSynthetic(dict.fromkeys(range(groups), rows), x)


def update(objective, drawn, s, steps=1, seed=0):
    """Losses of the steps, and dL/dS of the last."""
    found = []

    def watched(groups):
        opt = SGD(groups)
        opt.register_step_pre_hook(lambda *_: found.append(s.x.grad.clone()))
        return opt

    run = optimise(drawn.problem, s, objective, steps=steps, optimiser=watched, seed=seed)
    return [record["loss"] for record in run.history], found[-1]


def same(first, second, steps=4, groups=3):
    """Both objectives give the same run, bit for bit."""
    ends = []
    for objective in (first, second):
        s = start(groups=groups)
        ends.append((update(objective, toys.recorded(Small), s, steps), s.x.detach()))
    (losses, g), x = ends[0]
    (other_losses, other_g), other_x = ends[1]
    assert losses == other_losses
    assert torch.equal(g, other_g)
    assert torch.equal(x, other_x)


def gradient(net, x, label):
    """Of the cross-entropy of rows of one class, by parameter."""
    loss = -net(Rows(x)).logits.log_softmax(1)[:, label].mean()
    return torch.autograd.grad(loss, list(net.parameters()), create_graph=True)


def layer_cosine(have, want):
    total = 0.0
    for a, b in zip(have, want):
        for u, v in zip(a, b) if a.ndim > 1 else ():
            u, v = u.flatten(), v.flatten()
            total = total + 1 - u @ v / (u.norm() * v.norm() + 1e-6)
    return total


def sides(drawn, x, groups=3):
    """(network, [(have, want) of each group that was drawn]) of the first update."""
    net, seeds, taken = copy.deepcopy(drawn.networks[0]), iter(drawn.seeds), iter(drawn.data.taken)
    rows = len(x) // groups

    def augmented(batch):
        if not drawn.seeds:
            return batch
        return toys.roll(Rows(batch), next(seeds)[1]).x

    pairs = []
    for g in range(min(groups, len(drawn.data.taken))):
        want = gradient(net, augmented(drawn.data.x[next(taken)]), g)
        pairs.append((gradient(net, augmented(x[g * rows : (g + 1) * rows]), g), [w.detach() for w in want]))
    return net, pairs


def equals(objective, formula, groups=3, **options):
    """Loss and dL/dS of an update are those of `formula(net, pairs)`."""
    drawn, s = toys.recorded(Small), start(groups=groups, **options)
    x = s.x.detach().clone().requires_grad_()
    (loss, *_), g = update(objective, drawn, s)
    expected = formula(*sides(drawn, x, groups))
    (dx,) = torch.autograd.grad(expected, x)
    assert loss == pytest.approx(expected.item(), rel=1e-9)
    assert dx.abs().max() > 1e-6
    assert torch.allclose(g, dx, rtol=1e-8, atol=1e-10)


def resumes(objective, s_of, drawn_of, steps=6):
    """A run that is taken up from each of its checkpoints ends like an uninterrupted one."""
    shots = []
    s = s_of()
    optimise(
        drawn_of().problem,
        s,
        objective,
        steps=steps,
        optimiser=SGD,
        checkpoint=lambda take: shots.append(copy.deepcopy(take())),
    )
    assert len(shots) > 1
    for shot in shots[1:]:
        again = s_of()
        optimise(drawn_of().problem, again, objective, steps=steps, optimiser=SGD, resume=shot)
        assert torch.equal(again.x, s.x)


# ---------------------------------------------------------------------------------------------------------------------
# DCC


def total(gradients):
    return [sum(parts) for parts in zip(*gradients)]


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("augment", [None, "match"])
def test_dcc_compares_the_sums_over_classes(augment, one_by_one):
    equals(
        ContrastiveMatching(n_real=6, augment=augment, one_by_one=one_by_one),
        lambda net, pairs: layer_cosine(total(have for have, _ in pairs), total(want for _, want in pairs)),
    )


def test_dcc_with_one_class_is_dc():
    networks = TrainedOnSet(outer=2, epochs=2, lr=0.3)
    same(
        ContrastiveMatching(6, networks=networks, augment="match", one_by_one=False),
        GradientMatching(6, networks=networks, augment="match"),
        groups=1,
    )


@pytest.mark.parametrize("objective", [ContrastiveMatching, MultiLevelMatching])
@pytest.mark.parametrize("name", toys.ALL)
def test_all_groups_one_by_one_have_the_gradient_of_all_at_once(name, objective):
    """Rows that are drawn (users) come out the same when they are read again."""
    ends = []
    for one_by_one in (True, False):
        p, s = toys.case(name)
        made = objective(n_real=16, networks=TrainedOnSet(outer=3), one_by_one=one_by_one)
        run = optimise(p, s, made, steps=4, optimiser=partial(torch.optim.SGD, lr=0.01))
        ends.append(([record["loss"] for record in run.history], [q.detach() for q in s.parameters()]))
    (losses, parameters), (other_losses, others) = ends
    assert losses == pytest.approx(other_losses, rel=1e-4)
    for q, other in zip(parameters, others):
        assert torch.allclose(q, other, rtol=1e-3, atol=1e-4)


def test_dropout_is_the_same_when_a_group_is_read_again():
    """A set of one group has one loss under one seed, and finite differences of it are dL/dS."""
    drawn, s = toys.recorded(toys.dropping), start(groups=1)
    objective = ContrastiveMatching(n_real=6)
    before = s.x.detach().clone()
    _, g = update(objective, drawn, s)
    v, ends = torch.randn(s.x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64), []
    for step in (1e-6, -1e-6):
        moved = start(groups=1)
        with torch.no_grad():
            moved.x.copy_(before + step * v)
        ends.append(update(objective, toys.recorded(toys.dropping), moved)[0][0])
    assert (g * v).sum().item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4)


# ---------------------------------------------------------------------------------------------------------------------
# IDC


def mse(have, want):
    return sum((a - b).square().sum() for a, b in zip(have, want))


@pytest.mark.parametrize("augment", [None, "match"])
def test_idc_compares_the_convolutions_of_one_class(augment):
    def of_convolutions(net, pairs):
        ((have, want),) = pairs
        assert [n for n, _ in net.named_parameters()] == ["conv.weight", "conv.bias", "head.weight", "head.bias"]
        return mse(have[:1], want[:1])

    equals(GroupwiseMatching(n_real=6, augment=augment), of_convolutions)


def test_idc_updates_class_after_class_and_trains_on_real_rows_after_each_round():
    drawn, s = toys.recorded(Small), start()
    networks = TrainedOnReal(outer=2, steps=3, size=5, augment=None)
    optimise(drawn.problem, s, GroupwiseMatching(n_real=4, networks=networks), steps=9, optimiser=SGD)
    of_groups = [{i % 3 for i in ids} if len(ids) == 4 else "all" for ids in drawn.data.taken]
    assert of_groups == [{0}, {1}, {2}, "all", "all", "all", {0}, {1}, {2}, {0}, {1}, {2}]
    assert len(drawn.networks) == 2


def test_idc_with_one_class_all_parameters_and_networks_of_dc_is_dc():
    networks = TrainedOnSet(outer=2, epochs=2, lr=0.3)
    same(
        GroupwiseMatching(6, "layer-cosine", "match", networks, parameters="all"),
        GradientMatching(6, "layer-cosine", "match", networks),
        groups=1,
    )


def test_a_run_that_is_taken_up_in_the_middle_of_its_networks_ends_the_same():
    networks = TrainedOnReal(outer=2, steps=1, size=8, augment="train")
    resumes(
        GroupwiseMatching(4, augment="match", networks=networks),
        start,
        lambda: toys.recorded(toys.dropping),
        steps=14,
    )


@pytest.mark.parametrize("name", toys.ALL)
def test_the_classifier_is_what_features_do_not_depend_on(name):
    p, s = toys.case(name)
    net = p.new_model(random.Random(0))
    theta, names = Theta(net, s.batch), {id(q): n for n, q in net.named_parameters()}
    head = {"image": "head", "graph": "h", "text": "head", "recommender": "head"}[name]
    assert {names[id(q)] for q in theta.classifier} == {f"{head}.weight", f"{head}.bias"}
    body = [names[id(q)] for q in theta.matched("body")]
    assert (
        body
        == {
            "image": ["conv.weight"],
            "graph": ["a.weight"],
            "text": ["query.weight", "value.weight"],
            "recommender": ["body.weight"],
        }[name]
    )


def test_a_network_that_is_all_classifier_has_no_body_to_match():
    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(64, 3)

        def forward(self, b):
            return Output(self.head(b.x.flatten(1)), b.x.flatten(1))

    p, s = toys.case("image", models={"linear": Linear})
    with pytest.raises(NotSupported, match="Linear has no weights before its classifier"):
        optimise(p, s, GroupwiseMatching(n_real=4), steps=1, optimiser=SGD)


# ---------------------------------------------------------------------------------------------------------------------
# DREAM


def distances(features, centres):
    return [[sum((a - b) ** 2 for a, b in zip(f, c)) for c in centres] for f in features]


def test_dream_reads_rows_that_represent_their_class():
    """The clusters around them are tighter than those around random rows, in the network's own features."""
    drawn = toys.recorded(Small)
    net = drawn.problem.new_model(random.Random(0))
    ids = list(drawn.data.ids(1))
    rows = Representative().picker(drawn.problem, 5)(net, 1, random.Random(0))
    assert len(set(rows)) == 5
    assert set(rows) <= set(ids)
    features = net(drawn.data.take(ids)).features.tolist()
    at = dict(zip(ids, features))
    owner = [min(range(5), key=row.__getitem__) for row in distances(features, [at[i] for i in rows])]
    means = [
        [sum(column) / len(column) for column in zip(*[f for f, o in zip(features, owner) if o == j])] for j in range(5)
    ]
    spread = sum(min(row) for row in distances(features, means))
    for seed in range(5):
        others = [at[i] for i in random.Random(seed).sample(ids, 5)]
        assert spread < sum(min(row) for row in distances(features, others))


def test_dream_looks_again_for_each_network_and_every_so_often():
    drawn = toys.recorded(Small)
    pick, rng = Representative(every=3).picker(drawn.problem, 4), random.Random(0)
    first, second = (drawn.problem.new_model(random.Random(seed)) for seed in (0, 1))
    looked = []
    for net in (first, first, first, first, second, second):
        before = len(drawn.data.taken)
        rows = pick(net, 0, rng)
        looked.append(len(drawn.data.taken) > before)
        assert len(set(rows)) == 4
    assert looked == [True, False, False, True, True, False]


def test_dream_compares_what_idc_does():
    drawn, s = toys.recorded(Small), start()
    x = s.x.detach().clone().requires_grad_()
    (loss,), g = update(GroupwiseMatching(n_real=6, rows=Representative()), drawn, s)
    drawn.data.taken = [ids for ids in drawn.data.taken if len(ids) == 6]
    _, ((have, want),) = sides(drawn, x)
    expected = mse(have[:1], want[:1])
    (dx,) = torch.autograd.grad(expected, x)
    assert loss == pytest.approx(expected.item(), rel=1e-9)
    assert torch.allclose(g, dx, rtol=1e-8, atol=1e-12)


def test_dream_with_whole_classes_is_idc():
    """Where every row represents itself nothing is left to choose."""
    networks = TrainedOnReal(outer=9, steps=0)
    ends = []
    for more in ({}, {"rows": Representative(every=2)}):
        drawn, s = toys.recorded(Small, n=90), start()
        size = len(drawn.data.ids(0))
        ends.append(update(GroupwiseMatching(n_real=size, networks=networks, **more), drawn, s, steps=9))
    (losses, g), (other_losses, other_g) = ends
    assert losses == pytest.approx(other_losses, rel=1e-10)
    assert torch.allclose(g, other_g, rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------------------------------------------------------------
# Acc-DD

REAL = {"outer": 2, "steps": 1, "size": 8, "augment": "train"}


def expert(drawn, seed=0):
    net = drawn.problem.new_model(random.Random(seed))
    end = {name: p.detach().clone() + 1 for name, p in net.named_parameters()}
    return Trajectory("net", seed, 1, [{name: p.detach().clone() for name, p in net.named_parameters()}, end])


def test_acc_dd_starts_at_an_expert_moved_along_filters():
    drawn = toys.recorded(Small)
    experts = [expert(drawn, seed) for seed in range(2)]
    policy, run, gaps = EarlyStage(**REAL, experts=experts, least=0.02, most=0.05), Run(0), set()
    for _ in range(12):
        net = policy.start(drawn.problem, start(), run)
        found = dict(net.named_parameters())
        (theta,) = [e.snapshots[-1] for e in experts if torch.equal(e.snapshots[-1]["conv.bias"], found["conv.bias"])]
        gaps.add(round((found["conv.weight"] - theta["conv.weight"]).norm().item(), 9))
        for name, p in found.items():
            if p.ndim == 1:
                assert torch.equal(p, theta[name])
                continue
            for row, before in zip(p, theta[name]):
                moved = ((row - before).norm() / before.norm()).item()
                assert 0 < moved < 2 * 0.05  # two directions
    assert len(gaps) == 12


def test_acc_dd_compares_what_idc_does_in_an_expert_moved_by_two_draws():
    """The draws in their order: the expert, its network, two lengths with their signs, normal directions weight by weight."""
    drawn, s = toys.recorded(Small), start()
    experts = [expert(drawn, seed) for seed in range(2)]
    networks = EarlyStage(**REAL, experts=experts, least=0.1, most=0.3)
    (loss,), g = update(GroupwiseMatching(n_real=6, networks=networks), drawn, s)
    rng, net = Run(0).rng, Small().double()
    theta = {name: p.clone() for name, p in rng.choice(experts).snapshots[-1].items()}
    rng.getrandbits(63)  # of a network whose parameters are replaced
    lengths = [rng.choice((-1, 1)) * rng.uniform(0.1, 0.3) for _ in range(2)]
    normal = torch.Generator().manual_seed(rng.getrandbits(63))
    for name in ("conv.weight", "head.weight"):
        filters = theta[name].flatten(1)
        moved = filters.clone()
        for length in lengths:
            d = torch.randn(filters.shape, generator=normal, dtype=torch.float64)
            moved += length * torch.stack([v / v.norm() * w.norm() for v, w in zip(d, filters)])
        theta[name] = moved.view_as(theta[name])
    net.load_state_dict(theta)
    x = start().x.detach().requires_grad_()
    want = gradient(net, drawn.data.x[drawn.data.taken[0]], 0)
    expected = mse(gradient(net, x[:2], 0)[:1], [w.detach() for w in want[:1]])
    (dx,) = torch.autograd.grad(expected, x)
    assert loss == pytest.approx(expected.item(), rel=1e-8)
    assert torch.allclose(g, dx, rtol=1e-7, atol=1e-12)
    assert dx.any()


def test_acc_dd_without_experts_and_perturbation_is_idc():
    same(
        GroupwiseMatching(4, augment="match", networks=EarlyStage(**REAL, most=0.0)),
        GroupwiseMatching(4, augment="match", networks=TrainedOnReal(**REAL)),
        steps=14,
    )


def test_acc_dd_with_experts_resumes():
    experts = [expert(toys.recorded(Small), seed) for seed in range(2)]
    objective = GroupwiseMatching(4, networks=EarlyStage(**REAL, experts=experts))
    resumes(objective, start, lambda: toys.recorded(Small), steps=14)


def test_acc_dd_leaves_its_experts_as_they_are():
    drawn = toys.recorded(Small)
    one = expert(drawn)
    before = {name: p.clone() for name, p in one.snapshots[-1].items()}
    optimise(
        drawn.problem, start(), GroupwiseMatching(4, networks=EarlyStage(**REAL, experts=[one])), steps=9, optimiser=SGD
    )
    assert all(torch.equal(before[name], p) for name, p in one.snapshots[-1].items())


# ---------------------------------------------------------------------------------------------------------------------
# PDD


def test_a_part_is_some_rows_of_a_set():
    s = start(rows=3)
    part = Part(s, {2: [6, 8], 0: [1]})
    assert part.counts == {2: 2, 0: 1}
    assert torch.equal(part.batch(2).x, s.x[[6, 8]])
    assert torch.equal(part.batch().x, s.x[[6, 8, 1]])
    part.batch(0).x.sum().backward()
    assert s.x.grad.flatten(1).any(1).tolist() == [False, True] + [False] * 7


def test_pdd_matches_all_parts_so_far_and_moves_the_last():
    """The gradient of the mean over both parts, where only the new rows are variables."""
    drawn, s = toys.recorded(Small), start(rows=3)
    before = s.x.detach().clone()
    objective = ProgressiveMatching(n_real=6, augment="match", stage=1, stages=2)
    (loss,), g = update(objective, drawn, s)
    rolled = [lambda x, seed=seed: toys.roll(Rows(x), seed).x for _, seed in drawn.seeds]
    net, new = copy.deepcopy(drawn.networks[0]), before[2:3].clone().requires_grad_()
    want = gradient(net, rolled[0](drawn.data.x[drawn.data.taken[0]]), 0)
    have = gradient(net, rolled[0](torch.cat([before[:2], new])), 0)  # three rows a class: two, then one
    expected = mse(have[:1], [w.detach() for w in want[:1]])
    (dx,) = torch.autograd.grad(expected, new)
    assert loss == pytest.approx(expected.item(), rel=1e-9)
    assert torch.allclose(g[2:3], dx, rtol=1e-8, atol=1e-12)
    assert dx.any()
    assert not g[:2].any()
    assert not g[3:].any()


def test_pdd_leaves_earlier_parts_as_they_are():
    drawn, s = toys.recorded(Small), start(rows=4)
    before = s.x.detach().clone()
    networks = AfterParts(**REAL, stage=1, stages=2, epochs=2)
    objective = ProgressiveMatching(n_real=4, networks=networks, stage=1, stages=2)
    optimise(drawn.problem, s, objective, steps=8, optimiser=SGD)
    old = [i for i in range(12) if i % 4 < 2]
    assert torch.equal(s.x[old], before[old])
    assert not torch.isclose(s.x, before).flatten(1).all(1)[[i for i in range(12) if i % 4 >= 2]].any()


def test_pdd_trains_its_networks_on_part_after_part():
    drawn, s = toys.recorded(Small), start(rows=3)
    AfterParts(size=4, stage=2, stages=3, epochs=2, augment=None).start(drawn.problem, s, Run(0))
    assert [rows for _, rows, _ in drawn.reads] == [3, 3, 4, 2, 4, 2]  # one row a class, then two, in batches of four


def test_pdd_with_one_part_is_idc():
    same(
        ProgressiveMatching(4, augment="match", networks=AfterParts(**REAL), stage=0, stages=1),
        GroupwiseMatching(4, augment="match", networks=TrainedOnReal(**REAL)),
        steps=14,
    )


# ---------------------------------------------------------------------------------------------------------------------
# EGM


@pytest.mark.parametrize("distance", ["layer-cosine+norm", "layer-cosine"])
def test_egm_matches_within_classes_and_across(distance):
    def D(have, want):
        lengths = sum(
            (u - v).norm() for a, b in zip(have, want) if a.ndim > 1 for u, v in zip(a.flatten(1), b.flatten(1))
        )
        return layer_cosine(have, want) + (lengths if "norm" in distance else 0.0)

    def formula(net, pairs):
        across = D(total(have for have, _ in pairs), total(want for _, want in pairs))
        return sum(D(*pair) for pair in pairs) + 0.3 * across

    equals(MultiLevelMatching(n_real=6, distance=distance, augment="match", across=0.3), formula)


def test_egm_within_classes_alone_is_dc_with_its_distance():
    """By angles alone, with networks that are never given up, it is DC."""
    for distance in ("layer-cosine+norm", "layer-cosine"):
        ends = []
        for objective in (
            MultiLevelMatching(6, distance, networks=UntilOverfit(outer=2, epochs=2, lr=0.3), across=0.0),
            GradientMatching(6, distance, networks=TrainedOnSet(outer=2, epochs=2, lr=0.3)),
        ):
            ends.append(update(objective, toys.recorded(Small), start(), steps=4))
        (losses, g), (other_losses, other_g) = ends
        assert losses == pytest.approx(other_losses, rel=1e-10)
        assert torch.allclose(g, other_g, rtol=1e-9, atol=1e-12)


def test_egm_gives_a_network_up_when_it_knows_the_set_by_heart():
    def networks(gap):
        drawn = toys.recorded(Small)
        policy = UntilOverfit(outer=6, epochs=40, lr=0.5, gap=gap)
        optimise(drawn.problem, start(), MultiLevelMatching(4, networks=policy), steps=6, optimiser=SGD)
        return len(drawn.networks)

    assert networks(0.0) == networks(1e9) == 1
    assert networks(1.5) > 1


def test_egm_resumes():
    objective = MultiLevelMatching(4, networks=UntilOverfit(outer=3, epochs=4, lr=0.5, gap=1.2), augment="match")
    resumes(objective, start, lambda: toys.recorded(Small), steps=8)


# ---------------------------------------------------------------------------------------------------------------------
# LCMat


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


# ---------------------------------------------------------------------------------------------------------------------
# all of them


OBJECTIVES = {
    "dcc": ContrastiveMatching(n_real=12),
    "idc": GroupwiseMatching(n_real=12, networks=TrainedOnReal(outer=3, steps=1, size=32)),
    "dream": GroupwiseMatching(n_real=12, networks=TrainedOnReal(outer=3, steps=1, size=32), rows=Representative(2)),
    "acc-dd": GroupwiseMatching(n_real=12, networks=EarlyStage(outer=3, steps=1, size=32)),
    "pdd": ProgressiveMatching(n_real=12, networks=AfterParts(outer=3, steps=1, size=32, stages=2), stages=2),
    "egm": MultiLevelMatching(n_real=12, networks=UntilOverfit(outer=3, gap=2.0)),
    "lcmat": CurvatureMatching(n_real=12),
}


def seen_loss(p, s, objective):
    """The objective's mean value over networks that stand apart from those it learned with; the set stays."""
    still = optimise(p, s, objective, steps=12, optimiser=partial(torch.optim.SGD, lr=0.0), seed=7)
    return sum(record["loss"] for record in still.history) / 12


@pytest.mark.parametrize("name", toys.ALL)
@pytest.mark.parametrize("method", OBJECTIVES)
def test_an_objective_brings_its_distance_down(name, method):
    p, s = toys.case(name)
    before = seen_loss(p, s, OBJECTIVES[method])
    optimise(p, s, OBJECTIVES[method], steps=24, optimiser=partial(torch.optim.Adam, lr=0.05), seed=100)
    assert seen_loss(p, s, OBJECTIVES[method]) < before
    assert all(q.isfinite().all() for q in s.parameters())
