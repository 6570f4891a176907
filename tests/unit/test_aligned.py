"""DATM: a window that grows, stretches that are skipped, labels that are learned."""

import math
import random

import pytest
import torch
from unrolled import (
    Fixed,
    assert_equal,
    by_name,
    copies,
    experts,
    logits,
    problem,
    sgd,
    squared,
    start,
    student,
    update,
)

from ddcore.experts.opinions import answers, known_rows
from ddcore.loop import Run, optimise
from ddcore.objectives.trajectory import (
    AlignedMatching,
    GrowingWindow,
    TrajectoryMatching,
    Window,
)


def test_a_skipped_stretch_is_a_step_without_update():
    p, s = problem(), start()
    before = s.x.detach().clone()
    never = AlignedMatching(Window(experts(), last=2), 3, threshold=1e-9)
    with pytest.warns(UserWarning, match="skipped the last 4 of 4 updates.*at step 0.*raise the threshold"):
        run = optimise(p, s, never, steps=4, optimiser=sgd())
    assert run.step == len(run.history) == 4
    assert all(math.isnan(h["loss"]) for h in run.history)
    assert torch.equal(s.x, before)


def test_datm_skips_what_is_above_its_threshold_and_nothing_else():
    s, fixed = start(), Fixed()
    loss, _ = update(TrajectoryMatching(fixed, 3), s)
    assert update(AlignedMatching(fixed, 3, threshold=loss.item() * (1 + 1e-12)), s)[0].item() == loss.item()
    assert update(AlignedMatching(fixed, 3, threshold=loss.item()), s)[0] is not None
    assert update(AlignedMatching(fixed, 3, threshold=loss.item() * (1 - 1e-12)), s) == (None, [None, None])


def test_a_set_that_exploded_and_is_skipped_from_then_on_is_told():
    objective = AlignedMatching(Fixed(), 5, threshold=1e6)
    with pytest.warns(UserWarning, match="skipped the last 9 of 10 updates.*at step 1. Lower the learning rates"):
        optimise(problem(), start(), objective, steps=10, optimiser=sgd(1e5, 1e-9))


def test_datm_is_mtt_where_nothing_is_skipped_and_the_window_stands():
    found = []
    for kind, window in (
        (AlignedMatching, GrowingWindow(experts(), last=2, begin=2)),
        (TrajectoryMatching, Window(experts(), last=2)),
    ):
        s, more = start(), {"threshold": math.inf} if kind is AlignedMatching else {}
        run = optimise(problem(), s, kind(window, 3, **more), steps=4, optimiser=sgd())
        found.append((s.x.detach(), [h["loss"] for h in run.history]))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_the_window_grows():
    window, run, bounds = GrowingWindow(experts(1), last=20, begin=10, over=100), Run(0), []
    for run.step in (0, 9, 10, 50, 99, 100, 1000):
        bounds.append(window.bound(run))
    assert bounds == [10, 10, 11, 15, 19, 20, 20]


def test_labels_are_learned_from_the_answers_of_experts_that_are_right():
    p, paths = problem(), experts(3, epochs=1)
    s = p.synthetic(dict.fromkeys(range(3), 4), p.data.sample(4, [0, 1, 2], rng=random.Random(1)), random.Random(0))
    z = torch.stack([logits(s.x.detach(), e.snapshots[-1]) for e in paths])  # (experts, rows, k)
    y, want = [0] * 4 + [1] * 4 + [2] * 4, []
    for i, c in enumerate(y):
        right = [j for j in range(3) if z[j, i].argmax() == c] or [0, 1, 2]
        want.append(sum(z[j, i] for j in right) / len(right))
    assert 2 in {len({int(z[j, i].argmax()) == c for j in range(3)}) for i, c in enumerate(y)}  # some disagree
    assert torch.allclose(answers(p, paths, s), torch.stack(want), rtol=1e-10)


def test_datm_equals_plain_training_on_soft_labels():
    s, fixed = start(), Fixed()
    soft = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]], dtype=torch.float64)
    s.learn_labels("probabilities", soft)
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    free = soft.log().requires_grad_()
    end = student(x, free.softmax(1), log_eta, begin, 5)[-1]
    loss = squared(end, target) / squared(begin, target)
    found = update(AlignedMatching(fixed, 5, threshold=10.0), s)
    (want,) = torch.autograd.grad(loss, free, retain_graph=True)
    assert torch.allclose(by_name(s, found[1])["labels.stored"], want, rtol=1e-8, atol=1e-12)
    assert_equal(s, found, loss, x, log_eta)


def test_known_rows_are_those_that_experts_predict_right():
    p, (expert, other) = problem(), experts(2)
    x, y = p.data.x, p.data.y
    sure = {i for i in p.data.ids() if logits(x[i][None], expert.snapshots[-1]).argmax() == y[i]}
    counts = {g: min(3, len(sure & set(p.data.ids(g)))) for g in range(3)}
    counts = {g: n for g, n in counts.items() if n}
    made = known_rows(p, counts, [expert, other], random.Random(0))
    assert set(made.chosen) <= sure
    for g, n in counts.items():
        assert len(made.ids(g)) == n
    everything = known_rows(p, {g: len(p.data.ids(g)) for g in range(3)}, [expert], random.Random(0))
    assert sorted(everything.chosen) == sorted(p.data.ids())
