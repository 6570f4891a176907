"""Row-separable data: splits, sets, classification."""

import json
import random

import pytest
import torch
import toys

from ddcore import labels
from ddcore.errors import DataError, NotSupported
from ddcore.loop import optimise
from ddcore.objectives.distribution import DistributionMatching
from ddcore.objectives.gradient import DISTANCES, GradientMatching
from ddcore.parametrizations import Selected
from ddcore.problem import Output
from ddcore.rows import Classification, RowData, Rows, RowSynthetic, TeacherLabels, row_set
from ddcore.seeds import stream
from ddcore.splits import stratified_split


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sizes", [[100, 50, 30], [1, 2, 3, 4, 5], [1], [10], [3, 200]])
def test_a_stratified_split(seed, sizes):
    rng = random.Random(seed)
    y = [7 * c for c, n in enumerate(sizes) for _ in range(n)]  # classes need not be contiguous
    rng.shuffle(y)
    split = stratified_split(y, seed)
    assert list(split) == ["train", "val", "test"]
    assert sorted(split["train"] + split["val"] + split["test"]) == list(range(len(y)))  # disjoint and complete
    assert split == stratified_split(y, seed)
    for c, n in enumerate(sizes):
        train, val, test = (sum(y[i] == 7 * c for i in split[name]) for name in split)
        assert train >= 1
        assert (val, test) == (max(round(0.1 * n), 1), max(round(0.1 * n), 1)) if n > 2 else val == 0


def test_another_seed_is_another_split():
    y = [0, 1] * 50
    assert stratified_split(y, 0) != stratified_split(y, 1)


def test_a_class_more_changes_no_other_class():
    few = stratified_split([0] * 30 + [1] * 30)
    more = stratified_split([0] * 30 + [1] * 30 + [2] * 30)
    assert all(few[name] == [i for i in more[name] if i < 60] for name in few)


def test_shares_are_as_asked():
    split = stratified_split([0] * 40 + [1] * 40, val=0.25, test=0.5)
    assert [len(split[name]) for name in ("train", "val", "test")] == [20, 20, 40]
    assert stratified_split([0] * 40, val=0.0)["val"] == []
    assert stratified_split([0] * 40, val=0.0, test=0.0)["train"] == list(range(40))


# ---------------------------------------------------------------------------------------------------------------------
# data


def test_groups_are_the_classes_that_have_training_rows():
    y = torch.tensor([5, 2, 2, 9, 5])
    data = RowData(torch.zeros(5, 1), y, {"train": [0, 1, 2, 4], "test": [3]})
    assert data.groups == [2, 5]
    assert (data.ids(5), data.ids(2), data.ids(9)) == ([0, 4], [1, 2], [])
    assert data.ids(9, "test") == data.ids(split="test") == [3]
    assert data.ids(split="val") == []
    assert data.split is None
    assert RowData(torch.zeros(5, 1), y, {"train": [0]}, drawn=True).split == {"train": [0]}


def test_data_of_one_s_own_stays_so_on_another_device():
    """A subclass that crops in `take` must not turn into plain rows."""

    class Doubled(RowData):
        def take(self, ids, rng=None):
            batch = super().take(ids, rng)
            return Rows(2 * batch.x, batch.y)

    data = Doubled(torch.ones(4, 2), torch.zeros(4, dtype=torch.int64), {"train": range(4)}, drawn=True)
    moved = data.to(torch.device("cpu"))
    assert moved.take([0]).x.tolist() == [[2.0, 2.0]]
    assert moved.split == data.split
    assert moved.fingerprint() == data.fingerprint()


def test_no_training_rows_is_an_error():
    with pytest.raises(DataError, match="training split is empty"):
        RowData(torch.zeros(2, 1), torch.zeros(2), {"train": [], "test": [0, 1]})


@pytest.mark.parametrize("what", ["one row a class", "constant rows", "one class"])
@pytest.mark.parametrize(
    "objective", [*(GradientMatching(n_real=4, distance=d) for d in DISTANCES), DistributionMatching(4)]
)
def test_poor_data_does_not_break_the_objectives(what, objective):
    x, y = torch.randn(30, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3
    if what == "constant rows":
        x = torch.ones_like(x)
    train = {"one row a class": [0, 1, 2], "constant rows": range(24), "one class": range(0, 24, 3)}[what]
    data = RowData(x, y, {"train": train, "test": range(24, 30)})
    p = toys.image(data=data)
    counts = dict.fromkeys(data.groups, 1)
    start = data.take([data.ids(g)[0] for g in data.groups])
    s = p.synthetic(counts, start, random.Random(0))
    run = optimise(p, s, objective, steps=3, optimiser=lambda groups: torch.optim.SGD(groups, lr=0.1))
    assert all(torch.tensor(r["loss"]).isfinite() for r in run.history)
    assert s.x.isfinite().all()


# ---------------------------------------------------------------------------------------------------------------------
# sets


def test_noise_and_real_starts():
    make = row_set((2, 3), 0.5)
    noise = make({4: 100, 9: 200}, None, random.Random(0))
    assert noise.x.shape == (300, 2, 3)
    assert noise.x.std().item() == pytest.approx(0.5, rel=0.05)
    assert torch.equal(noise.x, make({4: 100, 9: 200}, None, random.Random(0)).x)
    assert noise.batch().y.tolist() == [4] * 100 + [9] * 200
    start = torch.ones(3, 2, 3)
    real = make({4: 1, 9: 2}, Rows(start), random.Random(0))
    start.zero_()
    assert real.x.eq(1).all(), "a set has rows of its own"


def kinds():
    p = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    teacher = toys.image().new_model(random.Random(3), "mlp")
    return {
        "ids": lambda: None,
        "probabilities": lambda: labels.probabilities(p),
        "learned probabilities": lambda: labels.probabilities(p, learn=True),
        "values": lambda: labels.values(3 * p - 1),
        "learned values": lambda: labels.values(3 * p - 1, learn=True),
        "per-epoch": lambda: labels.per_epoch(torch.stack([p, p.flip(0)])),
        "teacher": lambda: TeacherLabels(teacher, "mlp", torch.arange(3), 2.0),
    }


def labelled(kind):
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return RowSynthetic({0: 1, 1: 1, 2: 1}, x, kinds()[kind]())


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("steps", [False, True])
def test_a_set_is_stored_and_restored(kind, steps):
    p, s = toys.image(), labelled(kind)
    if steps:
        s.learn_step_size().log_step_size.data.fill_(-3.0)
    stored, config = s.stored(), json.loads(json.dumps(s.config()))
    assert ("log_step_size" in stored) == steps
    assert not any(x.requires_grad for x in stored.values())
    again = RowSynthetic.reopen(p, config, stored)
    assert again.label_kind == s.label_kind == kind.removeprefix("learned ")
    for t in range(4):
        (a, eta), (b, eta_again) = (q.train_batch(p, t, 3) for q in (s, again))
        for x, y in ((a.x, b.x), (a.y, b.y), (a.values, b.values), (eta, eta_again)):
            assert (x is None and y is None) or torch.allclose(x, y, atol=1e-6)


@pytest.mark.parametrize("kind", kinds())
def test_parameter_groups(kind):
    s = labelled(kind)
    assert [g["name"] for g in s.param_groups()] == ["rows", *(["labels"] if "learned" in kind else [])]
    s.learn_step_size()
    assert [g["name"] for g in s.param_groups()][-1] == "step_size"
    assert sorted(id(q) for g in s.param_groups() for q in g["params"]) == sorted(map(id, s.leaves()))


# ---------------------------------------------------------------------------------------------------------------------
# classification


def test_losses_by_hand():
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
    out, task = Output(logits, logits), Classification(3)
    log_p = logits - logits.exp().sum(1, keepdim=True).log()
    q = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    x = torch.zeros(2, 1)
    assert torch.allclose(task.losses(out, Rows(x, torch.tensor([1, 2]))), -torch.stack([log_p[0, 1], log_p[1, 2]]))
    assert torch.allclose(task.losses(out, Rows(x, q)), -(q * log_p).sum(1))
    assert torch.allclose(task.losses(out, Rows(x, values=q)), ((logits - q) ** 2).mean(1))
    assert torch.equal(task.targets(Rows(x, torch.tensor([1, 2]))), torch.eye(3)[[1, 2]])
    assert task.targets(Rows(x, q)) is q
    assert task.targets(Rows(x, values=q)) is q


def test_accuracy_is_of_the_whole_split():
    task = Classification(2)
    big, small = torch.zeros(9, 2), torch.tensor([[0.0, 1.0]])
    big[:, 0] = 1
    pairs = [
        (Output(big, big), Rows(big, torch.zeros(9, dtype=torch.int64))),
        (Output(small, small), Rows(small, torch.zeros(1, dtype=torch.int64))),
    ]
    assert task.score(pairs) == {"accuracy": pytest.approx(0.9)}


@pytest.mark.parametrize("kind", ["probabilities", "values"])
def test_learned_labels_start_where_they_are_told(kind):
    p, s = toys.case("image", start=True)
    start = torch.tensor([[0.7, 0.2, 0.1]]).expand(sum(s.counts.values()), 3)
    s.learn_labels(kind, start)
    assert s.label_kind == kind
    assert torch.allclose(p.task.targets(s.batch()), start, atol=1e-5)
    assert {group["name"] for group in s.param_groups()} == {"rows", "labels"}
    p.loss(p.new_model(stream("net")), s.batch()).backward()
    assert s.labels.stored.grad.abs().sum() > 0


def test_a_set_that_cannot_learn_its_labels_says_so():
    with pytest.raises(NotSupported, match="Selected cannot learn its labels"):
        Selected(toys.pictures(), {0: [0]}).learn_labels("values", torch.zeros(1, 3))


def test_a_temperature_keeps_the_gradient_s_size():
    """Hinton et al. 2015, section 2.1: for large T the gradient is (z - v) / k, of logits of zero mean."""
    g, task = torch.Generator().manual_seed(0), Classification(4)
    z, v = (torch.randn(5, 4, generator=g, dtype=torch.float64) for _ in range(2))
    z, v = (a - a.mean(1, keepdim=True) for a in (z, v))
    z.requires_grad_()
    t = 1e4
    batch = Rows(torch.zeros(5, 1), (v / t).softmax(1), temperature=t)
    (found,) = torch.autograd.grad(task.losses(Output(z, z), batch).sum(), z)
    assert torch.allclose(found, (z - v) / 4, atol=1e-3)
