"""The loop: what a yield means, who moves, and that a run can be stopped and taken up again."""

import copy
import math
import warnings
from functools import partial

import pytest
import torch
import toys
from torch import nn

from ddcore.errors import Diverged, ObjectiveExhausted, OptionError
from ddcore.loop import Run, optimise
from ddcore.objectives.distribution import DistributionMatching, PooledDistributionMatching
from ddcore.objectives.gradient import GradientMatching
from ddcore.objectives.networks import TrainedOnSet

ADAM = partial(torch.optim.Adam, lr=0.01)
SGD = partial(torch.optim.SGD, lr=0.1)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def dropout():
    return toys.case("image", models={"convnet": toys.dropping})


class Yields:
    """Yields what it is told to, step by step."""

    def __init__(self, *what):
        self.what = what

    def losses(self, problem, synthetic, run):
        for what in self.what:
            loss = synthetic.x.square().sum()
            if what == "own":
                loss.backward(inputs=synthetic.leaves())
                loss = loss.detach()
            yield {
                "own": loss,
                "scalar": loss,
                "skip": None,
                "empty": torch.tensor(1.0),
                "number": 1.0,
                "rows": synthetic.x.flatten(1).sum(1),
                "elsewhere": nn.Parameter(torch.ones(())) * 2,
            }[what]


class Noisy(nn.Module):
    """Lives in the state, draws when made, and moves at every update."""

    def __init__(self, rng):
        super().__init__()
        self.weight = nn.Parameter(torch.full((4,), rng.random()))


class Adversary:
    """A network and its optimiser outlive the boundaries."""

    def losses(self, problem, synthetic, run):
        psi = run.keep("psi", lambda rng: Noisy(rng))
        opt = run.keep("opt", lambda rng: torch.optim.Adam(psi.parameters(), lr=0.1))
        run.state.setdefault("seen", [])
        while True:
            run.boundary()
            net = problem.new_model(run.rng)
            for _ in range(2):
                loss = net(synthetic.batch(rng=run.rng)).logits.square().mean() * psi.weight.square().sum()
                yield loss
                opt.zero_grad()
                (psi.weight - run.rng.random()).square().sum().backward()
                opt.step()
                run.state["seen"].append(run.step)


OBJECTIVES = {
    "networks": GradientMatching(8, augment="match", networks=TrainedOnSet(outer=3)),
    "fresh": DistributionMatching(n_real=8),
    "pool": PooledDistributionMatching(n_real=8, pool=3, renew=2),
    "adversary": Adversary(),
}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("at", [0, 1, -1])
def test_a_resumed_run_equals_an_uninterrupted_one(name, at):
    p, s = dropout()
    whole, saved = copy.deepcopy(s), []
    a = optimise(p, whole, OBJECTIVES[name], steps=13, optimiser=ADAM, checkpoint=lambda take: saved.append(take()))
    assert saved[0]["step"] == 0 < saved[-1]["step"] < 13
    cut = copy.deepcopy(s)
    b = optimise(p, cut, OBJECTIVES[name], steps=13, optimiser=ADAM, resume=saved[at])
    assert same(whole, cut)
    assert a.history == b.history


def test_a_checkpoint_is_as_of_its_boundary_and_costs_nothing_unless_taken():
    p, s = dropout()
    asked, taken = [], []

    def every_third(take):
        asked.append(1)
        if len(asked) % 3 == 0:
            taken.append(take())

    t = copy.deepcopy(s)
    optimise(p, s, OBJECTIVES["fresh"], steps=9, optimiser=ADAM, checkpoint=every_third)
    assert [c["step"] for c in taken] == [2, 5, 8]
    optimise(p, t, OBJECTIVES["fresh"], steps=5, optimiser=ADAM)
    assert torch.equal(taken[1]["synthetic"]["x"], t.x)
    assert len(taken[1]["history"]) == 5


def test_a_run_may_be_resumed_twice_from_one_checkpoint():
    p, s = dropout()
    saved, ends = [], []
    optimise(p, copy.deepcopy(s), Adversary(), steps=6, optimiser=ADAM, checkpoint=lambda take: saved.append(take()))
    for _ in range(2):
        t = copy.deepcopy(s)
        optimise(p, t, Adversary(), steps=12, optimiser=ADAM, resume=saved[-1])
        ends.append(t)
    assert same(*ends)


def test_what_is_kept_must_be_rebuilt():
    class Forgetful:
        def losses(self, problem, synthetic, run):
            run.state.setdefault("net", problem.new_model(run.rng))
            while True:
                run.boundary()
                yield synthetic.x.sum()

    p, s = toys.case("image")
    saved = []
    optimise(p, s, Forgetful(), steps=2, optimiser=ADAM, checkpoint=lambda take: saved.append(take()))
    with pytest.raises(RuntimeError, match=r"\['net'\]; make them with run.keep"):
        optimise(p, s, Forgetful(), steps=4, optimiser=ADAM, resume=saved[0])


class NoBoundary:
    def losses(self, problem, synthetic, run):
        net = problem.new_model(run.rng)
        while True:
            yield problem.loss(net, synthetic.batch(rng=run.rng))  # dropout


@pytest.mark.parametrize("objective", [GradientMatching(n_real=8), NoBoundary()], ids=lambda o: type(o).__name__)
def test_twice_in_one_process_and_the_global_generator_is_left_alone(objective):
    ends, before = [], torch.get_rng_state()
    for _ in range(2):
        p, s = dropout()
        optimise(p, s, objective, steps=6, optimiser=ADAM)
        ends.append(s)
        assert torch.equal(before, torch.get_rng_state())
        torch.rand(3)  # other work in between
        before = torch.get_rng_state()
    assert same(*ends)


def test_another_seed_is_another_run():
    ends = []
    for seed in (0, 1):
        p, s = toys.case("image")
        optimise(p, s, DistributionMatching(n_real=8), steps=3, optimiser=ADAM, seed=seed)
        ends.append(s)
    assert not same(*ends)


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
# runs that diverge


class Breaks:
    """A plain descent until `at`, then what cannot go on."""

    def __init__(self, how, at):
        self.how, self.at = how, at

    def losses(self, problem, synthetic, run):
        while True:
            loss = (synthetic.x - 1).square().mean()
            if run.step >= self.at:
                if self.how == "loss":
                    loss = loss * math.nan
                elif self.how == "gradient":  # finite value, derivative inf * 0
                    zero = synthetic.x - synthetic.x.detach()
                    loss = loss + zero.abs().sum().sqrt() * 0
                else:
                    loss = loss * 1e12
            yield loss


@pytest.mark.parametrize(
    ("how", "said"),
    [("loss", "the loss is nan"), ("gradient", "a gradient is not finite"), ("explosion", r"the loss is \d.*e\+")],
)
def test_a_run_that_diverges_stops_with_its_last_good_state(how, said):
    p, s = toys.case("image")
    seen = [s.x.detach().clone()]
    with pytest.raises(Diverged, match=said) as raised:
        optimise(
            p,
            s,
            Breaks(how, 33),
            steps=100,
            optimiser=ADAM,
            callbacks=[lambda run: seen.append(s.x.detach().clone())],
        )
    message = str(raised.value)
    assert "diverged at step 33" in message
    assert "Lower the learning rate (now: rows 0.01)" in message
    (good,) = [t for t, x in enumerate(seen) if torch.equal(x, s.x)]
    assert f"back at step {good}" in message
    assert 33 - 100 // 20 <= good <= 33
    assert s.x.isfinite().all()


def test_rows_that_leave_the_finite_numbers_in_the_last_update_are_noticed():
    """The loss was finite before it; nobody asks for a loss after it."""
    p, s = toys.case("image")
    before = s.x.detach().clone()
    with pytest.raises(Diverged, match="not finite"):
        optimise(p, s, Yields("scalar"), steps=1, optimiser=partial(torch.optim.SGD, lr=3e38))
    assert torch.equal(s.x, before)


def test_a_loss_that_falls_from_large_values_is_no_explosion():
    class Falls:
        def losses(self, problem, synthetic, run):
            while True:
                yield synthetic.x.square().sum() * 10.0 ** (12 - run.step)

    p, s = toys.case("image")
    assert optimise(p, s, Falls(), steps=20, optimiser=ADAM).step == 20


def test_divergence_after_a_resume_names_a_step_of_the_whole_run():
    class BreaksLater(Breaks):
        def losses(self, problem, synthetic, run):
            for loss in super().losses(problem, synthetic, run):
                run.boundary()
                yield loss

    p, s = toys.case("image")
    t, saved = copy.deepcopy(s), []
    optimise(p, s, BreaksLater("loss", 99), steps=10, optimiser=ADAM, checkpoint=lambda take: saved.append(take()))
    with pytest.raises(Diverged, match=r"diverged at step 9: .* back at step 9"):
        optimise(p, t, BreaksLater("loss", 9), steps=100, optimiser=ADAM, resume=saved[9])


# ---------------------------------------------------------------------------------------------------------------------
# schedules and averages


def states(**how):
    """The rows after each of eight updates, and at the end."""
    p, s = toys.case("image", start=True)
    found = [s.x.detach().clone()]
    sgd = partial(torch.optim.SGD, lr=0.5)
    seen = lambda run: found.append(s.x.detach().clone())  # noqa: E731
    optimise(p, s, DistributionMatching(n_real=8), steps=8, optimiser=sgd, callbacks=[seen], **how)
    return found, s.x.detach()


def test_a_schedule_multiplies_the_learning_rate():
    plain, _ = states()
    scheduled, _ = states(schedule=lambda step: 0.1 if step >= 1 else 1.0)
    assert torch.equal(scheduled[1], plain[1])
    assert torch.allclose(scheduled[2] - scheduled[1], 0.1 * (plain[2] - plain[1]), atol=1e-6)


def test_the_average_is_exponential_over_the_states():
    found, end = states(averaging=0.8)
    mean = found[0]
    for x in found[1:]:
        mean = 0.8 * mean + 0.2 * x
    assert torch.allclose(end, mean, atol=1e-6)
    assert torch.equal(found[-1], states()[1])  # the run itself is not touched by it


def test_an_average_survives_a_resume():
    p, s = toys.case("image", start=True)
    whole, cut, saved = copy.deepcopy(s), copy.deepcopy(s), []
    how = {"steps": 9, "optimiser": ADAM, "averaging": 0.9, "schedule": lambda step: 1 / (1 + step)}
    optimise(p, whole, DistributionMatching(8), **how, checkpoint=lambda take: saved.append(take()))
    optimise(p, cut, DistributionMatching(8), **how, resume=saved[4])
    assert torch.equal(whole.x, cut.x)


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
