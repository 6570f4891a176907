"""Layers, covariances and experts in distribution matching: each loss is its formula, and its ancestor without its idea."""

import random
from functools import partial

import pytest
import torch
import torch.nn.functional as F
import toys
from torch import nn

from ddcore.experts import Trajectory
from ddcore.loop import Run, optimise
from ddcore.objectives import features
from ddcore.objectives.distribution import DistributionMatching
from ddcore.objectives.layers import AttentionMatching, LayerMatching, attention
from ddcore.objectives.moments import CalibratedMatching, RelationMatching, SemanticMatching, covariance
from ddcore.objectives.networks import Interpolated, Snapshots, Watched
from ddcore.problem import Output
from ddcore.rows import Rows, RowSynthetic
from ddcore.seeds import torch_seeded

SGD = partial(torch.optim.SGD, lr=0.5, momentum=0.5)


class Blocks(nn.Module):
    """Two maps, then features and logits; the layers are reported."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
        self.head = nn.Linear(5 * 4, 3)

    def forward(self, batch):
        first = F.avg_pool2d(torch.tanh(self.a(batch.x)), 2)  # (n, 4, 4, 4)
        second = F.avg_pool2d(torch.tanh(self.b(first)), 2)  # (n, 5, 2, 2)
        z = second.flatten(1)
        return Output(self.head(z), z, {"layers": (first, second)})


def start(rows=2, seed=0):
    x = torch.randn(3 * rows, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return RowSynthetic(dict.fromkeys(range(3), rows), x)


def first_update(objective, rows=2, model=Blocks):
    """One update's loss and dL/dS, and what it saw: the network as it was, real and synthetic rows by class."""
    drawn, s = toys.recorded(model), start(rows)
    grad = []

    def sgd(groups):
        opt = SGD(groups)
        opt.register_step_pre_hook(lambda *_: grad.append(s.x.grad.clone()))
        return opt

    x = s.x.detach().clone().requires_grad_()
    run = optimise(drawn.problem, s, objective, steps=1, optimiser=sgd)
    taken = [i for ids in drawn.data.taken for i in ids][: 3 * objective.n_real]
    real = [drawn.data.x[[i for i in taken if i % 3 == c]] for c in range(3)]
    assert [len(r) for r in real] == [objective.n_real] * 3
    return run.history[0]["loss"], grad[0], drawn, real, x, x.split(rows)


def agrees(found, expected, x):
    loss, grad = found
    assert loss == pytest.approx(expected.item(), rel=1e-10)
    torch.testing.assert_close(grad, torch.autograd.grad(expected, x)[0], rtol=1e-9, atol=1e-11)


def apart(counts, at_once):
    """Every group by itself."""
    return [[g] for g in counts]


@pytest.fixture(params=[True, False], ids=["one by one", "together"])
def one_by_one(request, monkeypatch):
    monkeypatch.setattr(features, "blocks", apart)
    return request.param


def history(objective, steps=3, model=Blocks, rows=2):
    """The losses of a run and where it ends."""
    drawn, s = toys.recorded(model), start(rows)
    with torch_seeded("a test"):
        run = optimise(drawn.problem, s, objective, steps=steps, optimiser=SGD)
    return torch.tensor([h["loss"] for h in run.history], dtype=torch.float64), s.x.detach()


def same(objective, ancestor, **more):
    for a, b in zip(history(objective, **more), history(ancestor, **more), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def differs(objective, ancestor, **more):
    assert not torch.allclose(history(objective, **more)[0], history(ancestor, **more)[0], rtol=1e-4)


# ---------------------------------------------------------------------------------------------------------------------
# attention (DataDAM)


def written_attention(layer, p):  # (n, c, h, w)
    rows = []
    for row in layer:
        answer = sum(channel.abs() ** p for channel in row).flatten()
        rows.append(answer / answer.square().sum().sqrt())
    return torch.stack(rows)


@pytest.mark.parametrize("p", [1, 2])
def test_attention_matching_is_its_formula(one_by_one, p):
    objective = AttentionMatching(n_real=10, attention=3.0, output=0.5, power=p, one_by_one=one_by_one)
    loss, grad, drawn, real, x, fake = first_update(objective)
    net, expected = drawn.networks[0], 0.0
    for t, s in zip(real, fake, strict=True):
        have, want = net(Rows(s)), net(Rows(t))
        maps = [written_attention(out.extras["layers"][0], p).mean(0) for out in (have, want)]
        expected = expected + 3.0 * (maps[0] - maps[1]).square().sum()
        expected = expected + 0.5 * (have.features.mean(0) - want.features.mean(0)).square().sum()
    agrees((loss, grad), expected, x)


def test_attention_matching_without_attention_is_dm():
    same(AttentionMatching(n_real=12, augment="match", attention=0), DistributionMatching(n_real=12, augment="match"))
    differs(AttentionMatching(n_real=12), DistributionMatching(n_real=12))


def test_attention_matching_of_a_network_without_layers_is_dm():
    same(AttentionMatching(n_real=12), DistributionMatching(n_real=12), model=toys.MLP)


def test_attention():
    layer = torch.randn(3, 4, 2, 5, dtype=torch.float64)
    torch.testing.assert_close(attention(layer, 2), written_attention(layer, 2))
    torch.testing.assert_close(attention(layer).norm(dim=1), torch.ones(3, dtype=torch.float64))
    assert attention(layer).shape == (3, 10)
    flat = layer[:, :, 0, 0]
    torch.testing.assert_close(attention(flat, 2), F.normalize(flat**2), msg="channels answer where nothing else does")


# ---------------------------------------------------------------------------------------------------------------------
# layers, discrimination, watched networks (CAFE)


def test_layer_matching_is_its_formula():
    objective = LayerMatching(n_real=10, last=2.0, earlier=0.3, discrimination=0.7)
    loss, grad, drawn, real, x, fake = first_update(objective)
    net, expected = drawn.networks[0], 0.0
    centres = [net(Rows(s)).features.mean(0) for s in fake]
    for c, (t, s) in enumerate(zip(real, fake, strict=True)):
        have, want = net(Rows(s)), net(Rows(t))
        first = [out.extras["layers"][0].mean(0) for out in (have, want)]
        expected = expected + 0.3 * (first[0] - first[1]).square().sum()
        expected = expected + 2.0 * (have.features.mean(0) - want.features.mean(0)).square().sum()
        for row in want.features.detach():
            scores = torch.stack([(row * centre).sum() for centre in centres])
            expected = expected - 0.7 * (scores[c] - scores.exp().sum().log())
    agrees((loss, grad), expected, x)


def test_layer_matching_of_the_last_layer_alone_is_dm():
    off = {"last": 1, "earlier": 0, "discrimination": 0}
    same(LayerMatching(n_real=12, augment="match", **off), DistributionMatching(n_real=12, augment="match"))
    for one in ({"earlier": 0.1}, {"discrimination": 0.01}):
        differs(LayerMatching(n_real=12, **{**off, **one}), DistributionMatching(n_real=12))


def test_a_watched_network_leaves_when_its_scores_settle():
    scores = iter([0.2, 0.9, 0.3, 0.30, 0.6, 0.31, 0.31])
    drawn = toys.recorded()
    drawn.problem.task.score = lambda pairs: {"accuracy": next(scores)}
    policy = Watched(settled=0.05, moved=0.1, window=2, longest=9).networks(drawn.problem, start(), Run(0, steps=9))
    with torch_seeded("a test"):
        first = next(policy)
        after = {k: v.clone() for k, v in first.state_dict().items()}
        assert next(policy) is first, "one score is no window"
        assert any((after[k] != v).any() for k, v in first.state_dict().items()), "it was trained in between"
        # scores: 0.2 after the update; 0.9 and 0.3 after epochs, which moved; then 0.30 after the update
        assert next(policy) is first, "0.2 and 0.30 have not settled"
        # 0.6 and 0.31 after epochs; 0.31 after the update: 0.30 and 0.31 have settled
        assert next(policy) is not first
    assert next(scores, None) is None


def test_a_watched_network_that_does_not_move_is_trained_to_the_longest():
    drawn, s = toys.recorded(), start()
    drawn.problem.task.score = lambda pairs: {"accuracy": 0.5}
    policy = Watched(settled=0.0, window=3, longest=7).networks(drawn.problem, s, Run(0, steps=9))
    with torch_seeded("a test"):
        next(policy)
        before = len(drawn.reads)
        next(policy)
    scored = [n for _, n, _ in drawn.reads[before:] if n == 3 * 128]
    trained = [n for _, n, _ in drawn.reads[before:] if n == 6]
    assert (len(scored), len(trained)) == (1 + 7, 7)


def test_cafe_goes_on_where_it_was_cut():
    objective = LayerMatching(n_real=6, networks=Watched(window=2, longest=3, query=4, settled=0.3))
    saved, whole, s = [], toys.recorded(), start()
    with torch_seeded("a test"):
        a = optimise(whole.problem, s, objective, steps=9, optimiser=SGD, checkpoint=lambda take: saved.append(take()))
    assert 1 < len(saved) < 9
    again, t = toys.recorded(), start()
    with torch_seeded("a test"):
        b = optimise(again.problem, t, objective, steps=9, optimiser=SGD, resume=saved[1])
    assert a.history == b.history
    assert torch.equal(s.x, t.x)


# ---------------------------------------------------------------------------------------------------------------------
# experts


def path(seed=0, model=Blocks):
    """An expert, which here is two random networks: its start and its end."""
    with torch_seeded(seed, "expert"):
        nets = [model().double(), model().double()]
    return Trajectory("net", seed, 1, [{k: v.detach() for k, v in net.named_parameters()} for net in nets])


def network(snapshot, model=Blocks):
    net = model().double()
    net.load_state_dict(snapshot)
    return net


def written_covariance(rows, lost):  # (n, c, ...)
    centred = (rows - rows.mean(0)).flatten(2) if rows.ndim > 2 else (rows - rows.mean(0))[:, :, None]
    return sum(row @ row.T for row in centred) / (len(rows) - lost)


def test_covariance():
    x = torch.randn(7, 3, dtype=torch.float64)
    torch.testing.assert_close(covariance(x, lost=1), x.T.cov())
    torch.testing.assert_close(covariance(x), x.T.cov(correction=0))
    maps = torch.randn(5, 3, 2, 4, dtype=torch.float64)
    torch.testing.assert_close(covariance(maps), written_covariance(maps, 0))


# ---------------------------------------------------------------------------------------------------------------------
# centralisation and covariances (IID)


def test_relation_matching_is_its_formula(one_by_one):
    expert = path()
    objective = RelationMatching(10, experts=[expert], centralisation=0.7, covariance=0.3, one_by_one=one_by_one)
    loss, grad, drawn, real, x, fake = first_update(objective, rows=3)
    phi, psi, expected = drawn.networks[0], network(expert.teacher), 0.0
    for t, s in zip(real, fake, strict=True):
        have, want, close = phi(Rows(s)), phi(Rows(t)), psi(Rows(s)).features
        expected = expected + (have.features.mean(0) - want.features.mean(0)).square().sum()
        covs = [written_covariance(out.extras["layers"][1], 0) for out in (have, want)]
        expected = expected + 0.3 * (covs[0] - covs[1]).square().sum()
        expected = expected + 0.7 * sum((row - close.mean(0)).square().sum() for row in close)
    agrees((loss, grad), expected, x)


def test_relation_matching_without_relations_is_dm():
    off = RelationMatching(12, "match", centralisation=0, covariance=0)
    same(off, DistributionMatching(12, "match"))
    differs(RelationMatching(12, centralisation=0, covariance=10), DistributionMatching(12))
    differs(RelationMatching(12, experts=[path()], covariance=0), DistributionMatching(12))


def test_one_row_is_its_own_centre():
    same(
        RelationMatching(12, experts=[path()], covariance=0),
        RelationMatching(12, centralisation=0, covariance=0),
        rows=1,
        steps=1,
    )


# ---------------------------------------------------------------------------------------------------------------------
# covariances and memories in trained networks (DSDM)


def test_semantic_matching_is_its_formula():
    """Two updates in one network: the second is drawn to the mean that the first saw."""
    expert = path()
    objective = SemanticMatching(
        10, networks=Snapshots([expert], first=1), covariance=0.8, history=0.6, smoothing=0.9, wait=0
    )
    drawn, s, grads = toys.recorded(Blocks), start(rows=3), []

    def sgd(groups):
        opt = SGD(groups)
        opt.register_step_pre_hook(lambda *_: grads.append((s.x.detach().clone(), s.x.grad.clone())))
        return opt

    run = optimise(drawn.problem, s, objective, steps=3, optimiser=sgd)
    phi, h = network(expert.teacher), [None] * 3
    taken = [i for ids in drawn.data.taken for i in ids]
    for step, (x, grad) in enumerate(grads):
        x.requires_grad_()
        rows, expected = taken[30 * step : 30 * step + 30], 0.0
        for c, part in enumerate(x.split(3)):
            t, f = phi(Rows(drawn.data.x[[i for i in rows if i % 3 == c]])).features, phi(Rows(part)).features
            m, d = f.mean(0), f.shape[1]
            expected = expected + (t.mean(0) - m).square().sum()
            expected = expected + 0.8 / d * (t.T.cov() - f.T.cov()).square().sum()
            if step > 0:
                expected = expected + 0.6 / d * (m - h[c]).square().sum()
            h[c] = m.detach() if step == 0 else 0.9 * h[c] + 0.1 * m.detach()
        agrees((run.history[step]["loss"], grad), expected, x)


def test_semantic_matching_without_covariance_and_memory_is_dm():
    off = SemanticMatching(12, "match", covariance=0, history=0)
    same(off, DistributionMatching(12, "match"))
    differs(SemanticMatching(12, history=0), DistributionMatching(12))
    same(SemanticMatching(12, covariance=0, wait=3), DistributionMatching(12), steps=3)
    differs(SemanticMatching(12, covariance=0, wait=1), DistributionMatching(12), steps=3)


def test_one_row_has_no_covariance():
    same(SemanticMatching(12, history=0), DistributionMatching(12), rows=1)


def test_the_memory_survives_in_the_state():
    objective = SemanticMatching(6, networks=Snapshots([path(0), path(1)], first=1), wait=1)
    saved, whole, s = [], toys.recorded(Blocks), start()
    a = optimise(whole.problem, s, objective, steps=6, optimiser=SGD, checkpoint=lambda take: saved.append(take()))
    again, t = toys.recorded(Blocks), start()
    b = optimise(again.problem, t, objective, steps=6, optimiser=SGD, resume=saved[3])
    assert a.history == b.history
    assert torch.equal(s.x, t.x)


# ---------------------------------------------------------------------------------------------------------------------
# two views (DANCE)


def test_calibrated_matching_is_its_formula(one_by_one):
    expert = path()
    way = Interpolated([expert], 0.25, 0.25)
    objective = CalibratedMatching(10, networks=way, experts=[expert], calibration=0.7, one_by_one=one_by_one)
    loss, grad, _, real, x, fake = first_update(objective)
    phi = network({k: 0.25 * v + 0.75 * expert.snapshots[1][k] for k, v in expert.snapshots[0].items()})
    end, expected = network(expert.teacher), 0.0
    for c, (t, s) in enumerate(zip(real, fake, strict=True)):
        expected = expected + (phi(Rows(t)).features.mean(0) - phi(Rows(s)).features.mean(0)).square().sum()
        expected = expected - 0.7 * end(Rows(s)).logits.log_softmax(1)[:, c].mean()
    agrees((loss, grad), expected, x)


def test_calibrated_matching_without_calibration_in_random_networks_is_dm():
    same(CalibratedMatching(12, "match", calibration=0), DistributionMatching(12, "match"))
    differs(CalibratedMatching(12, experts=[path()]), DistributionMatching(12))
    differs(CalibratedMatching(12, networks=Interpolated([path()]), calibration=0), DistributionMatching(12))


def test_the_set_comes_to_please_its_experts():
    first, last = path().snapshots
    expert = Trajectory("net", 0, 1, [first, {**last, "head.weight": 20 * last["head.weight"]}])  # with firm opinions
    objective = CalibratedMatching(20, networks=Interpolated([expert]), experts=[expert])
    adam = partial(torch.optim.Adam, lr=0.05)
    losses = [
        h["loss"] for h in optimise(toys.recorded(Blocks).problem, start(), objective, steps=60, optimiser=adam).history
    ]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("judge_norm", [True, False])
def test_a_judge_with_batchnorm_sees_all_groups_at_once(judge_norm, monkeypatch):
    """Statistics of one group alone would hide what tells it from others."""
    monkeypatch.setattr(features, "blocks", apart)
    seen = []

    class Spied(toys.ConvNet):
        def forward(self, batch):
            if batch.x.requires_grad:
                seen.append(sorted(batch.y.tolist()))
            return super().forward(batch)

    def judge():
        return Spied(batch_norm=judge_norm)

    p = toys.image(models={"mlp": toys.MLP, "judge": judge})
    end = {k: v.detach() for k, v in judge().named_parameters()}
    s = p.synthetic(dict.fromkeys(range(3), 2), None, random.Random(0))
    optimise(p, s, CalibratedMatching(5, experts=[Trajectory("judge", 0, 1, [end])]), steps=1, optimiser=SGD)
    assert (seen == [[0, 0, 1, 1, 2, 2]]) == judge_norm
