"""Checks of real rows: the data, what the models answer to them, what augmentations and corruptions do to them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch.func import functional_call

from ..evaluation import train
from ..parametrizations.base import Selected, Synthetic
from ..problem import Problem, Task, tensors
from ..seeds import torch_seeded
from .compare import constant, disturbed, output, same

__all__ = ["RealChecks"]


class RealChecks:
    """A problem keeps the contract that every method relies on."""

    updates: ClassVar[int] = 300
    """Updates of the network that must learn something from real rows."""

    # ------------------------------------------------------------------------------------------------ data

    def test_a_batch_is_a_dataclass_of_tensors(
        self, problem: Problem, synthetic: Synthetic, rng: random.Random
    ) -> None:
        """The core walks the fields for bytes, devices and fingerprints."""
        for batch in (problem.data.sample(2, rng=rng), synthetic.batch(rng=rng)):
            found = dict(tensors(batch))
            assert found, "a batch without tensors"
            for name, x in found.items():
                assert not x.is_floating_point() or x.isfinite().all(), f"{name} is not finite"

    def test_splits_are_disjoint_and_groups_part_the_training_rows(self, problem: Problem) -> None:
        """Every training row is in one group, and in no other split."""
        data, splits = problem.data, {s: list(problem.data.ids(split=s)) for s in ("train", "val", "test")}
        everything = [i for ids in splits.values() for i in ids]
        assert len(set(everything)) == len(everything), "a row is in two splits, or twice in one"
        assert splits["train"], "no training rows"
        assert splits["test"], "no test rows"
        parted = [i for g in data.groups for i in data.ids(g)]
        assert sorted(parted) == sorted(splits["train"]), "the groups do not part the training rows"
        assert all(len(data.ids(g)) for g in data.groups), "a group without training rows: leave it out of `groups`"

    def test_the_fingerprint_is_stable(self, problem: Problem) -> None:
        """Caches and artifacts are found by it."""
        first = problem.fingerprint()
        with torch_seeded("elsewhere"):
            assert problem.fingerprint() == first
        assert problem.to("cpu").fingerprint() == first

    def test_rows_come_in_the_order_asked_for(self, problem: Problem) -> None:
        """`take` keeps order and repeats, and batches of groups are group-major."""
        data, targets = problem.data, problem.task.targets
        some = [i for g in data.groups for i in list(data.ids(g))[:3]]
        assert torch.equal(targets(data.take(some)), torch.cat([targets(data.take([i])) for i in some]))
        order = [*reversed(some), some[0]]
        assert torch.equal(targets(data.take(order)), torch.cat([targets(data.take([i])) for i in order]))

    # ------------------------------------------------------------------------------------------------ models and task

    def test_outputs_are_rows_of_predictions(self, problem: Problem, synthetic: Synthetic, rng: random.Random) -> None:
        """Every model reads real and synthetic batches, and returns one row a prediction."""
        for kind, batch in (("real", problem.data.sample(5, rng=rng)), ("synthetic", synthetic.batch(rng=rng))):
            for name in problem.models:
                out = output(problem.new_model(rng, name).eval(), batch, f"{name} cannot read a {kind} batch")
                rows = len(problem.task.targets(batch))
                assert out.logits.ndim == out.features.ndim == 2, f"{name}: logits and features are (rows, ...)"
                assert len(out.logits) == len(out.features) == rows, f"{name}: a row of output for each target"
                assert problem.task.targets(batch).shape == out.logits.shape, f"{name}: logits unlike the targets"

    def test_losses_are_of_single_rows(self, problem: Problem, synthetic: Synthetic, rng: random.Random) -> None:
        """`losses` is neither reduced nor averaged: row i depends on prediction i alone."""
        for batch in (problem.data.sample(4, rng=rng), synthetic.batch(rng=rng)):
            out = problem.new_model(rng).eval()(batch)
            losses = problem.task.losses(out, batch)
            assert losses.shape == (len(out.logits),), f"losses have shape {tuple(losses.shape)}, not one a row"
            assert losses.isfinite().all()
            for i in {0, len(losses) - 1}:
                (d,) = torch.autograd.grad(losses[i], out.logits, retain_graph=True)
                others = torch.arange(len(losses), device=d.device) != i
                assert not d[others].any(), f"the loss of row {i} depends on other rows"
            weights, loss = problem.task.weights(batch), problem.task.loss(out, batch)
            mean = losses.mean() if weights is None else (weights * losses).sum() / weights.sum()
            assert loss.ndim == 0
            if type(problem.task).loss is Task.loss:
                assert torch.allclose(loss, mean)

    def test_models_agree_about_the_input_space(
        self, problem: Problem, synthetic: Synthetic, rng: random.Random
    ) -> None:
        """A set that starts from real rows reads like them: by every model, or (a generator, a drawn set) by none."""
        start = problem.data.take([i for g, n in synthetic.counts.items() for i in list(problem.data.ids(g))[:n]])
        batch = problem.synthetic(synthetic.counts, start, random.Random(1)).batch(rng=rng)
        agrees = {}
        for name in problem.models:
            net = problem.new_model(random.Random(2), name).eval()
            real, fake = (output(net, b, f"{name} cannot read the batch").logits for b in (start, batch))
            agrees[name] = real.shape == fake.shape and torch.allclose(real, fake, rtol=1e-3, atol=1e-4)
        odd = [name for name, same in agrees.items() if not same]
        assert not odd or len(odd) == len(agrees), (
            f"a set that starts from real rows is the same to {sorted(set(agrees) - set(odd))} and not to {odd}: "
            f"all models of a problem read one input space ({problem.input_space!r})"
        )

    def test_functional_call_matches_the_module(
        self, problem: Problem, synthetic: Synthetic, rng: random.Random
    ) -> None:
        """Inner loops call networks with parameters of their own."""
        batch = synthetic.batch(rng=rng)
        for name in problem.models:
            net = problem.new_model(rng, name).eval()
            called = functional_call(net, dict(net.named_parameters()), (batch,))
            assert torch.allclose(net(batch).logits, called.logits), name

    def test_same_seed_same_model(self, problem: Problem) -> None:
        """Networks are functions of their seed, and leave torch's global generator alone."""
        before = torch.get_rng_state()
        for name in problem.models:
            a, b, c = (problem.new_model(random.Random(seed), name).state_dict().values() for seed in (4, 4, 5))
            assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True)), name
            assert any(not torch.equal(x, y) for x, y in zip(a, c, strict=True)), f"{name} ignores its seed"
        assert torch.equal(before, torch.get_rng_state()), "new_model moved torch's global generator"

    @torch.no_grad()
    def test_scores_are_of_the_whole_split(self, problem: Problem, rng: random.Random) -> None:
        """A score does not depend on how the split was cut into batches, and is in its metric's range."""
        data, net = problem.data, problem.new_model(rng).eval()
        ids = [i for g in data.groups for i in list(data.ids(g, "test"))[:40]] or list(data.ids(split="test"))[:200]
        found = []
        for size in (len(ids), 7, len(ids) - 1):
            batches = [data.take(ids[i : i + size]) for i in range(0, len(ids), size)]
            found.append(dict(problem.task.score((net(b), b) for b in batches)))
        assert found[0] == pytest.approx(found[1], abs=1e-4), "the score depends on the cut into batches"
        assert found[0] == pytest.approx(found[2], abs=1e-4), "the score depends on the cut into batches"
        assert list(found[0]) == [m.name for m in problem.task.metrics], "score returns what `metrics` says, in order"
        for m in problem.task.metrics:
            assert m.low <= found[0][m.name] <= m.high, f"{m.name} is out of its range"

    def test_real_rows_teach_a_fresh_network(self, problem: Problem, rng: random.Random) -> None:
        """What is learned from 50 real rows a group scores above always answering the mean target."""
        data, metric = problem.data, problem.task.metrics[0]
        counts = {g: min(50, len(data.ids(g))) for g in data.groups}
        rows = Selected.random(data, counts, rng)
        per_epoch = problem.recipe.steps(sum(counts.values())) / problem.recipe.epochs
        recipe = replace(problem.recipe, epochs=min(problem.recipe.epochs, max(int(self.updates / per_epoch), 1)))
        net = train(problem, rows, recipe, 0).eval()
        mean = problem.task.targets(rows.batch()).mean(0)
        with torch.no_grad():
            learned = problem.task.score((net(b), b) for b in data.batches("test"))[metric.name]
            always = problem.task.score((constant(problem, mean, b), b) for b in data.batches("test"))[metric.name]
        better = learned > always if metric.higher_is_better else learned < always
        assert better, f"{metric.name} {learned:.4g} after training on real rows; the mean target has {always:.4g}"

    def test_several_threads_train_the_same_network_twice(self, problem: Problem, rng: random.Random) -> None:
        """Every model of the zoo, trained twice on the same rows, has the same weights. Gradients of `x[ids]`, for one, are added
        up by several threads in an order of their own; those of `F.embedding` and `index_select` are not."""
        data = problem.data
        rows = Selected.random(data, {g: min(50, len(data.ids(g))) for g in data.groups}, rng)
        recipe = replace(problem.recipe, epochs=2, keep="last")
        threads = torch.get_num_threads()
        torch.set_num_threads(4)
        try:
            for name in problem.models:
                a, b = (train(problem, rows, recipe, 0, name).state_dict() for _ in range(2))
                assert all(torch.equal(x, b[key]) for key, x in a.items()), f"{name} is another network every time"
        finally:
            torch.set_num_threads(threads)

    # ------------------------------------------------------------------------------------------------ augmentation

    @torch.no_grad()
    def test_augmentations_are_functions_of_their_seed(self, problem: Problem, rng: random.Random) -> None:
        """The same seed draws the same augmentation, whatever the global generators are; another seed another one."""
        batch = problem.data.sample(4, rng=rng)
        for name in problem.augmentations:
            first = problem.augment(name, batch, 3)
            for state in range(8):
                with disturbed(state):
                    assert same(first, problem.augment(name, batch, 3)), f"{name} does not draw from its seed"
            draws = [problem.augment(name, batch, seed) for seed in range(4, 24)]
            assert not all(same(first, other) for other in draws), f"{name} ignores its seed"

    @torch.no_grad()
    def test_a_matching_augmentation_is_one_record_for_the_batch(self, problem: Problem, rng: random.Random) -> None:
        """Siamese: the same record acts alike on batches of different size."""
        if "match" not in problem.augmentations:
            return
        net, ids = problem.new_model(rng).eval(), list(problem.data.ids())[:4]
        for seed in range(8):
            few, many = (net(problem.augment("match", problem.data.take(ids[:n]), seed)).logits for n in (2, 4))
            assert torch.allclose(few, many[: len(few)], rtol=1e-4, atol=1e-5), "match draws a record for each row"

    @torch.no_grad()
    def test_corruptions_change_rows_and_keep_their_targets(self, problem: Problem) -> None:
        """As many rows, to be answered alike; a function of the seed, whatever the global generators are."""
        split = next(s for s in ("test", "train") if problem.data.ids(split=s))
        batch = problem.data.take(list(problem.data.ids(split=split))[:8])
        wanted = problem.task.targets(batch)
        for name, corruption in problem.corruptions.items():
            found = [corruption(batch, seed) for seed in range(4)]
            with disturbed(1):
                assert same(found[3], corruption(batch, 3)), f"{name} does not draw from its seed"
            for other in found:
                targets = problem.task.targets(other)
                assert targets.shape == wanted.shape, f"{name} changes the number of rows"
                assert torch.equal(targets, wanted), f"{name} changes the targets"
            assert not all(same(batch, other) for other in found), f"{name} changes nothing"
