"""The methods of gradient matching beside DC together: each brings its distance down, on every modality."""

from functools import partial

import pytest
import torch
import toys

from ddcore.loop import optimise
from ddcore.objectives.gradient import (
    ContrastiveMatching,
    CurvatureMatching,
    GroupwiseMatching,
    MultiLevelMatching,
    ProgressiveMatching,
)
from ddcore.objectives.networks import TrainedOnReal
from ddcore.objectives.real_rows import Representative
from ddcore.objectives.starts import AfterParts, EarlyStage, UntilOverfit

OBJECTIVES = {
    "dcc": ContrastiveMatching(n_real=12),
    "idc": GroupwiseMatching(n_real=12, networks=TrainedOnReal(outer=3, steps=1, size=32)),
    "dream": GroupwiseMatching(n_real=12, networks=TrainedOnReal(outer=3, steps=1, size=32), rows=Representative(2)),
    "acc-dd": GroupwiseMatching(n_real=12, networks=EarlyStage(outer=3, steps=1, size=32)),
    "pdd": ProgressiveMatching(n_real=12, networks=AfterParts(outer=3, steps=1, size=32, stages=2), stages=2),
    "egm": MultiLevelMatching(n_real=12, networks=UntilOverfit(outer=3, gap=2.0)),
    "lcmat": CurvatureMatching(n_real=12),
}


def seen_loss(p, s, objective):
    """The objective's mean value over networks that stand apart from those it learned with; the set stays."""
    still = optimise(p, s, objective, steps=12, optimiser=partial(torch.optim.SGD, lr=0.0), seed=7)
    return sum(record["loss"] for record in still.history) / 12


@pytest.mark.parametrize("name", toys.ALL)
@pytest.mark.parametrize("method", OBJECTIVES)
def test_an_objective_brings_its_distance_down(name, method):
    p, s = toys.case(name)
    before = seen_loss(p, s, OBJECTIVES[method])
    optimise(p, s, OBJECTIVES[method], steps=24, optimiser=partial(torch.optim.Adam, lr=0.05), seed=100)
    assert seen_loss(p, s, OBJECTIVES[method]) < before
    assert all(q.isfinite().all() for q in s.parameters())
