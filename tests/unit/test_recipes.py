"""Recipes: how often, how fast, and what their names promise."""

import math
from dataclasses import replace

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

from ddcore.recipes import DECOUPLED, IDC, MATCHING, MATCHING_AUGMENTED, Cosine, Drops, Recipe


def test_a_recipe_counts_its_steps():
    recipe = Recipe("r@1", epochs=10, size=4)
    assert recipe.steps(6) == 20
    assert recipe.steps(4) == 10
    assert Recipe("r@1", epochs=10, size=None).steps(1000) == 10
    assert [recipe.factor(e) for e in (0, 5, 6, 9)] == [1.0, 1.0, 0.1, 0.1]
    assert Recipe("r@1", schedule=None).factor(299) == 1.0


@pytest.mark.parametrize(
    ("schedule", "theirs"),
    [
        (Drops((0.65, 0.85), 0.2), lambda opt: MultiStepLR(opt, [14, 18], 0.2)),
        (Drops((0.65, 0.85), 0.2, late=0), lambda opt: MultiStepLR(opt, [13, 17], 0.2)),
        (Cosine(), lambda opt: CosineAnnealingLR(opt, 20)),
        (Cosine(2.0), lambda opt: CosineAnnealingLR(opt, 40)),
    ],
)
def test_schedules_are_torchs(schedule, theirs):
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = theirs(opt)
    for epoch in range(20):
        assert math.isclose(Recipe("r@1", epochs=20, schedule=schedule).factor(epoch), opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()


@pytest.mark.parametrize("epochs", [1000, 300, 100, 7])
def test_idcs_drops_are_those_of_its_code(epochs):
    """`MultiStepLR(optimizer, milestones=[2 * epochs // 3, 5 * epochs // 6], gamma=0.2)`."""
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = MultiStepLR(opt, [2 * epochs // 3, 5 * epochs // 6], 0.2)
    for epoch in range(epochs):
        assert math.isclose(replace(IDC, epochs=epochs).factor(epoch), opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()


@pytest.mark.parametrize("recipe", [MATCHING, MATCHING_AUGMENTED])
def test_matchings_drop_is_that_of_its_code(recipe):
    """`lr_schedule = [Epoch // 2 + 1]`, and a tenth from the epoch of that number on."""
    drop = recipe.epochs // 2 + 1
    assert [recipe.factor(e) for e in (0, drop - 1, drop, recipe.epochs - 1)] == [1.0, 1.0, 0.1, 0.1]


def test_the_published_protocols():
    """DC's `evaluate_synset`, IDC's test, CDA's validation: what these names mean may not change."""
    assert Recipe("matching@1", 300, 256, "momentum", 0.01, 5e-4, Drops((0.5,), 0.1, 1), None, "last") == MATCHING
    assert Recipe("matching-augmented@1", 1000, 256, "momentum", 0.01, 5e-4, Drops(), "train") == MATCHING_AUGMENTED
    assert Recipe("idc@1", 1000, 64, "momentum", 0.01, 5e-4, Drops((2 / 3, 5 / 6), 0.2, 0), "mixed") == IDC
    assert Recipe("decoupled@1", 300, 128, "adamw", 1e-3, 0.01, Cosine(), "mixed") == DECOUPLED
