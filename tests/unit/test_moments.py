"""Layers, covariances and experts in distribution matching: each loss is its formula, and its ancestor without its idea."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
import toys
from torch import nn

from ddcore.loop import Run, optimise
from ddcore.objectives.distribution import DistributionMatching
from ddcore.objectives.layers import AttentionMatching, LayerMatching, attention
from ddcore.objectives.networks import Watched
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


@pytest.mark.parametrize("one_by_one", [True, False])
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
