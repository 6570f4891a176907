"""Checks of the set: what it decodes to, what is stored of it, and what methods do with it."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
import torch
from torch import Tensor

from ..inner import Memory, grads, trainable, unroll
from ..loop import Run, optimise
from ..objectives.distribution import DistributionMatching
from ..objectives.gradient import GradientMatching
from ..parametrizations.base import Synthetic
from ..plugins import installed
from ..problem import Problem
from ..seeds import torch_seeded
from .compare import assert_close, disturbed, gradient, same

__all__ = ["SetChecks"]

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


class SetChecks:
    """A problem's plain parametrization keeps the contract that every method relies on."""

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
        with disturbed(1):
            a, step = synthetic.train_batch(problem, 5, 3)
        with disturbed(2):
            b, again = synthetic.train_batch(problem, 5, 3)
        assert same(a, b), "train_batch draws from somewhere else than (t, seed)"
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
            assert same(a, b, tolerance=1e-5), f"training step {t} is another after a round trip"
            assert torch.allclose(step, step_again)

    def test_a_checkpoint_is_the_set(self, synthetic: Synthetic) -> None:
        """`state_dict` holds everything that a resumed run needs."""
        other = copy.deepcopy(synthetic)
        with torch.no_grad():
            for q in other.parameters():
                q.zero_()
        other.load_state_dict(synthetic.state_dict())
        assert same(synthetic.batch(rng=random.Random(2)), other.batch(rng=random.Random(2)))

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
                found[memory] = gradient(synthetic, problem.loss(net, real, {**theta, **end}))
        assert_close(found["replay"], found["graph"])
        assert_close(found["checkpoint"], found["graph"])

    @pytest.mark.parametrize("family", [GradientMatching, DistributionMatching])
    def test_groups_one_by_one_equal_all_at_once(self, problem: Problem, synthetic: Synthetic, family: Any) -> None:
        """Memory need not grow with the number of groups."""
        found = []
        for one_by_one in (True, False):
            with torch_seeded("kit"):
                updates = family(one_by_one=one_by_one, n_real=16).losses(problem, synthetic, Run(1))
                found.append(gradient(synthetic, next(updates)))
                updates.close()
        assert_close(found[0], found[1])

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
