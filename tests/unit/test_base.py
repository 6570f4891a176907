"""Synthetic: what a set has by writing `take` alone; and sets of real rows."""

import random

import pytest
import torch
import toys
from torch import nn

from ddcore.errors import BudgetError
from ddcore.parametrizations import Selected, Synthetic
from ddcore.rows import Rows


class Plain(Synthetic[Rows]):
    """The least that a third party writes."""

    def __init__(self, counts):
        super().__init__(counts, 0.05)
        self.x = nn.Parameter(torch.arange(sum(counts.values())).float()[:, None])

    def take(self, ids, rng=None):
        return Rows(
            self.x[list(ids)], torch.tensor([[g for g, n in self.counts.items() for _ in range(n)][i] for i in ids])
        )


@pytest.fixture
def plain():
    return Plain({4: 2, 1: 3, 7: 1})


def test_rows_are_group_major_in_the_order_of_counts(plain):
    assert plain.ids() == list(range(6))
    assert plain.ids(1) == [2, 3, 4]
    assert plain.ids([7, 4]) == [5, 0, 1]
    assert plain.batch([1, 4]).x.flatten().tolist() == [2, 3, 4, 0, 1]
    assert plain.batch().y.tolist() == [4, 4, 1, 1, 1, 7]


def test_step_sizes_are_positive_and_learned_on_request(plain):
    assert plain.step_size().item() == pytest.approx(0.05)
    assert plain.step_size(17, "text").item() == pytest.approx(0.05)
    assert [n for n, q in plain.named_parameters() if q.requires_grad] == ["x"]
    assert plain.learn_step_size() is plain
    with torch.no_grad():
        plain.log_step_size.sub_(100.0)
    assert plain.step_size() > 0
    assert [g["name"] for g in plain.param_groups()] == ["rows", "step_size"]


def test_a_training_step_is_a_pure_function(plain):
    p = toys.image(augmentations={})
    seen = [plain.train_batch(p, t, 1, 4)[0].x.flatten().tolist() for t in (3, 0, 3, 1, 2)]
    assert seen[0] == seen[2]
    assert sorted(seen[1] + seen[3]) == [0, 1, 2, 3, 4, 5]
    assert sorted(seen[4] + seen[0]) == [0, 1, 2, 3, 4, 5]
    (other, eta) = plain.train_batch(p, 0, 2, 4)
    assert other.x.flatten().tolist() != seen[1]
    assert eta.item() == pytest.approx(0.05)


def test_training_steps_are_differentiable_and_augmented():
    p, s = toys.case("image")
    s.learn_step_size()
    batch, eta = s.train_batch(p, 0, 3)
    (batch.x.square().sum() * eta).backward()
    assert s.x.grad.any()
    assert s.log_step_size.grad.any()
    views = [s.train_batch(p, t, 3)[0].x for t in range(8)]
    assert any(not torch.equal(v, views[0]) for v in views)


def test_the_defaults_cost_nothing(plain):
    assert plain.penalty() == 0
    assert not plain.penalty().requires_grad
    assert plain.moves(0) is None
    assert plain.train_steps is None
    assert plain.project() is None


def test_what_is_stored_is_the_decoded_rows(plain):
    stored = plain.stored()
    assert set(stored) == {"x", "y"}
    assert not any(x.requires_grad for x in stored.values())
    assert plain.config() == {"counts": [[4, 2], [1, 3], [7, 1]], "labels": "ids"}
    assert set(plain.learn_step_size().stored()) == {"x", "y", "log_step_size"}
    with pytest.raises(NotImplementedError, match="Plain does not say how it is reopened: write `restore`"):
        Plain.restore(toys.image(), plain.config(), stored)


# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", toys.ALL)
def test_random_rows_are_distinct_and_of_their_group(name):
    data, counts = toys.ALL[name]().data, toys.COUNTS[name]
    s = Selected.random(data, counts, random.Random(0))
    assert s.counts == counts
    for g, n in counts.items():
        chosen = [s.chosen[i] for i in s.ids(g)]
        assert len(set(chosen)) == n
        assert set(chosen) <= set(data.ids(g))
    assert s.chosen == Selected.random(data, counts, random.Random(0)).chosen
    assert s.chosen != Selected.random(data, counts, random.Random(1)).chosen
    assert s.leaves() == []
    p = toys.ALL[name]()
    assert torch.equal(p.task.targets(s.batch()), p.task.targets(data.take(s.chosen)))


def test_random_rows_are_uniform():
    data, hits = toys.pictures(90), torch.zeros(90)
    for seed in range(400):
        for i in Selected.random(data, {0: 4, 1: 2}, random.Random(seed)).chosen:
            hits[i] += 1
    of_0, of_1 = hits[data.ids(0)], hits[data.ids(1)]
    assert of_0.mean() == 400 * 4 / 16
    assert of_1.mean() == 400 * 2 / 16
    assert (of_0 - 100).abs().max() < 5 * (400 * 0.25 * 0.75) ** 0.5  # five standard deviations of a binomial


def test_more_rows_than_there_are():
    with pytest.raises(BudgetError, match="group 0 has 16 training rows and 17 are asked for"):
        Selected.random(toys.pictures(90), {0: 17}, random.Random(0))


def test_selected_rows_are_stored_with_their_numbers():
    p = toys.image()
    s = Selected(p.data, {2: [5, 2], 0: [0]})
    stored = s.stored()
    assert stored["ids"].tolist() == [5, 2, 0]
    assert torch.equal(stored["x"], p.data.x[[5, 2, 0]])
    again = Selected.restore(p, s.config(), stored)
    assert again.counts == {2: 2, 0: 1}
    assert again.chosen == [5, 2, 0]
