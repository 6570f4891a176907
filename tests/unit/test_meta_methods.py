"""The methods of meta-learning, from their options to their sets."""

import copy
import math
from dataclasses import replace
from functools import partial

import pytest
import torch
import toys

import ddcore
from ddcore.distillation import resolve_method
from ddcore.errors import NotSupported
from ddcore.inner import unroll
from ddcore.methods.meta_learning import DDOptions
from ddcore.methods.optimisers import clipped, directed
from ddcore.methods.plan import Work
from ddcore.parametrizations import Selected
from ddcore.seeds import stream


def stages(name, problem, counts=None, **options):
    method = resolve_method(name, problem)
    counts = counts or {0: 2, 1: 2, 2: 2}
    return counts, method.plan(problem, counts, method.resolve(problem, counts, "quick", options))


def made_by(name, problem, **options):
    counts, plan = stages(name, problem, **options)
    work = Work(problem, counts)
    return work.perform(plan), work.history


CHEAP = {"steps": 3, "n_real": 16}


def test_dd_learns_rows_and_one_step_size_a_step():
    s, history = made_by("dd", toys.image(), **CHEAP, epochs=2, step_size=0.2)
    assert (s.train_steps, s.blocks, len(history)) == (4, 2, 3)
    assert [g["name"] for g in s.param_groups()] == ["rows", "step_size"]
    assert all(s.step_size(t).item() != pytest.approx(0.2, rel=1e-3) for t in range(4))
    whole, _ = made_by("dd", toys.image(), **CHEAP, epochs=2, per_step=2)
    assert (whole.train_steps, whole.blocks) == (2, 1)


@pytest.mark.parametrize("size", [1.0, 0.01, 100.0])  # of the rows: large ones diverge at the first step sizes
def test_a_searched_step_size_is_half_the_best_power_of_two(size):
    problem = toys.image()
    problem = replace(problem, data=copy.copy(problem.data))
    problem.data.x = size * problem.data.x
    plan = resolve_method("dd", problem).plan(
        problem, {0: 2, 1: 2, 2: 2}, DDOptions(steps=1, start="real", step_size="searched")
    )
    *_, stage = plan.stages
    work = Work(problem, {0: 2, 1: 2, 2: 2})
    work.synthetic = problem.synthetic(
        work.counts, Selected.random(problem.data, work.counts, stream(0)).batch(), stream(1)
    )
    stage.ready(work, work.synthetic)
    found = work.synthetic.step_size().item()

    rng = work.rng("step size")
    net, real = problem.new_model(rng), problem.data.sample(1024, rng=rng)
    start = {k: p.detach() for k, p in net.named_parameters()}

    def loss(eta):
        work.synthetic.start_step_size(eta)
        end = unroll(problem, net, start, work.synthetic, steps=work.synthetic.train_steps, seed=0)
        return problem.loss(net, real, {**start, **end}).nan_to_num(float("inf")).item()

    assert math.log2(found).is_integer()
    assert loss(2 * found) <= min(loss(found), loss(4 * found))


def test_sldd_learns_labels():
    dd, _ = made_by("dd", toys.image(), **CHEAP)
    sldd, _ = made_by("sldd", toys.image(), **CHEAP)
    assert [g["name"] for g in sldd.param_groups()] == ["rows", "labels", "step_size"]
    soft = sldd.batch().y
    assert torch.allclose(soft.sum(1), torch.ones(6))
    assert (soft[0] - torch.tensor([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3])).abs().max() > 1e-3
    assert not torch.allclose(sldd.x, dd.x)


def test_labels_that_cannot_be_learned_are_refused():
    for name in ("graph", "text", "recommender"):
        for method in ("sldd", "ld"):
            with pytest.raises(
                NotSupported, match=f"{method} has no meaning on {name}/toy: its sets cannot learn labels"
            ):
                ddcore.distill(toys.ALL[name](), method, ipc=2, options=CHEAP)


def test_rat_bptt_and_rtp_leave_evaluation_to_the_protocol():
    for name in ("rat-bptt", "rtp"):
        s, history = made_by(name, toys.image(), **CHEAP, unroll=3)
        assert s.train_steps is None
        assert [g["name"] for g in s.param_groups()] == ["rows"]
        assert len(history) == 3


def test_the_networks_of_rat_bptt_and_rtp_train_at_their_own_rate():
    """The loss of the first update is that of a network trained by torch's own optimiser."""
    rules = {"rat-bptt": (torch.optim.Adam, {"eps": 1e-8}), "rtp": (torch.optim.SGD, {"momentum": 0.9})}
    for name, (rule, how) in rules.items():
        seen = toys.recorded()
        options = {"steps": 1, "n_real": 16, "unroll": 4, "step_size": 0.01}
        _, plan = stages(name, seen.problem, **options, **({"window": 4} if name == "rat-bptt" else {}))
        work = Work(seen.problem, {0: 2, 1: 2, 2: 2}, seed=3)
        starts = []
        (select, synthesise) = plan.stages
        inner = synthesise.ready
        ready = lambda work, s: (starts.append(s.x.detach().clone()), inner(work, s))  # noqa: E731
        work.perform(replace(plan, stages=(select, replace(synthesise, ready=ready))))
        net, real = seen.networks[-1], seen.data.taken[-1]
        opt = rule(net.parameters(), lr=0.01, **how)
        for _ in range(4):
            opt.zero_grad()
            seen.problem.loss(net, toys.Rows(starts[0], torch.tensor([0, 0, 1, 1, 2, 2]))).backward()
            opt.step()
        loss = seen.problem.loss(net, toys.Rows(seen.data.x[real], seen.data.y[real]))
        assert work.history[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)


def test_a_gradient_that_jumps_is_shortened():
    """The average of the norms so far, the present one included; twice that at the most."""
    p = torch.nn.Parameter(torch.zeros(4))
    opt = clipped(partial(torch.optim.SGD, lr=1.0), 2.0)([{"name": "rows", "params": [p]}])
    for size, stepped in ((1.0, 1.0), (1.5, 1.5), (100.0, 2 * (0.9 * 1.05 + 10.0)), (0.1, 0.1)):
        before = p.detach().clone()
        p.grad = torch.full((4,), size / 2)  # a norm of `size`
        opt.step()
        assert (before - p.detach()).norm().item() == pytest.approx(stepped, rel=1e-5)
    again = clipped(partial(torch.optim.SGD, lr=1.0), 2.0)([{"name": "rows", "params": [p]}])
    again.load_state_dict(copy.deepcopy(opt.state_dict()))
    assert again.param_groups[0]["norm"] == opt.param_groups[0]["norm"] > 0


def test_directed_updates_do_not_depend_on_how_long_gradients_are():
    target = torch.tensor([1.0, -2.0, 3.0])

    def end(sizes):
        p, q = (torch.nn.Parameter(torch.zeros(n)) for n in (3, 1))
        groups = [{"name": "rows", "params": [p]}, {"name": "labels", "params": [q]}]
        opt = directed(partial(torch.optim.Adam, lr=0.1))(groups)
        for size in sizes:
            opt.zero_grad()
            (size * ((p - target).square().sum() + 100 * (q - 1).square().sum())).backward()
            opt.step()
        return torch.cat([p, q]).detach()

    assert torch.allclose(end([1.0] * 60), end([1000.0, *[0.01, 7.0] * 29, 1.0]), atol=1e-5)
    plain = torch.nn.Parameter(torch.zeros(3))
    opt = directed(partial(torch.optim.SGD, lr=1.0))([{"name": "rows", "params": [plain]}])
    plain.grad = torch.zeros(3)
    opt.step()
    assert not plain.any()
    plain.grad = torch.tensor([3.0, 0.0, 4.0])
    opt.step()
    assert torch.allclose(plain.detach(), torch.tensor([-0.6, 0.0, -0.8]))


def test_ld_moves_labels_and_leaves_rows_untouched():
    problem = toys.image()
    counts, plan = stages("ld", problem, steps=30, n_real=32, lr=0.2)
    work = Work(problem, counts)
    s = work.perform(plan)
    real = {tuple(x.flatten().tolist()) for x in problem.data.x[list(problem.data.ids())]}
    assert all(tuple(x.flatten().tolist()) in real for x in s.x)
    assert [g["name"] for g in s.param_groups()] == ["labels"]
    assert s.train_steps is None
    soft = s.batch().y.detach()
    assert (soft - 1 / 3).abs().max() > 0.1
    assert torch.allclose(soft.sum(1), torch.ones(6))
    losses = [r["loss"] for r in work.history]
    assert sum(losses[-5:]) < sum(losses[:5])
