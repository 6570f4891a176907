"""The conformance kit: subclass `ProblemConformance` in your own tests, give it a case, run pytest.

    class TestWaves(ProblemConformance):
        entry_module = "ddcore_series.plugin"

        @pytest.fixture
        def case(self):
            problem = ddcore.load("series/waves", n=150)
            return problem, problem.synthetic(dict.fromkeys(problem.data.groups, 2), None, random.Random(0))

Choose a small problem and a small set: the kit takes seconds. Needs pytest, which the core does not require.
"""

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from .evaluation import train
from .inner import Memory, grads, trainable, unroll
from .loop import Run, optimise
from .objectives.distribution import DistributionMatching
from .objectives.gradient import GradientMatching
from .parametrizations.base import Selected, Synthetic
from .plugins import Plugins, installed
from .problem import Output, Problem, Task, tensors
from .seeds import torch_seeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["HEAVY", "ProblemConformance"]

Case = tuple[Problem[Any], Synthetic[Any]]

HEAVY = frozenset(
    {
        "PIL",
        "datasets",
        "matplotlib",
        "numpy",
        "pandas",
        "scipy",
        "sklearn",
        "torch",
        "torch_geometric",
        "torchaudio",
        "torchvision",
        "transformers",
    }
)
"""What an entry module may not import: `ddcore plugins` answers at once, whatever is installed."""

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


class ProblemConformance:
    """A problem and its parametrization keep the contract that every method relies on."""

    entry_module: ClassVar[str] = ""
    """The module that the plugin's entry point names: "ddcore_series.plugin"."""

    expected_failures: ClassVar[Mapping[str, str]] = {}
    """Checks that this problem cannot pass, each with the reason; one that passes nevertheless is a failure."""

    updates: ClassVar[int] = 300
    """Updates of the network that must learn something from real rows."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, reason in cls.expected_failures.items():
            if not callable(getattr(cls, name, None)) or not name.startswith("test_"):
                raise TypeError(f"{cls.__name__}.expected_failures: the kit has no check {name!r}")
            if not reason.strip():
                raise TypeError(f"{cls.__name__}.expected_failures: say why {name} cannot pass")

    # ------------------------------------------------------------------------------------------------ must be written

    @pytest.fixture
    def case(self) -> Case:
        """The problem, and a set of its own plain parametrization with two rows or more of each group."""
        raise NotImplementedError("write a fixture `case` that returns (problem, synthetic)")

    # ------------------------------------------------------------------------------------------------ fixtures

    @pytest.fixture(autouse=True)
    def _expected(self, request: pytest.FixtureRequest) -> None:
        reason = self.expected_failures.get(request.node.originalname)
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))

    @pytest.fixture
    def problem(self, case: Case) -> Problem[Any]:
        """The case's problem."""
        return case[0]

    @pytest.fixture
    def synthetic(self, case: Case) -> Synthetic[Any]:
        """A copy of the case's set, so that a case may be shared by all checks."""
        return copy.deepcopy(case[1])

    @pytest.fixture
    def rng(self) -> random.Random:
        """The check's own randomness."""
        return random.Random(0)

    # ------------------------------------------------------------------------------------------------ the plugin

    def test_the_entry_module_imports_nothing_heavy(self) -> None:
        """`ddcore plugins` imports every entry module."""
        assert self.entry_module, "say which module the entry point names: entry_module = 'my_package.plugin'"
        code = f"import sys, {self.entry_module}; print(*sys.modules)"
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
        heavy = HEAVY & set(done.stdout.split())
        assert not heavy, f"{self.entry_module} imports {', '.join(sorted(heavy))}: import them where they are used"

    def test_every_entry_loads(self) -> None:
        """The hook is spelled right, the API number fits and every target is there."""
        assert self.entry_module, "say which module the entry point names: entry_module = 'my_package.plugin'"
        plugin = Plugins([EntryPoint("under-test", self.entry_module, "ddcore")]).plugins[-1]
        assert not plugin.error, plugin.error
        for entry in plugin.entries:
            entry.load()

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
                out = _output(problem.new_model(rng, name).eval(), batch, f"{name} cannot read a {kind} batch")
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
            real, fake = (_output(net, b, f"{name} cannot read the batch").logits for b in (start, batch))
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
            constant = problem.task.score((_constant(problem, mean, b), b) for b in data.batches("test"))[metric.name]
        better = learned > constant if metric.higher_is_better else learned < constant
        assert better, f"{metric.name} {learned:.4g} after training on real rows; the mean target has {constant:.4g}"

    # ------------------------------------------------------------------------------------------------ augmentation

    @torch.no_grad()
    def test_augmentations_are_functions_of_their_seed(self, problem: Problem, rng: random.Random) -> None:
        """The same seed draws the same augmentation, whatever the global generators are; another seed another one."""
        batch = problem.data.sample(4, rng=rng)
        for name in problem.augmentations:
            first = problem.augment(name, batch, 3)
            for state in range(8):
                with _disturbed(state):
                    assert _same(first, problem.augment(name, batch, 3)), f"{name} does not draw from its seed"
            draws = [problem.augment(name, batch, seed) for seed in range(4, 24)]
            assert not all(_same(first, other) for other in draws), f"{name} ignores its seed"

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
            with _disturbed(1):
                assert _same(found[3], corruption(batch, 3)), f"{name} does not draw from its seed"
            for other in found:
                targets = problem.task.targets(other)
                assert targets.shape == wanted.shape, f"{name} changes the number of rows"
                assert torch.equal(targets, wanted), f"{name} changes the targets"
            assert not all(_same(batch, other) for other in found), f"{name} changes nothing"

    # ------------------------------------------------------------------------------------------------ the set

    def test_a_set_has_the_rows_it_was_asked_for(
        self, problem: Problem, synthetic: Synthetic, rng: random.Random
    ) -> None:
        """From noise or from real rows, as a function of the seed; a group's rows belong to that group."""
        counts, targets = synthetic.counts, problem.task.targets
        assert list(counts) == list(problem.data.groups)
        assert len(synthetic.ids()) == sum(counts.values())
        start = problem.data.take([i for g, n in counts.items() for i in list(problem.data.ids(g))[:n]])
        for s in (start, None):
            a, b = (problem.synthetic(counts, s, random.Random(3)).state_dict().values() for _ in range(2))
            assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True)), "the set is no function of its seed"
        groups = list(counts)
        parts = [targets(synthetic.batch(g, rng)) for g in groups]
        if len(groups) > 1:
            whole = targets(synthetic.batch(groups, rng))
            assert torch.allclose(whole, torch.cat(parts)), "batches are not group-major"
            for g, part in zip(groups, parts, strict=True):
                real = targets(problem.data.sample(4, g, rng=rng))
                assert set(part.argmax(1).tolist()) == set(real.argmax(1).tolist()), f"rows of group {g} are of another"

    def test_every_parameter_reaches_the_loss(self, problem: Problem, synthetic: Synthetic, rng: random.Random) -> None:
        """The batch is differentiable in the set."""
        assert synthetic.leaves(), "nothing to learn: no parameter requires grad"
        torch.autograd.backward(
            problem.loss(problem.new_model(rng), synthetic.batch(rng=rng)), inputs=synthetic.leaves()
        )
        learned = {n: q for n, q in synthetic.named_parameters() if q.requires_grad and "step_size" not in n}
        dead = [n for n, q in learned.items() if q.grad is None]
        assert not dead, f"no gradient reaches {dead}: `take` must not detach"

    def test_gradients_equal_finite_differences(
        self, problem: Problem, synthetic: Synthetic, rng: random.Random
    ) -> None:
        """In float64, along a random direction: of the loss, and of the squared gradient of the network.

        The latter is made of second derivatives, which gradient matching and unrolling need.
        """
        net, synthetic = problem.new_model(rng).double().eval(), synthetic.double()
        leaves, groups = synthetic.leaves(), list(synthetic.counts)[:2]
        generator = torch.Generator().manual_seed(0)
        direction = [torch.randn(q.shape, generator=generator, dtype=q.dtype).to(q.device) for q in leaves]

        def loss() -> Tensor:
            return problem.loss(net, synthetic.batch(groups, random.Random(1)))

        def squared_gradient() -> Tensor:
            found = grads(loss(), trainable(net), create_graph=True)
            return torch.stack([g.square().sum() for g in found if g is not None]).sum()

        for name, value in (("the loss", loss), ("the network's squared gradient", squared_gradient)):
            found = torch.autograd.grad(value(), leaves, allow_unused=True)
            slope = sum(float((g * d).sum()) for g, d in zip(found, direction, strict=True) if g is not None)
            ends = []
            for step in (1e-5, -2e-5):
                with torch.no_grad():
                    for q, d in zip(leaves, direction, strict=True):
                        q.add_(d, alpha=step)
                ends.append(float(value().detach()))
            with torch.no_grad():
                for q, d in zip(leaves, direction, strict=True):
                    q.add_(d, alpha=1e-5)
            measured = (ends[0] - ends[1]) / 2e-5
            assert slope == pytest.approx(measured, rel=1e-3, abs=1e-7), f"the derivative of {name} is wrong"

    def test_parameter_groups_name_every_leaf_once(self, synthetic: Synthetic) -> None:
        """Schedules switch groups by name."""
        groups = synthetic.param_groups()
        assert sorted(id(q) for g in groups for q in g["params"]) == sorted(map(id, synthetic.leaves()))
        names = {g["name"] for g in groups}
        assert len(names) == len(groups)
        assert all(names.issuperset(synthetic.moves(step) or ()) for step in (0, 1, 10, 100))

    def test_a_training_step_is_a_function_of_its_number_and_seed(self, problem: Problem, synthetic: Synthetic) -> None:
        """Inner loops ask for any step again; step sizes are positive."""
        with _disturbed(1):
            a, step = synthetic.train_batch(problem, 5, 3)
        with _disturbed(2):
            b, again = synthetic.train_batch(problem, 5, 3)
        assert _same(a, b), "train_batch draws from somewhere else than (t, seed)"
        assert step.ndim == 0
        assert float(step) == float(again) > 0

    def test_the_penalty_is_a_cost_and_projecting_again_changes_nothing(self, synthetic: Synthetic) -> None:
        """The loop adds the one and calls the other after each update."""
        penalty = synthetic.penalty()
        assert penalty.ndim == 0
        assert float(penalty) >= 0
        with torch.no_grad():
            synthetic.project()
            once = copy.deepcopy(synthetic.state_dict())
            synthetic.project()
        assert all(torch.allclose(once[k], x) for k, x in synthetic.state_dict().items())

    def test_a_set_is_stored_and_restored(self, problem: Problem, synthetic: Synthetic) -> None:
        """What an artifact keeps is the set: tensors and JSON, reopened by the name of the parametrization."""
        name, stored = type(synthetic).parametrization, synthetic.stored()
        assert name, "name the parametrization, and declare the entry that reopens it"
        found = installed().find("parametrization", name, problem.name.partition("/")[0]).load()
        assert isinstance(synthetic, found), f"the parametrization {name!r} is another class: {found.__name__}"
        assert not any(x.requires_grad for x in stored.values())
        again = found.reopen(problem, json.loads(json.dumps(synthetic.config())), stored)
        assert again.counts == synthetic.counts
        assert again.label_kind == synthetic.label_kind
        assert again.train_steps == synthetic.train_steps
        for t in (0, 7):
            (a, step), (b, step_again) = (s.train_batch(problem, t, 3) for s in (synthetic, again))
            assert _same(a, b, tolerance=1e-5), f"training step {t} is another after a round trip"
            assert torch.allclose(step, step_again)

    def test_a_checkpoint_is_the_set(self, synthetic: Synthetic) -> None:
        """`state_dict` holds everything that a resumed run needs."""
        other = copy.deepcopy(synthetic)
        with torch.no_grad():
            for q in other.parameters():
                q.zero_()
        other.load_state_dict(synthetic.state_dict())
        assert _same(synthetic.batch(rng=random.Random(2)), other.batch(rng=random.Random(2)))

    # ------------------------------------------------------------------------------------------------ under the methods

    def test_replay_and_checkpoint_give_the_gradient_of_the_graph(
        self, problem: Problem, synthetic: Synthetic, rng: random.Random
    ) -> None:
        """Unrolling through training on the set, three ways."""
        net, real = problem.new_model(rng), problem.data.sample(8, rng=rng)
        theta = {k: q.detach() for k, q in net.named_parameters() if q.requires_grad}
        found = {}
        memories: tuple[Memory, ...] = ("graph", "checkpoint", "replay")
        for memory in memories:
            with torch_seeded("kit"):  # dropout in the loss after the steps
                end = unroll(problem, net, theta, synthetic, steps=3, seed=1, memory=memory)
                found[memory] = _gradient(synthetic, problem.loss(net, real, {**theta, **end}))
        _assert_close(found["replay"], found["graph"])
        _assert_close(found["checkpoint"], found["graph"])

    @pytest.mark.parametrize("family", [GradientMatching, DistributionMatching])
    def test_groups_one_by_one_equal_all_at_once(self, problem: Problem, synthetic: Synthetic, family: Any) -> None:
        """Memory need not grow with the number of groups."""
        found = []
        for one_by_one in (True, False):
            with torch_seeded("kit"):
                updates = family(one_by_one=one_by_one, n_real=16).losses(problem, synthetic, Run(1))
                found.append(_gradient(synthetic, next(updates)))
                updates.close()
        _assert_close(found[0], found[1])

    @pytest.mark.parametrize("family", [GradientMatching, DistributionMatching])
    @pytest.mark.parametrize("device", DEVICES)
    def test_objectives_move_the_set(self, problem: Problem, synthetic: Synthetic, family: Any, device: str) -> None:
        """Batches, networks and the set meet on the problem's device."""
        problem, synthetic = problem.to(device), synthetic.to(device)
        before = copy.deepcopy(synthetic.state_dict())
        objective = family(n_real=16)
        optimise(problem, synthetic, objective, steps=2, optimiser=lambda groups: torch.optim.SGD(groups, lr=0.1))
        assert all(q.isfinite().all() for q in synthetic.parameters())
        assert any(not torch.equal(before[k], x) for k, x in synthetic.state_dict().items()), "the set did not move"


# ---------------------------------------------------------------------------------------------------------------------
# what the checks compare


def _output(net: nn.Module, batch: Any, complaint: str) -> Output:
    try:
        out: Output = net(batch)
    except Exception as error:
        raise AssertionError(f"{complaint}: {type(error).__name__}: {error}") from error
    return out


def _constant(problem: Problem[Any], mean: Tensor, batch: Any) -> Output:  # mean (k,)
    """The same answer for every row of the batch."""
    logits = mean.expand(len(problem.task.targets(batch)), -1)
    return Output(logits, torch.zeros(len(logits), 1, device=logits.device))


def _same(a: Any, b: Any, tolerance: float = 0.0) -> bool:
    """Two batches with the same fields and values."""
    x, y = dict(tensors(a)), dict(tensors(b))
    return x.keys() == y.keys() and all(
        x[k].shape == y[k].shape and torch.allclose(x[k], y[k], rtol=tolerance, atol=tolerance) for k in x
    )


@contextmanager
def _disturbed(seed: int) -> Iterator[None]:
    """The global generators in some other state, and put back afterwards."""
    state = random.getstate()
    random.seed(seed)
    with torch_seeded("disturbed", seed):
        yield
    random.setstate(state)


def _gradient(synthetic: Synthetic[Any], loss: Tensor | None) -> list[Tensor]:
    """dL/dS of one update, whichever way an objective hands it over."""
    if loss is not None and loss.requires_grad:
        torch.autograd.backward(loss, inputs=synthetic.leaves())
    found = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in synthetic.leaves()]
    synthetic.zero_grad(set_to_none=True)
    return found


def _assert_close(a: Sequence[Tensor], b: Sequence[Tensor], tolerance: float = 1e-3) -> None:
    assert any(x.any() for x in a), "the gradient is zero"
    for x, y in zip(a, b, strict=True):
        assert torch.allclose(x, y, rtol=tolerance, atol=tolerance * float(y.abs().max()))
