"""Plans: stages in order, each taking up what the earlier ones left, and resumed wherever they stopped."""

import copy
import math
import random
from functools import partial

import pytest
import torch
import toys

from ddcore import labels
from ddcore.errors import Diverged
from ddcore.methods.plan import Label, Plan, Prepare, Select, Synthesise, Work
from ddcore.objectives.distribution import DistributionMatching, PooledDistributionMatching
from ddcore.objectives.gradient import GradientMatching
from ddcore.objectives.networks import TrainedOnSet
from ddcore.parametrizations import Selected
from ddcore.rows import RowSynthetic

ADAM = partial(torch.optim.Adam, lr=0.05)
COUNTS = toys.COUNTS["image"]


def random_rows():
    return Select(lambda problem, counts, rng: Selected.random(problem.data, counts, rng))


def soften(work):
    """Learned labels that say which rows they were made for."""
    y = labels.one_hot(work.synthetic.batch().y, 3) * 0.9 + 0.1 / 3
    jitter = torch.rand(y.shape, generator=torch.Generator().manual_seed(work.rng("labels").getrandbits(31)))
    work.synthetic.labels = labels.probabilities((y + 0.1 * jitter).softmax(-1), learn=True)


def two_stages():
    """Rows first, then rows and soft labels; a pool and a network outlive their boundaries."""
    return Plan(
        (
            Prepare("shift", lambda work: work.rng("shift").random()),
            random_rows(),
            Synthesise(PooledDistributionMatching(n_real=8, pool=2, renew=2), 5, ADAM),
            Label(soften),
            Synthesise(
                lambda work: GradientMatching(8, networks=TrainedOnSet(outer=2, lr=work.results["shift"])), 6, ADAM
            ),
        )
    )


def work(**options):
    problem = toys.image(models={"net": toys.dropping})
    return Work(problem, COUNTS, 3, **options)


def same(a, b):
    found = a.state_dict(), b.state_dict()
    return found[0].keys() == found[1].keys() and all(torch.equal(x, found[1][k]) for k, x in found[0].items())


def test_stages_run_in_order():
    w = work()
    s = w.perform(two_stages())
    assert s is w.synthetic
    assert two_stages().steps == len(w.history) == 11
    assert s.label_kind == "probabilities"
    assert 0 < w.results["shift"] < 1


def test_a_plan_starts_from_the_selected_rows():
    w = work()
    s = w.perform(Plan((random_rows(), Synthesise(DistributionMatching(4), 1, partial(torch.optim.SGD, lr=0.0)))))
    chosen = Work(w.problem, COUNTS, 3).perform(Plan((random_rows(),)))
    assert isinstance(chosen, Selected)
    assert torch.equal(s.batch().x, chosen.batch().x)
    assert isinstance(s, RowSynthetic)


def test_a_plan_starts_from_noise_without_a_selection():
    stage = Synthesise(DistributionMatching(4), 1, partial(torch.optim.SGD, lr=0.0))
    a, b = (Work(toys.image(), COUNTS, seed).perform(Plan((stage,))) for seed in (0, 1))
    assert 0.8 < a.x.std() < 1.2
    assert not torch.equal(a.x, b.x)
    assert torch.equal(a.x, Work(toys.image(), COUNTS, 0).perform(Plan((stage,))).x)


def test_a_later_stage_goes_on_with_the_set():
    once = Plan((Synthesise(DistributionMatching(4), 2, ADAM),))
    w = Work(toys.image(), COUNTS, 0)
    s = w.perform(once)
    before = s.x.detach().clone()
    again = Work(toys.image(), COUNTS, 0, synthetic=s).perform(Plan((Label(lambda work: None), *once.stages)))
    assert again is s
    assert not torch.equal(before, s.x)


def test_learned_step_sizes_and_schedules_are_of_the_stage():
    stage = Synthesise(
        DistributionMatching(4), 1, ADAM, moves=lambda step: (), ready=lambda work, s: s.learn_step_size()
    )
    s = Work(toys.image(), COUNTS, 0).perform(Plan((random_rows(), stage)))
    assert [g["name"] for g in s.param_groups()] == ["rows", "step_size"]
    chosen = Work(toys.image(), COUNTS, 0).perform(Plan((random_rows(),)))
    assert torch.equal(s.x, chosen.batch().x), "no group moves"


def test_a_plan_without_a_set_is_an_error():
    with pytest.raises(RuntimeError, match="needs a Select or a Synthesise stage"):
        work().perform(Plan((Prepare("x", lambda work: 1),)))


class Killed(Exception):
    pass


@pytest.mark.parametrize("stop", range(11))
def test_a_run_that_is_killed_anywhere_ends_like_one_that_is_not(stop):
    whole, saved, steps = work(), [], []
    a = whole.perform(two_stages())

    def callback(run):
        steps.append(run)
        if len(steps) == stop + 1:
            raise Killed

    first = work(checkpoint=lambda take: saved.append(take()), callbacks=[callback])
    with pytest.raises(Killed):
        first.perform(two_stages())
    resumed = work(resume=copy.deepcopy(saved[-1]))
    b = resumed.perform(two_stages())
    assert same(a, b)
    assert whole.history == resumed.history
    assert saved[-1]["stage"] == (2 if stop < 5 else 4)


def test_a_resumed_run_that_is_killed_again():
    whole, saved = work(), []
    a = whole.perform(two_stages())
    resume = None
    for stop in (2, 3, 3, 9):

        def callback(run, left=[stop]):
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        w = work(checkpoint=lambda take: saved.append(take()), callbacks=[callback], resume=resume)
        try:
            b = w.perform(two_stages())
        except Killed:
            resume = saved[-1]
    assert same(a, b)
    assert whole.history == w.history


def test_stages_leave_torch_s_global_generator_alone_and_do_not_depend_on_it():
    def noisy(work):
        work.synthetic.labels = labels.probabilities(torch.rand(6, 3).softmax(-1))

    plan = Plan(
        (
            random_rows(),
            Prepare("draw", lambda work: torch.rand(2)),
            Synthesise(DistributionMatching(4), 1, ADAM),
            Label(noisy),
        )
    )
    found = []
    for _ in range(2):
        before = torch.get_rng_state()
        w = work()
        found.append((w.perform(plan), w.results["draw"]))
        assert torch.equal(before, torch.get_rng_state())
        torch.rand(3)
    assert same(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_the_set_of_a_run_that_diverged_is_the_last_good_one():
    class Breaks:
        def losses(self, problem, synthetic, run):
            while True:
                yield synthetic.x.square().mean() * (math.nan if run.step == 3 else 1.0)

    w = work()
    with pytest.raises(Diverged):
        w.perform(Plan((random_rows(), Synthesise(DistributionMatching(4), 2, ADAM), Synthesise(Breaks(), 5, ADAM))))
    assert w.synthetic.x.isfinite().all()
    assert len(w.history) == 2


def test_a_stage_has_streams_of_its_own():
    w = work()
    draws = []
    for w.stage in (0, 1):
        draws += [w.rng("a").random(), w.rng("b").random(), w.rng("a").random()]
    assert draws[0] == draws[2]
    assert draws[3] == draws[5]
    assert len(set(draws)) == 4
    assert isinstance(w.rng("a"), random.Random)
