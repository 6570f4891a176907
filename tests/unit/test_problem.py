"""The ground: data, task and problem."""

import random
from collections import Counter
from dataclasses import dataclass, replace

import pytest
import torch
import toys

from ddcore.errors import DataError, NotSupported, UnknownName
from ddcore.problem import Output, Preprocessing, Subset, draw, nbytes, place, tensors
from ddcore.rows import Classification, RowData, Rows


def test_draws_are_distinct_until_there_are_no_more():
    rng = random.Random(0)
    assert len(set(draw(range(10), 7, rng))) == 7
    assert sorted(draw(range(10), 10, rng)) == list(range(10))
    many = Counter(draw(range(4), 11, rng))
    assert set(many) == set(range(4))
    assert set(many.values()) <= {2, 3}


def test_drawing_from_nothing_is_an_error():
    with pytest.raises(DataError, match="group without training rows"):
        draw([], 1, random.Random(0))


@pytest.mark.parametrize("name", toys.ALL)
def test_samples_are_group_major(name):
    data = toys.ALL[name]().data
    groups = list(reversed(data.groups))
    taken = []
    data.take = lambda ids, rng=None: taken.append(list(ids))
    data.sample(3, groups, rng=random.Random(0))
    data.sample(4, groups[0], rng=random.Random(0))
    data.sample(5, rng=random.Random(0))
    assert [len(ids) for ids in taken] == [3 * len(groups), 4, 5]
    for k, g in enumerate(groups):
        assert set(taken[0][3 * k : 3 * k + 3]) <= set(data.ids(g))
    assert set(taken[1]) <= set(data.ids(groups[0]))


@pytest.mark.parametrize("name", toys.ALL)
def test_batches_are_every_row_once_in_order(name):
    p = toys.ALL[name]()
    parts = [p.task.targets(b) for b in p.data.batches("test", 7)]
    assert torch.equal(torch.cat(parts), p.task.targets(p.data.take(p.data.ids(split="test"))))
    assert [len(x) for x in parts[:-1]] == [7] * (len(parts) - 1)
    assert list(p.data.batches("nowhere")) == []


def test_batches_are_walked_by_field():
    batch = toys.TextBatch(y=torch.zeros(3, dtype=torch.int64), embeds=torch.zeros(3, 2, 4))
    assert [name for name, _ in tensors(batch)] == ["y", "embeds"]
    assert nbytes(batch) == 3 * 8 + 24 * 4
    moved = place(batch, torch.device("meta"))
    assert moved.y.device.type == moved.embeds.device.type == "meta"
    assert moved.ids is None
    with pytest.raises(TypeError, match="dataclass of tensors, got dict"):
        list(tensors({"x": torch.zeros(1)}))


# ---------------------------------------------------------------------------------------------------------------------
# fingerprints


def test_a_fingerprint_is_of_what_results_depend_on():
    base = toys.image()
    same = toys.image()
    assert base.fingerprint() == same.fingerprint() == base.to("cpu").fingerprint()
    data = toys.pictures()
    data.x[data.ids(split="test")[0], 0, 0, 0] += 1e-3

    def versioned(batch, seed):
        return batch

    versioned.version = 2
    others = {
        "a test row": toys.image(data=data),
        "preprocessing": toys.image(preprocessing=Preprocessing("normalise")),
        "its tensors": toys.image(preprocessing=Preprocessing("none", tensors={"mean": torch.ones(1)})),
        "input space": toys.image(input_space="other"),
        "an augmentation": toys.image(augmentations={**base.augmentations, "more": versioned}),
        "its version": toys.image(augmentations={**base.augmentations, "match": versioned}),
    }
    found = {name: p.fingerprint() for name, p in others.items()}
    assert len({base.fingerprint(), *found.values()}) == 1 + len(others)
    assert toys.image(models={"mlp": toys.MLP}).fingerprint() == base.fingerprint(), "the zoo is no part of it"


def test_the_same_rows_in_another_split_have_another_fingerprint():
    a, b = toys.pictures(), toys.pictures()
    b.splits["val"], b.splits["train"] = [*b.splits["val"], b.splits["train"][-1]], b.splits["train"][:-1]
    assert a.fingerprint() != b.fingerprint()


@pytest.mark.parametrize("name", toys.ALL)
def test_bytes_are_of_the_training_rows(name):
    data = toys.ALL[name]().data
    if name == "image":
        assert data.bytes() == len(data.ids()) * (64 * 4 + 8)
    if name == "text":
        assert data.bytes() == 150 * (6 * 8 + 8)
    if name == "recommender":
        assert data.bytes() == 180 * 2 * 25 * 4
    assert data.bytes() > 0


# ---------------------------------------------------------------------------------------------------------------------
# views


@pytest.mark.parametrize("name", ["image", "graph"])
def test_a_subset_has_some_training_rows_and_all_test_rows(name):
    data = toys.ALL[name]().data
    kept = [*list(data.ids(0))[:5], *list(data.ids(2))[:2]]
    part = Subset(data, kept)
    assert part.groups == [0, 2]
    assert sorted(part.ids()) == sorted(kept)
    assert part.ids(1) == []
    assert list(part.ids(split="test")) == list(data.ids(split="test"))
    assert part.fingerprint() != data.fingerprint()
    with pytest.raises(DataError):
        part.sample(1, 1, rng=random.Random(0))


def test_a_problem_on_a_device_hands_out_batches_there():
    for p in (toys.image(), toys.text(), replace(toys.image(), data=Subset(toys.pictures(), range(12)))):
        there = p.to("meta")
        assert there.to("meta") is there
        assert all(x.device.type == "meta" for _, x in tensors(there.data.take([0, 1])))
        assert next(there.new_model(random.Random(0)).parameters()).device.type == "meta"
        assert list(there.data.ids()) == list(p.data.ids())
        assert there.data.split == p.data.split
    assert p.device.type == "cpu"


# ---------------------------------------------------------------------------------------------------------------------
# task


@dataclass(frozen=True)
class Weighted(Rows):
    w: torch.Tensor | None = None


def test_a_loss_is_the_weighted_mean():
    class Task(Classification):
        def weights(self, batch):
            return batch.w

    out = Output(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(4, 1))
    y, w = torch.tensor([0, 1, 2, 0]), torch.tensor([1.0, 0.0, 3.0, 0.5])
    single = [
        Classification(3).loss(Output(out.logits[i : i + 1], out.features), Rows(y, y[i : i + 1])) for i in range(4)
    ]
    expected = sum(a * b for a, b in zip(single, w, strict=True)) / 4.5
    assert torch.allclose(Task(3).loss(out, Weighted(y, y, w=w)), expected)
    assert torch.allclose(Classification(3).loss(out, Rows(y, y)), sum(single) / 4)


# ---------------------------------------------------------------------------------------------------------------------
# problem


def test_models_are_functions_of_their_stream():
    p, before = toys.image(), torch.get_rng_state()
    a, b, c = (p.new_model(random.Random(seed), "mlp") for seed in (0, 0, 1))
    assert torch.equal(a.body.weight, b.body.weight)
    assert not torch.equal(a.body.weight, c.body.weight)
    assert torch.equal(before, torch.get_rng_state())
    assert isinstance(p.new_model(random.Random(0)), toys.ConvNet), "the first is the default"


def test_an_unknown_model_answers_with_close_matches():
    with pytest.raises(UnknownName, match=r"no model 'convnt' in image/toy. Did you mean convnet\? .*mlp"):
        toys.image().new_model(random.Random(0), "convnt")


def test_augmentations_by_name():
    p = toys.image()
    batch = p.data.take([0, 1])
    assert p.augment(None, batch, 0) is batch
    assert p.augment("unheard-of", batch, 0) is batch
    assert any(not torch.equal(p.augment("match", batch, seed).x, batch.x) for seed in range(5))


def test_training_with_another_augmentation():
    def negate(batch, seed):
        return replace(batch, x=-batch.x)

    p = toys.image(augmentations={"match": toys.roll, "train": toys.roll, "negate": negate})
    batch = p.data.take([0, 1])
    assert torch.equal(p.training_with("negate").augment("train", batch, 0).x, -batch.x)
    plain = p.training_with(None)
    assert plain.augment("train", batch, 3) is batch
    assert set(plain.augmentations) == {"match", "negate"}, "only the training batches are left as they are"
    with pytest.raises(NotSupported, match=r"image/toy has no augmentation 'negat'. Did you mean negate\?"):
        p.training_with("negat")


def test_losses_with_parameters_of_one_s_own():
    p = toys.image()
    net, other = (p.new_model(random.Random(seed)) for seed in (0, 1))
    batch = p.data.take(range(6))
    assert torch.equal(p.loss(net, batch, dict(other.named_parameters())), p.loss(other, batch))


def test_data_with_nan_says_which_rows():
    x, y = torch.zeros(5, 4), torch.tensor([0, 1, 0, 1, 0])
    x[3, 2] = torch.nan
    x[4, 0] = torch.inf
    with pytest.raises(DataError, match=r"2 of 5 rows hold NaN or infinity \(first: row 3\)"):
        RowData(x, y, {"train": range(5)})
