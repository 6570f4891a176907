"""Within classes and across (egm), with networks that are given up when they overfit."""

import pytest
import torch
import toys
from gradients import SGD, Small, equals, layer_cosine, resumes, start, total, update

from ddcore.loop import optimise
from ddcore.objectives.gradient import GradientMatching, MultiLevelMatching
from ddcore.objectives.networks import TrainedOnSet
from ddcore.objectives.starts import UntilOverfit


@pytest.mark.parametrize("distance", ["layer-cosine+norm", "layer-cosine"])
def test_egm_matches_within_classes_and_across(distance):
    def D(have, want):
        lengths = sum(
            (u - v).norm() for a, b in zip(have, want) if a.ndim > 1 for u, v in zip(a.flatten(1), b.flatten(1))
        )
        return layer_cosine(have, want) + (lengths if "norm" in distance else 0.0)

    def formula(net, pairs):
        across = D(total(have for have, _ in pairs), total(want for _, want in pairs))
        return sum(D(*pair) for pair in pairs) + 0.3 * across

    equals(MultiLevelMatching(n_real=6, distance=distance, augment="match", across=0.3), formula)


def test_egm_within_classes_alone_is_dc_with_its_distance():
    """By angles alone, with networks that are never given up, it is DC."""
    for distance in ("layer-cosine+norm", "layer-cosine"):
        ends = []
        for objective in (
            MultiLevelMatching(6, distance, networks=UntilOverfit(outer=2, epochs=2, lr=0.3), across=0.0),
            GradientMatching(6, distance, networks=TrainedOnSet(outer=2, epochs=2, lr=0.3)),
        ):
            ends.append(update(objective, toys.recorded(Small), start(), steps=4))
        (losses, g), (other_losses, other_g) = ends
        assert losses == pytest.approx(other_losses, rel=1e-10)
        assert torch.allclose(g, other_g, rtol=1e-9, atol=1e-12)


def test_egm_gives_a_network_up_when_it_knows_the_set_by_heart():
    def networks(gap):
        drawn = toys.recorded(Small)
        policy = UntilOverfit(outer=6, epochs=40, lr=0.5, gap=gap)
        optimise(drawn.problem, start(), MultiLevelMatching(4, networks=policy), steps=6, optimiser=SGD)
        return len(drawn.networks)

    assert networks(0.0) == networks(1e9) == 1
    assert networks(1.5) > 1


def test_egm_resumes():
    objective = MultiLevelMatching(4, networks=UntilOverfit(outer=3, epochs=4, lr=0.5, gap=1.2), augment="match")
    resumes(objective, start, lambda: toys.recorded(Small), steps=8)
