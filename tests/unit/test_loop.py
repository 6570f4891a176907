"""The loop: what a yield means, who moves, and what an objective leaves behind or out."""

import copy
import math
import warnings
from functools import partial

import pytest
import torch
import toys
from scripted import ADAM, SGD, Yields, same
from torch import nn

from ddcore.errors import Diverged, ObjectiveExhausted, OptionError
from ddcore.loop import Run, optimise
from ddcore.objectives.distribution import DistributionMatching


def test_a_skip_is_a_step_without_an_update():
    p, s = toys.case("image")
    start = copy.deepcopy(s)
    run = optimise(p, s, Yields("skip", "skip"), steps=2, optimiser=ADAM)
    assert same(start, s)
    assert run.step == len(run.history) == 2
    assert all(math.isnan(r["loss"]) for r in run.history)
    t = copy.deepcopy(start)
    optimise(p, s, Yields("scalar", "scalar"), steps=2, optimiser=ADAM)
    optimise(p, t, Yields("scalar", "skip", "skip", "scalar"), steps=4, optimiser=ADAM)
    assert same(s, t)  # Adam's moments did not age either


def test_a_skip_drops_what_was_written():
    class WritesAndSkips:
        def losses(self, problem, synthetic, run):
            (1e3 * synthetic.x).sum().backward()
            yield None
            yield synthetic.x.square().sum()

    p, s = toys.case("image")
    t = copy.deepcopy(s)
    optimise(p, s, WritesAndSkips(), steps=2, optimiser=SGD)
    optimise(p, t, Yields("scalar"), steps=1, optimiser=SGD)
    assert same(s, t)


def test_own_grads_equal_a_yielded_loss_and_do_not_pile_up():
    p, s = toys.case("image")
    t = copy.deepcopy(s)
    a = optimise(p, s, Yields("scalar", "scalar", "scalar"), steps=3, optimiser=ADAM)
    b = optimise(p, t, Yields("own", "scalar", "own"), steps=3, optimiser=ADAM)
    assert same(s, t)
    assert a.history == b.history


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("empty", "Yields yielded a scalar without grad and wrote no .grad"),
        ("number", "Yields yielded float"),
        ("rows", r"Yields yielded a tensor of shape \(6,\)"),
        ("elsewhere", "Yields yielded a loss that does not depend on the set"),
    ],
)
def test_bad_yields_are_named(what, said):
    p, s = toys.case("image")
    with pytest.raises((ValueError, TypeError), match=said):
        optimise(p, s, Yields(what), steps=1, optimiser=ADAM)


def test_an_objective_that_ends_early_is_named():
    p, s = toys.case("image")
    with pytest.raises(ObjectiveExhausted, match="Yields ended at step 1 of 3"):
        optimise(p, s, Yields("scalar"), steps=3, optimiser=ADAM)


def test_groups_that_do_not_move_stay_put_under_adam():
    p, s = toys.case("graph")
    seen = [(s.x.detach().clone(), s.w1.detach().clone())]
    optimise(
        p,
        s,
        DistributionMatching(n_real=8),
        steps=9,
        optimiser=ADAM,
        moves=lambda t: {"features"} if t % 4 < 2 else {"adjacency"},
        callbacks=[lambda run: seen.append((s.x.detach().clone(), s.w1.detach().clone()))],
    )
    for t in range(9):
        (x0, w0), (x1, w1) = seen[t], seen[t + 1]
        assert torch.equal(w0, w1) == (t % 4 < 2)
        assert torch.equal(x0, x1) == (t % 4 >= 2)


def test_the_set_s_own_schedule_is_the_default():
    p, s = toys.case("graph")
    s.moves = lambda t: {"adjacency"}
    before = s.x.detach().clone(), s.w1.detach().clone()
    optimise(p, s, DistributionMatching(n_real=8), steps=2, optimiser=ADAM)
    assert torch.equal(before[0], s.x)
    assert not torch.equal(before[1], s.w1)


def test_a_group_that_is_not_there_is_an_error():
    p, s = toys.case("graph")
    with pytest.raises(OptionError, match=r"no parameter group 'adjacensy'.*adjacency"):
        optimise(p, s, DistributionMatching(n_real=8), steps=1, optimiser=ADAM, moves=lambda t: {"adjacensy"})


def test_nothing_leaks_into_networks_or_adversaries():
    class Leaky:
        def losses(self, problem, synthetic, run):
            psi = nn.Linear(128, 4)
            while True:
                net = problem.new_model(run.rng)
                yield psi(net(synthetic.batch(rng=run.rng)).features).square().mean()
                assert all(q.grad is None for q in [*psi.parameters(), *net.parameters()])

    p, s = toys.case("image")
    optimise(p, s, Leaky(), steps=3, optimiser=ADAM)


def test_project_runs_after_every_update():
    p, s = toys.case("image")
    s.project = lambda: s.x.clamp_(-0.05, 0.05)
    optimise(p, s, DistributionMatching(n_real=8), steps=3, optimiser=ADAM)
    assert s.x.abs().max() <= 0.05


@pytest.mark.parametrize("what", ["scalar", "own"])
def test_the_loop_adds_the_penalty_once(what):
    p, s = toys.case("image")
    t = copy.deepcopy(s)
    s.penalty = lambda: s.x.square().sum()  # the same again: twice the gradient
    optimise(p, s, Yields(what), steps=1, optimiser=partial(torch.optim.SGD, lr=0.1))
    optimise(p, t, Yields(what), steps=1, optimiser=partial(torch.optim.SGD, lr=0.2))
    assert torch.allclose(s.x, t.x)


class Fails(Exception):
    pass


@pytest.mark.parametrize("how", ["ends", "a callback raises", "diverges"])
def test_hooks_are_removed_when_a_run_ends(how):
    closed = []

    class Hooked:
        def losses(self, problem, synthetic, run):
            kept.append(self.hooked(synthetic))
            return kept[0]

        def hooked(self, synthetic):
            try:
                while True:
                    yield synthetic.x.sum() * (math.nan if how == "diverges" else 1)
            finally:
                closed.append(True)

    def callback(run):
        if how == "a callback raises":
            raise Fails

    kept = []  # so that the end of the last reference is not what closes it
    p, s = toys.case("image")
    if how == "ends":
        optimise(p, s, Hooked(), steps=2, optimiser=ADAM, callbacks=[callback])
    else:
        with pytest.raises((Fails, Diverged)):
            optimise(p, s, Hooked(), steps=2, optimiser=ADAM, callbacks=[callback])
    assert closed == [True]


def test_values_are_logged_with_the_loss_of_their_step():
    class Logs:
        def losses(self, problem, synthetic, run):
            while True:
                run.log(norm=float(run.step))
                yield synthetic.x.square().sum()

    p, s = toys.case("image")
    run = optimise(p, s, Logs(), steps=3, optimiser=ADAM)
    assert [r["norm"] for r in run.history] == [0.0, 1.0, 2.0]
    assert all(set(r) == {"norm", "loss"} for r in run.history)


def test_keep_builds_once_and_boundaries_seed_torch():
    run, made = Run(3), []
    assert run.keep("a", lambda rng: made.append(1) or [1]) is run.keep("a", lambda rng: made.append(1) or [2])
    assert made == [1]
    draws = []
    with torch.random.fork_rng():
        for step in (0, 0, 1):
            run.step = step
            run.boundary()
            draws.append(torch.rand(3))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


# ---------------------------------------------------------------------------------------------------------------------
# what an objective leaves out


def silence(s, *, steps=30, objective=None):
    p, _ = toys.case("image")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        optimise(p, s, objective or DistributionMatching(8), steps=steps, optimiser=ADAM)
    return [str(w.message) for w in said]


def test_a_learnable_parameter_without_gradient_is_named_once():
    """Matching features never trains on the set: its step size has no part in the loss."""
    _, s = toys.case("image")
    (message,) = silence(s.learn_step_size())
    assert message.startswith("DistributionMatching gave no gradient to step_size in its first 10 updates")
    assert "keep it out of what is learned" in message


def test_a_parameter_that_is_reached_now_and_then_is_not_named():
    class Turns:
        def losses(self, problem, synthetic, run):
            while True:
                yield synthetic.x.sum() if run.step % 7 else synthetic.log_step_size.square()

    _, s = toys.case("image")
    assert silence(s) == []
    assert silence(s.learn_step_size(), objective=Turns()) == []
