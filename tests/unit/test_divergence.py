"""Runs that diverge stop with their last good state."""

import copy
import math
from functools import partial

import pytest
import torch
import toys
from scripted import ADAM, Yields

from ddcore.errors import Diverged
from ddcore.loop import optimise


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
