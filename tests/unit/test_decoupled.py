"""The decoupled line's protocol: rows that are mixed, labels of a teacher."""

from dataclasses import replace

import pytest
import torch
import toys
from torch import nn
from toys import SHORT

from ddcore import labels
from ddcore.errors import NotSupported
from ddcore.evaluation import evaluate, score, train
from ddcore.parametrizations import RealRows, Selected
from ddcore.recipes import DECOUPLED
from ddcore.rows import Rows, RowSynthetic, TeacherLabels
from ddcore.seeds import stream


def mixed(batch, seed):
    """Half of each row and of its label is the next row's."""
    y = labels.one_hot(batch.y, 3) if batch.y.ndim == 1 else batch.y
    return replace(toys.roll(batch, seed), y=(y + y.roll(1, 0)) / 2, x=(batch.x + batch.x.roll(1, 0)) / 2)


def taught(temperature=4.0):
    """A problem that mixes rows, and a set of four of them with a teacher that was trained a little."""
    p = toys.image(augmentations={"train": toys.roll, "mixed": mixed})
    teacher = train(p, RealRows.all(p.data), SHORT, 9, "mlp")
    x = p.data.take([0, 1, 2, 3]).x
    return p, RowSynthetic(
        {0: 2, 1: 1, 2: 1}, x, TeacherLabels(teacher, "mlp", torch.tensor([0, 0, 1, 2]), temperature)
    )


def test_the_decoupled_line_s_protocol():
    """Against a loop of torch's parts: AdamW, its cosine, the divergence from the teacher at its temperature."""
    p, s = taught()
    recipe, t = replace(DECOUPLED, epochs=12, size=3), 4.0
    net = p.new_model(stream(3, "evaluate", "convnet"), "convnet")
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 12)
    order, divergence = stream(3, "order").getrandbits(31), nn.KLDivLoss(reduction="batchmean")
    for step in range(24):  # four rows in batches of three: two an epoch
        view = s.train_batch(p.training_with("mixed"), step, order, 3)[0]
        with torch.no_grad():
            wanted = (s.labels.teacher(view).logits / t).softmax(1)
        opt.zero_grad()
        (t**2 * divergence((net(view).logits / t).log_softmax(1), wanted)).backward()
        opt.step()
        if step % 2:
            cosine.step()
    found = train(p, s, recipe, 3, "convnet")
    for a, b in zip(found.parameters(), net.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_hard_labels_are_mixed_where_a_protocol_mixes_rows():
    p, s = taught()
    hard = RowSynthetic(s.counts, s.x)
    recipe = replace(DECOUPLED, epochs=5, size=None, schedule=None)
    net = p.new_model(stream(0, "evaluate", "mlp"), "mlp")
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    own = torch.eye(3)[[0, 0, 1, 2]]
    x, y = (s.x + s.x.roll(1, 0)).detach() / 2, (own + own.roll(1, 0)) / 2
    for _ in range(5):
        opt.zero_grad()
        (-y * net(Rows(x)).logits.log_softmax(1)).sum(1).mean().backward()
        opt.step()
    found = train(p, hard, recipe, 0, "mlp")
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found.parameters(), net.parameters(), strict=True))


def test_a_set_s_teacher_labels_the_random_rows_beside_it():
    p, s = taught()
    recipe = replace(DECOUPLED, name="decoupled-short@1", epochs=20, lr=0.01)
    report = evaluate(s, p, models=["mlp"], seeds=2, protocol=recipe)
    drawn = [Selected.random(p.data, s.counts, stream(i, "random")) for i in range(2)]
    same = [RowSynthetic(s.counts, rows.batch().x, s.labels) for rows in drawn]
    expected = tuple(score(p, train(p, one, recipe, i, "mlp"))["accuracy"] for i, one in enumerate(same))
    assert report.score(of="baselines").values == expected
    assert "labels: teacher" in str(report)


def test_a_protocol_that_mixes_rows_is_refused_where_nothing_does(pair):
    p, s = pair
    with pytest.raises(NotSupported, match=r"image/toy has no augmentation 'mixed'.*Valid choices: match, train"):
        evaluate(s, p, seeds=1, protocol="decoupled")


def test_labels_of_each_epoch_go_with_no_mixed_rows():
    p, s = taught()
    stored = torch.softmax(torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)), -1)
    s = RowSynthetic(s.counts, s.x, labels.per_epoch(stored))
    with pytest.raises(NotSupported, match="mixes rows"):
        train(p, s, replace(DECOUPLED, epochs=1), 0, "mlp")
    train(p, s, SHORT, 0, "mlp")
    train(p, s, replace(SHORT, augment="train"), 0, "mlp")
