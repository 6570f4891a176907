"""Trajectory matching equals training written out in plain autograd, and each variation its ancestor where its idea is off."""

import math
import random
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
import toys
from safetensors.torch import load_file
from torch import nn

from ddcore.distillation import resolve_method
from ddcore.errors import Diverged, OptionError
from ddcore.experts import Curriculum, Training, Trajectory
from ddcore.experts.opinions import answers, by_difficulty, known_rows
from ddcore.experts.training import Path, Ranked
from ddcore.loop import Run, optimise
from ddcore.methods.plan import Plan, Prepare, Work
from ddcore.objectives import sequential
from ddcore.objectives.sequential import SequentialMatching, after_subsets, subsets
from ddcore.objectives.trajectory import (
    AdaptiveMatching,
    AlignedMatching,
    Deep,
    Everything,
    GrowingWindow,
    Lines,
    Segment,
    Similar,
    Tesla,
    TrajectoryMatching,
    Window,
    convexify,
)
from ddcore.rows import RowSynthetic
from ddcore.seeds import torch_seeded

NAMES = ("body.weight", "body.bias", "head.weight", "head.bias")


class Small(toys.MLP):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(64, 4), nn.Linear(4, 3)
        self.double()


def problem(**changes):
    data = toys.pictures(60, torch.float64)
    return toys.image(**{"data": data, "models": {"small": Small}, "augmentations": {}, **changes})


def start(rows=1, step_size=0.3):
    x = torch.randn(3 * rows, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    s = RowSynthetic(dict.fromkeys(range(3), rows), x, step_size=step_size).double()
    return s.learn_step_size()


def experts(number=2, epochs=4, p=None):
    """Gradient descent on all real rows, one step an epoch."""
    p, found = p or problem(), []
    everything = p.data.take(p.data.ids())
    for k in range(number):
        net = p.new_model(random.Random(k))
        opt, path = torch.optim.SGD(net.parameters(), lr=0.5), []
        for _ in range(epochs + 1):
            path.append({name: q.detach().clone() for name, q in net.named_parameters()})
            opt.zero_grad()
            p.loss(net, everything).backward()
            opt.step()
        found.append(Trajectory("small", k, 1, path))
    return found


class Fixed:
    """A stretch that is known."""

    def __init__(self, expert=None, t=1, span=2):
        path = (expert or experts(1)[0]).snapshots
        self.segment = Segment("small", path[t], path[t + span])

    def draw(self, run):
        return self.segment


def update(objective, s, p=None, seed=0):
    """The value of the first update, and dL/dS by leaf."""
    s.zero_grad(set_to_none=True)
    with torch_seeded("a test"):
        updates = objective.losses(p or problem(), s, Run(seed))
        loss = next(updates)
        updates.close()
    if loss is not None and loss.requires_grad:
        torch.autograd.backward(loss, inputs=s.leaves())
    return loss, [q.grad for q in s.leaves()]


# ---------------------------------------------------------------------------------------------------------------------
# training written out


def logits(x, theta):
    w, b, v, c = (theta[k] for k in NAMES)
    return F.relu(x.flatten(1) @ w.T + b) @ v.T + c


def cross_entropy(x, y, theta):
    z = logits(x, theta)
    return (torch.logsumexp(z, 1) - (z * y).sum(1)).mean()


def one_hot(rows=1):
    return torch.eye(3, dtype=torch.float64).repeat_interleave(rows, 0)


def squared(a, b):
    return sum(((a[k] - b[k]) ** 2).sum() for k in NAMES)


def student(x, y, log_eta, theta, steps, *, forget=False):
    r"""theta_0 .. theta_N; with `forget` each one's gradient is taken as if theta_i did not depend on x."""
    path = [{k: q.detach().clone().requires_grad_() for k, q in theta.items()}]
    for _ in range(steps):
        here = {k: q.detach().requires_grad_() for k, q in path[-1].items()} if forget else path[-1]
        g = torch.autograd.grad(cross_entropy(x, y, here), [here[k] for k in NAMES], create_graph=True)
        path.append({k: path[-1][k] - log_eta.exp() * d for k, d in zip(NAMES, g)})
    return path


def copies(s):
    return s.x.detach().clone().requires_grad_(), s.log_step_size.detach().clone().requires_grad_()


def by_name(s, grads):
    return dict(zip((n for n, _ in s.named_parameters()), grads, strict=True))


def assert_equal(s, found, loss, x, log_eta, rel=1e-9):
    value, grads = found
    assert value.item() == pytest.approx(loss.item(), rel=rel)
    want_x, want_eta = torch.autograd.grad(loss, [x, log_eta])
    got = by_name(s, grads)
    assert want_x.abs().max() > 1e-6 < want_eta.abs()
    assert torch.allclose(got["x"], want_x, rtol=1e-6, atol=1e-6 * float(want_x.abs().max()))
    assert torch.allclose(got["log_step_size"], want_eta, rtol=1e-6)


# ---------------------------------------------------------------------------------------------------------------------
# MTT


@pytest.mark.parametrize("memory", ["graph", "checkpoint", "replay"])
def test_mtt_equals_plain_unrolled_training(memory):
    s, fixed = start(), Fixed()
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    end = student(x, one_hot(), log_eta, begin, 5)[-1]
    loss = squared(end, target) / squared(begin, target)
    assert_equal(s, update(TrajectoryMatching(fixed, 5, memory=memory), s), loss, x, log_eta)


def test_minibatches_and_augmentation_are_those_of_the_set_s_training():
    """Each step takes its rows, its augmentation and its step size from the set, as evaluation does."""
    p, s, fixed = problem(augmentations={"train": toys.roll, "match": toys.roll}), start(2), Fixed()
    rng = random.Random(0)

    class Known(Run):
        def __init__(self):
            super().__init__(0)
            self.rng = rng

    objective, segment = TrajectoryMatching(fixed, 4, size=4), fixed.segment
    with torch_seeded("a test"):
        updates = objective.losses(p, s, Known())
        loss = next(updates)
        updates.close()
    rng.seed(0)
    p.new_model(rng)
    seed = rng.getrandbits(31)
    theta = {k: q.clone().requires_grad_() for k, q in segment.start.items()}
    seen = []
    for t in range(4):
        batch, eta = s.train_batch(p, t, seed, 4)
        seen.append(len(batch.x))
        g = torch.autograd.grad(
            cross_entropy(batch.x, F.one_hot(batch.y, 3).double(), theta), list(theta.values()), create_graph=True
        )
        theta = {k: q - eta * d for (k, q), d in zip(theta.items(), g)}
    assert seen == [4, 2, 4, 2]
    want = squared(theta, segment.target) / squared(segment.start, segment.target)
    assert loss.item() == pytest.approx(want.item(), rel=1e-10)


def test_without_augmentation_rows_are_as_they_are():
    p, s = problem(augmentations={"train": toys.roll}), start()
    plain, rolled = (update(TrajectoryMatching(Fixed(), 4, augment=a), s, p)[0] for a in (None, "train"))
    assert plain.item() == pytest.approx(update(TrajectoryMatching(Fixed(), 4), s)[0].item(), rel=1e-12)
    assert plain.item() != pytest.approx(rolled.item(), rel=1e-3)


def test_a_match_of_no_parameter_is_an_error():
    with pytest.raises(OptionError, match=r"Similar\(threshold=2.0\) leaves no parameter to match"):
        update(TrajectoryMatching(Fixed(), 3, match=Similar(2.0)), start())
    with pytest.raises(OptionError, match="threshold = 1: expected number"):
        made("pp", threshold=1)


def test_a_student_that_stands_still_has_a_loss_of_one():
    loss, _ = update(TrajectoryMatching(Fixed(), 3), start(step_size=1e-30))
    assert loss.item() == pytest.approx(1.0, rel=1e-12)


def test_windows():
    run, path = Run(0), experts(1, epochs=6)
    starts = {id(x): t for t, x in enumerate(path[0].snapshots)}

    def drawn(window):
        segments = [window.draw(run) for _ in range(200)]
        return {(starts[id(a)], starts[id(b)]) for _, a, b in segments}

    assert drawn(Window(path, last=3)) == {(0, 2), (1, 3), (2, 4)}
    assert drawn(Window(path, first=2, last=4, span=1)) == {(2, 3), (3, 4)}
    assert drawn(Window(path, last=40)) == {(t, t + 2) for t in range(5)}
    assert drawn(Window(path, first=30, last=40)) == {(4, 6)}
    sparse = [Trajectory("small", 0, 2, path[0].snapshots)]  # the same snapshots, two epochs apart
    assert drawn(Window(sparse, last=5, span=4)) == {(0, 2), (1, 3), (2, 4)}
    for window in (Window(sparse, last=3, span=3), Window(path, last=3, span=7)):
        with pytest.raises(OptionError, match="does not fit an expert"):
            window.draw(run)


def test_all_experts_are_drawn():
    paths, run = experts(3), Run(0)
    drawn = [Window(paths, last=1).draw(run) for _ in range(60)]
    assert {id(s.start) for s in drawn} == {id(e.snapshots[0]) for e in paths}


def sgd(lr=1.0, lr_step=0.1):
    return lambda groups: torch.optim.SGD(
        [{**g, "lr": lr_step if g["name"] == "step_size" else lr} for g in groups], momentum=0.5
    )


def test_the_loss_goes_down_and_step_sizes_stay_positive():
    s, p = start(2, step_size=0.05), problem()
    objective = TrajectoryMatching(Window(experts(), last=2), 5)
    run = optimise(p, s, objective, steps=60, optimiser=sgd(5.0))
    losses = [h["loss"] for h in run.history]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    assert float(s.step_size().detach()) > 0
    steep = start(step_size=0.05)  # a step size that wants to become negative ends close to zero
    backwards = Fixed()
    backwards.segment = Segment("small", backwards.segment.target, backwards.segment.start)
    optimise(p, steep, TrajectoryMatching(backwards, 3), steps=40, optimiser=sgd(1e-9, 5.0))
    assert 0 < float(steep.step_size().detach()) < 0.05


@pytest.mark.parametrize("kind", [TrajectoryMatching, AlignedMatching])
def test_a_run_that_diverges_stops_with_advice(kind):
    s, objective = start(step_size=0.01), kind(Window(experts(), last=2), 5)
    with pytest.raises(Diverged, match="Lower the learning rate"):  # the step size explodes
        optimise(problem(), s, objective, steps=60, optimiser=sgd(1.0, 1e6))
    assert all(q.isfinite().all() for q in s.parameters())


def test_a_resumed_run_equals_an_uninterrupted_one():
    p, objective = problem(), TrajectoryMatching(Window(experts(), last=2), 3)
    taken = []
    whole = start()
    run = optimise(p, whole, objective, steps=6, optimiser=sgd(), checkpoint=lambda snapshot: taken.append(snapshot()))
    again = start()
    resumed = optimise(p, again, objective, steps=6, optimiser=sgd(), resume=taken[3])
    assert torch.equal(whole.x, again.x)
    assert torch.equal(whole.log_step_size, again.log_step_size)
    assert [h["loss"] for h in run.history] == [h["loss"] for h in resumed.history]


# ---------------------------------------------------------------------------------------------------------------------
# TESLA


def test_tesla_has_mtt_s_value_and_drops_how_earlier_steps_move_theta():
    s, fixed = start(), Fixed()
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    end = student(x, one_hot(), log_eta, begin, 5, forget=True)[-1]
    loss = squared(end, target) / squared(begin, target)
    found = update(Tesla(fixed, 5), s)
    assert not found[0].requires_grad
    assert_equal(s, found, loss, x, log_eta)
    mtt = update(TrajectoryMatching(fixed, 5), s)
    assert found[0].item() == pytest.approx(mtt[0].item(), rel=1e-14)
    assert not torch.allclose(found[1][0], mtt[1][0], rtol=1e-2)


def test_tesla_is_mtt_where_there_is_one_step():
    s = start(2)
    (a, da), (b, db) = (update(kind(Fixed(), 1), s) for kind in (Tesla, TrajectoryMatching))
    assert a.item() == pytest.approx(b.item(), rel=1e-14)
    assert all(torch.allclose(u, v, rtol=1e-10, atol=1e-14) for u, v in zip(da, db, strict=True))


# ---------------------------------------------------------------------------------------------------------------------
# what is matched, and how far: ATT, PP, PAD


@pytest.mark.parametrize("step_size", [0.3, 4.0])
def test_att_matches_the_step_that_comes_closest(step_size):
    s, fixed = start(step_size=step_size), Fixed(t=0, span=1)
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    path = student(x, one_hot(), log_eta, begin, 6)
    distances = [sum((theta[k] - target[k]).abs().sum().item() for k in NAMES) for theta in path[1:]]
    nearest = distances.index(min(distances)) + 1
    loss = squared(path[nearest], target) / squared(begin, target)
    objective = AdaptiveMatching(fixed, 6)
    assert_equal(s, update(objective, s), loss, x, log_eta)
    run = optimise(problem(), start(step_size=step_size), objective, steps=1, optimiser=sgd())
    assert run.history[0]["student_steps"] == nearest
    assert nearest < 6  # the last step is not the closest: otherwise it is MTT


def test_att_is_mtt_where_there_is_one_step():
    s = start(2)
    (a, da), (b, db) = (update(kind(Fixed(), 1), s) for kind in (AdaptiveMatching, TrajectoryMatching))
    assert torch.equal(a, b)
    assert all(torch.equal(u, v) for u, v in zip(da, db, strict=True))


def test_pp_leaves_out_the_entries_that_differ_much():
    s, fixed = start(), Fixed()
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    end = student(x, one_hot(), log_eta, begin, 5)[-1]
    near = far = 0.0
    kept = 0
    for k in NAMES:
        for e, b, g in zip(end[k].flatten(), begin[k].flatten(), target[k].flatten()):
            small, large = sorted((abs(e.item()), abs(g.item())))
            if e.item() * g.item() > 0 and small / large >= 0.8:
                near, far, kept = near + (e - g) ** 2, far + (b - g) ** 2, kept + 1
    assert 0 < kept < sum(end[k].numel() for k in NAMES)
    assert_equal(s, update(TrajectoryMatching(fixed, 5, match=Similar(0.8)), s), near / far, x, log_eta)


@pytest.mark.parametrize("match", [Similar(-1.0), Deep(0.0)])
def test_what_drops_nothing_is_mtt(match):
    s = start()
    a, b = (update(TrajectoryMatching(Fixed(), 4, match=m), s) for m in (match, Everything()))
    assert a[0].item() == pytest.approx(b[0].item(), rel=1e-14)
    assert all(torch.allclose(u, v, rtol=1e-12, atol=1e-16) for u, v in zip(a[1], b[1], strict=True))


def test_pad_leaves_out_the_first_entries():
    s, fixed = start(), Fixed()
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    flat = [torch.cat([theta[k].flatten() for k in NAMES]) for theta in (begin, target)]
    end = torch.cat([student(x, one_hot(), log_eta, begin, 5)[-1][k].flatten() for k in NAMES])
    cut = int(0.4 * len(end))
    assert cut < 64 * 4  # within the first weight
    loss = ((end - flat[1])[cut:] ** 2).sum() / ((flat[0] - flat[1])[cut:] ** 2).sum()
    assert_equal(s, update(TrajectoryMatching(fixed, 5, match=Deep(0.4)), s), loss, x, log_eta)
    total = len(end)
    deep = TrajectoryMatching(fixed, 5, match=Deep((total - 3) / total))  # the last bias alone
    last = student(x, one_hot(), log_eta, begin, 5)[-1]["head.bias"]
    want = ((last - target["head.bias"]) ** 2).sum() / ((begin["head.bias"] - target["head.bias"]) ** 2).sum()
    assert update(deep, s)[0].item() == pytest.approx(want.item(), rel=1e-9)


# ---------------------------------------------------------------------------------------------------------------------
# MCT


def on_the_line(snapshots, t):
    """Each parameter as far along the line between the ends as it had gone by epoch t, by the lengths of its steps."""
    found, whole, rest = {}, int(t), t - int(t)
    for k in NAMES:
        lengths = [(b[k] - a[k]).norm().item() for a, b in zip(snapshots, snapshots[1:])]
        gone = sum(lengths[:whole]) + (rest * lengths[whole] if rest else 0.0)
        found[k] = snapshots[0][k] + gone / sum(lengths) * (snapshots[-1][k] - snapshots[0][k])
    return found


def test_lines_lie_between_the_ends_where_the_expert_had_come():
    (expert,) = experts(1, epochs=4)
    line = convexify(expert)
    for t in (0.0, 1.0, 1.5, 3.25, 4.0):
        want = on_the_line(expert.snapshots, t)
        assert all(torch.allclose(line.at(t)[k], want[k], rtol=1e-10, atol=1e-12) for k in NAMES)


def test_mct_equals_plain_training_from_a_point_of_the_line_to_another():
    paths, s = experts(2, epochs=4), start()
    rng = Run(0).rng
    path, t = rng.choice(paths).snapshots, rng.uniform(0, 3)
    found = update(TrajectoryMatching(Lines([convexify(e) for e in paths], last=9, span=1), 4), s)
    (x, log_eta), begin, target = copies(s), on_the_line(path, t), on_the_line(path, t + 1)
    end = student(x, one_hot(), log_eta, begin, 4)[-1]
    assert_equal(s, found, squared(end, target) / squared(begin, target), x, log_eta)


def test_mct_is_mtt_where_the_expert_went_straight():
    ends = experts(1)[0].snapshots
    straight = Trajectory(
        "small", 0, 1, [{k: torch.lerp(x, ends[-1][k], i / 4) for k, x in ends[0].items()} for i in range(5)]
    )
    line, s = convexify(straight), start()

    class Known(Fixed):
        def __init__(self, begin, target):
            self.segment = Segment("small", begin, target)

    a = update(TrajectoryMatching(Known(line.at(1.0), line.at(3.0)), 4), s)
    b = update(TrajectoryMatching(Fixed(straight), 4), s)
    assert a[0].item() == pytest.approx(b[0].item(), rel=1e-10)
    assert all(torch.allclose(u, v, rtol=1e-8, atol=1e-14) for u, v in zip(a[1], b[1], strict=True))


def test_stretches_of_lines_start_anywhere():
    paths, run = experts(2, epochs=4), Run(0)
    lines = [convexify(e) for e in paths]
    for _ in range(50):
        _, begin, target = Lines(lines, last=9, span=1).draw(run)
        assert any(
            all(min(a, b) - 1e-9 <= x <= max(a, b) + 1e-9 for a, x, b in zip(*(p["head.bias"].tolist() for p in three)))
            for e in paths
            for three in [(e.snapshots[0], begin, e.snapshots[-1])]
        )
        assert not torch.equal(begin["body.weight"], target["body.weight"])
    with pytest.raises(OptionError, match="does not fit"):
        Lines(lines, last=2, span=5).draw(run)


# ---------------------------------------------------------------------------------------------------------------------
# DATM


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


# ---------------------------------------------------------------------------------------------------------------------
# PAD's experts


def test_rows_in_the_order_of_their_error_norm():
    p, paths = problem(), experts(2, epochs=2)
    ranked = by_difficulty(p, paths)
    scores = {}
    for i in p.data.ids():
        errors = [logits(p.data.x[i][None], e.snapshots[-1]).softmax(1)[0] - one_hot()[p.data.y[i]] for e in paths]
        scores[i] = sum(e.norm().item() for e in errors) / 2
    for g in range(3):
        assert ranked.data.easiest(g) == sorted(p.data.ids(g), key=scores.get)
        assert list(ranked.data.ids(g)) == list(p.data.ids(g))
    assert list(ranked.data.ids(split="test")) == list(p.data.ids(split="test"))
    assert ranked.data.fingerprint() != p.data.fingerprint()


def test_a_curriculum_goes_from_easy_to_all_to_hard():
    c, ids = Curriculum(first=0.5, whole=4, harder=6, dropped=0.3), list(range(10))
    seen = [c.rows(ids, e) for e in range(9)]
    assert [len(s) for s in seen] == [5, 6, 7, 8, 10, 10, 10, 7, 7]
    assert all(s == ids[: len(s)] for s in seen[:7])
    assert seen[7] == ids[3:]
    for ranked in (False, True):  # ids come the easiest first, or rows have a difficulty
        drawn = toys.Drawn(problem().data)
        data = Ranked(drawn, {i: -i for i in drawn.ids()}) if ranked else drawn
        path = Path(problem(data=data), Training(epochs=2, size=4, augment=None, curriculum=c), 0)
        path.advance()
        easiest = [drawn.ids(g)[::-1] if ranked else drawn.ids(g) for g in range(3)]
        assert {i for batch in drawn.taken for i in batch} == {i for ids in easiest for i in ids[: len(ids) // 2]}


def test_a_curriculum_of_everything_trains_like_none():
    ends = []
    for curriculum in (None, Curriculum(first=1.0, whole=0, harder=9)):
        p = problem()
        p = replace(p, data=Ranked(p.data, {i: -i for i in p.data.ids()})) if curriculum else p
        path = Path(p, Training(epochs=2, size=4, augment=None, curriculum=curriculum), 0)
        path.advance()
        ends.append(path.snapshot())
    assert all(torch.equal(ends[0][k], ends[1][k]) for k in NAMES)


# ---------------------------------------------------------------------------------------------------------------------
# SeqMatch


def test_seqmatch_is_mtt_with_one_subset():
    found = []
    for objective in (
        TrajectoryMatching(Window(experts(), last=2), 3),
        SequentialMatching(Window(experts(), last=2), 3, parts=[[0, 1, 2, 3, 4, 5]]),
    ):
        s = start(2)
        run = optimise(problem(), s, objective, steps=4, optimiser=sgd())
        found.append((s.x.detach(), [h["loss"] for h in run.history]))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_seqmatch_trains_on_earlier_subsets_and_learns_the_last():
    s, fixed = start(2), Fixed()
    parts = subsets(s.counts, 2)
    assert parts == [[0, 2, 4], [1, 3, 5]]
    found = update(SequentialMatching(fixed, 4, parts=parts), s)
    (x, log_eta), (_, begin, target) = copies(s), fixed.segment
    values = []
    for first in (0, 1):  # which subset comes first in each of the two epochs is drawn
        for second in (0, 1):
            theta = {k: q.clone().requires_grad_() for k, q in begin.items()}
            for part in (first, 1 - first, second, 1 - second):
                rows = x[parts[part]] if part == 1 else x[parts[part]].detach()
                g = torch.autograd.grad(
                    cross_entropy(rows, one_hot(), theta), [theta[k] for k in NAMES], create_graph=True
                )
                theta = {k: theta[k] - log_eta.exp() * d for k, d in zip(NAMES, g)}
            values.append(squared(theta, target) / squared(begin, target))
    loss = min(values, key=lambda v: abs(v.item() - found[0].item()))
    assert_equal(s, found, loss, x, log_eta)
    moved = by_name(s, found[1])["x"].flatten(1).abs().sum(1)
    assert not moved[parts[0]].any()
    assert moved[parts[1]].any()


def test_later_experts_start_where_the_earlier_subsets_lead():
    p, s = problem(), start(2)
    parts = subsets(s.counts, 2)
    later = after_subsets(p, s, parts[:1], steps=3, lr=0.2)
    fresh, trained = (q.new_model(random.Random(5)) for q in (p, later))
    opt = torch.optim.SGD(fresh.parameters(), lr=0.2, momentum=0.9)
    for _ in range(3):
        opt.zero_grad()
        cross_entropy(s.x[parts[0]].detach(), one_hot(), dict(fresh.named_parameters())).backward()
        opt.step()
    for a, b in zip(fresh.parameters(), trained.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


def test_subsets_share_each_group():
    assert subsets({0: 4, 7: 2}, 2) == [[0, 1, 4], [2, 3, 5]]
    assert subsets({0: 1, 1: 1}, 1) == [[0, 1]]
    with pytest.raises(OptionError, match="do not make 2 subsets"):
        subsets({0: 1, 1: 1}, 2)


# ---------------------------------------------------------------------------------------------------------------------
# the methods

CHEAP = {"steps": 4, "syn_steps": 3, "experts": 2, "train_epochs": 3, "max_start_epoch": 2, "batch_train": 8}


def made(method, seed=0, ipc=2, **options):
    p = problem()
    found = resolve_method(method, p)
    stages = found.plan(p, dict.fromkeys(range(3), ipc), found.resolve(p, {0: ipc}, "quick", {**CHEAP, **options}))
    work = Work(p, dict.fromkeys(range(3), ipc), seed)
    return work.perform(stages), work.history


def test_ftd_with_plain_experts_and_no_average_is_mtt():
    a, losses = made("mtt")
    b, same = made("ftd", rho=0.0, alpha=0.0, ema_decay=0.0)
    assert torch.equal(a.x, b.x)
    assert losses == same
    _, others = made("ftd", ema_decay=0.0)
    assert others != losses
    averaged, still = made("ftd", rho=0.0, alpha=0.0, ema_decay=0.5)
    assert still == losses
    assert not torch.equal(averaged.x, a.x)


def test_no_method_is_another_in_disguise():
    losses = {}
    for name in ("mtt", "tesla", "ftd", "att", "pp", "mct", "datm", "pad", "seqmatch"):
        aligned = {"threshold": 1e9} if name in ("datm", "pad") else {}
        losses[name] = [h["loss"] for h in made(name, step_size=0.3, **aligned)[1]]
    assert losses["tesla"][0] == pytest.approx(
        losses["mtt"][0], rel=1e-12
    )  # before their gradients have told them apart
    assert len({round(found[-1], 10) for found in losses.values()}) == len(losses)


def test_datm_starts_at_what_its_experts_answer():
    p, counts = problem(), dict.fromkeys(range(3), 2)
    found = resolve_method("datm", p)
    still = {"steps": 1, "lr": 1e-12, "lr_y": 1e-12, "ema_decay": 0.0, "threshold": 1e9}
    work = Work(p, counts)
    s = work.perform(found.plan(p, counts, found.resolve(p, counts, "quick", {**CHEAP, **still})))
    rows = {tuple(x.flatten().tolist()) for x in p.data.x[list(p.data.ids())]}
    assert all(any(torch.allclose(x.flatten(), torch.tensor(row).to(x)) for row in rows) for x in s.x.detach())
    z = [logits(s.x.detach(), e.teacher) for e in work.results["experts"]]
    for i, soft in enumerate(s.batch().y.detach()):
        right = [expert[i] for expert in z if expert[i].argmax() == i // 2] or [expert[i] for expert in z]
        assert torch.allclose(soft, (sum(right) / len(right)).softmax(0), atol=1e-9)


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("mtt", {"expert_epochs": 4}),
        ("mtt", {"expert_epochs": 1, "stride": 3}),
        ("seqmatch", {"later_epochs": 1}),
        ("datm", {"min_start_epoch": 4, "max_start_epoch": 4}),
        ("datm", {"min_start_epoch": 2, "max_start_epoch": 4}),
    ],
)
def test_what_does_not_fit_the_experts_is_said_before_they_are_trained(method, given, monkeypatch):
    monkeypatch.setattr("ddcore.methods.plan.train_experts", lambda *_, **__: pytest.fail("experts were asked for"))
    with pytest.raises(OptionError, match=r"expert_epochs = |min_start_epoch = "):
        made(method, **given)


def test_pad_without_its_ideas_is_datm():
    """All rows in every epoch, every parameter. A stage that does nothing stands where PAD has its judges."""
    p, counts, ends = problem(), dict.fromkeys(range(3), 2), []
    plain = {"first_part": 1.0, "whole_epoch": 0, "harder_epoch": 99, "easy_part": 0.0, "dropped": 0.0}
    for name, given in (("datm", {}), ("pad", plain), ("pad", {**plain, "first_part": 0.5, "whole_epoch": 3})):
        found = resolve_method(name, p)
        options = found.resolve(p, counts, "quick", {**CHEAP, "threshold": 1e9, **given})
        plan = found.plan(p, counts, options)
        work = Work(p, counts)
        s = work.perform(plan if name == "pad" else Plan((Prepare("judges", lambda work: None), *plan.stages)))
        ends.append((s.x.detach(), s.labels.stored.detach(), [h["loss"] for h in work.history]))
    (x, y, losses), (same_x, same_y, same_losses), (_, _, others) = ends
    assert torch.equal(x, same_x)
    assert torch.equal(y, same_y)
    assert losses == same_losses != others


def test_experts_may_be_kept_now_and_then_and_in_half_precision(cache):
    made("mtt", train_epochs=4)
    made("mtt", train_epochs=4, half=True, stride=2)
    sizes = {}
    for file in cache.glob("experts/*.safetensors"):
        kept = [x.nbytes for name, x in load_file(file).items() if name.endswith("body.weight")]
        sizes.setdefault(len(kept), set()).add(sum(kept))
    whole, some = sizes[5], sizes[3]
    assert [size / 5 for size in whole] == [4 * size / 3 for size in some]  # float64 beside float16


def test_experts_of_a_later_subset_are_trained_once_and_found_without_training(monkeypatch):
    trainings = []
    monkeypatch.setattr(
        sequential, "fit", lambda *args, inner=sequential.fit: (trainings.append(args[1]), inner(*args))[1]
    )
    few = {"subsets": 2, "experts": 3, "subset_steps": 3}
    first, losses = made("seqmatch", **few)
    assert len(trainings) == 3  # a network of each expert, on the first subset
    again, others = made("seqmatch", **few)
    assert len(trainings) == 3
    assert losses == others
    assert torch.equal(first.x, again.x)
    made("seqmatch", **{**few, "subset_steps": 4})
    assert len(trainings) == 6  # another training leads elsewhere


def test_a_resumed_seqmatch_equals_an_uninterrupted_one():
    p, counts = problem(), dict.fromkeys(range(3), 2)
    found = resolve_method("seqmatch", p)
    options = found.resolve(p, counts, "quick", {**CHEAP, "steps": 3, "subsets": 2})
    taken = []
    whole = Work(p, counts, checkpoint=lambda snapshot: taken.append(snapshot())).perform(
        found.plan(p, counts, options)
    )
    for at in (1, 4):  # in each stage
        again = Work(p, counts, resume=taken[at]).perform(found.plan(p, counts, options))
        assert torch.equal(whole.x, again.x)
        assert torch.equal(whole.log_step_size, again.log_step_size)


def test_labels_that_cannot_be_learned_are_a_reason_to_refuse():
    for name in ("datm", "pad"):
        assert resolve_method(name, problem()).refuses(problem()) is None
        assert "cannot learn labels" in resolve_method(name, toys.graph()).refuses(toys.graph())
