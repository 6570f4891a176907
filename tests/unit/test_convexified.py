"""MCT: lines between the ends of an expert's path."""

import pytest
import torch
from unrolled import NAMES, Fixed, assert_equal, copies, experts, one_hot, squared, start, student, update

from ddcore.errors import OptionError
from ddcore.experts import Trajectory
from ddcore.loop import Run
from ddcore.objectives.trajectory import (
    Lines,
    Segment,
    TrajectoryMatching,
    convexify,
)


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
