"""A set that prescribes its training: blocks in order, step sizes, replayed by evaluation, kept by the artifact."""

import json
from dataclasses import replace

import pytest
import torch
import toys
from unrolled import double, trained_by_hand

import ddcore
from ddcore.artifact import Artifact
from ddcore.errors import OptionError
from ddcore.evaluation import evaluate, train
from ddcore.parametrizations import Selected
from ddcore.seeds import stream


def test_a_set_prescribes_blocks_in_a_fixed_order():
    _, s = double(blocks=2, steps=3)
    assert [s.order(t, seed, size) for t, seed, size in ((0, 1, None), (1, 2, 1), (2, 3, 5))] == [
        [0, 2, 4],
        [1, 3, 5],
        [0, 2, 4],
    ]
    assert [s.epoch(t, 256) for t in range(4)] == [0, 0, 1, 1]
    assert s.log_step_size.shape == (3,)
    assert [s.step_size(t).item() for t in (3, 4)] == [s.step_size(t).item() for t in (0, 1)]
    assert [g["name"] for g in s.param_groups()] == ["rows", "step_size"]
    uneven = Selected(toys.image().data, {0: [0], 1: [1, 4, 7]}).prescribe(4, 2)
    assert [uneven.order(t, 0, None) for t in range(2)] == [[0, 1, 3], [2]]
    for blocks in (0, 4):
        with pytest.raises(OptionError, match=f"{blocks} blocks of 3 rows a group: give 1 to that many"):
            uneven.prescribe(4, blocks)


def test_evaluation_replays_what_was_learned():
    """Whatever the protocol: neither its rule, nor its length, rate, decay or augmentation."""
    seen, s = double()
    recipe = replace(toys.RECIPE, rule="adam", lr=0.5, epochs=7, size=2, weight_decay=0.1, augment="train")
    found = dict(train(seen.problem, s, recipe, 3).named_parameters())
    net = seen.networks[-1]
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), seen.problem.new_model(
        stream(3, "evaluate", None)).parameters(), strict=True))  # fmt: skip
    assert not seen.seeds
    expected = trained_by_hand(
        net, s, [[0, 2, 4], [1, 3, 5], [0, 2, 4], [1, 3, 5], [0, 2, 4]], s.log_step_size.exp().tolist()
    )
    for k, p in found.items():
        assert not torch.equal(p, dict(net.named_parameters())[k])
        assert torch.allclose(p, expected[k], rtol=1e-10, atol=1e-14)


def test_a_report_says_that_a_set_was_replayed():
    _, s = toys.case("image", start=True)
    report = evaluate(s.prescribe(4, 2), toys.image(), seeds=1)
    assert report.notes == (
        "Note: the set prescribes its own training, 4 steps of plain SGD, which is replayed; random rows and all rows "
        "are trained by toy@1.",
    )
    assert not evaluate(toys.case("image", start=True)[1], toys.image(), seeds=1).notes


@pytest.mark.parametrize("kind", ["rows", "labels", "selected"])
def test_order_and_step_sizes_come_back_from_the_artifact(kind, tmp_path):
    problem, s = toys.case("image", start=True)
    if kind == "labels":
        s.learn_labels("probabilities", torch.full((6, 3), 1 / 3))
    if kind == "selected":
        s = Selected(problem.data, {0: [0, 3], 1: [1, 4], 2: [2, 5]})
    s.prescribe(6, 2, 0.03)
    with torch.no_grad():
        s.log_step_size.add_(torch.randn(6))
    made = Artifact.of(problem, s, method={"name": "dd", "paper": ""}, budget={"ipc": 2}, seed=0)
    made.save(tmp_path / "set")
    opened = ddcore.open(tmp_path / "set")
    again = opened.synthetic(problem)
    assert (again.train_steps, again.blocks, opened.manifest["train_steps"]) == (6, 2, 6)
    assert opened.manifest["step_sizes"] == pytest.approx([s.step_size(t).item() for t in range(6)])
    plain = problem.training_with(None)
    for t in range(6):
        (a, eta), (b, again_eta) = (one.train_batch(plain, t, 5) for one in (s, again))
        assert torch.equal(a.x, b.x)
        assert torch.equal(problem.task.targets(a), problem.task.targets(b))
        assert torch.equal(eta, again_eta)
    ends = [train(problem, one, toys.RECIPE, 1).state_dict() for one in (s, again)]
    assert all(torch.equal(a, b) for a, b in zip(*(end.values() for end in ends), strict=True))
    card = opened.files["README.md"].decode()
    assert "6 steps of plain SGD" in card
    assert "`t % 2`" in card
    assert json.loads(json.dumps(again.config())) == opened.manifest["parametrization"]["config"]
