"""Recipes: how often, how fast, and what their names promise."""

from ddcore.recipes import MATCHING, MATCHING_AUGMENTED, Recipe


def test_a_recipe_counts_its_steps():
    recipe = Recipe("r@1", epochs=10, size=4, drop_after=0.5)
    assert recipe.steps(6) == 20
    assert recipe.steps(4) == 10
    assert Recipe("r@1", epochs=10, size=None).steps(1000) == 10
    assert [recipe.factor(e) for e in (0, 5, 6, 9)] == [1.0, 1.0, 0.1, 0.1]
    assert Recipe("r@1", drop_after=None).factor(299) == 1.0


def test_the_published_protocols():
    """DC's `evaluate_synset`: what `matching@1` means may not change."""
    assert Recipe("matching@1", 300, 256, "momentum", 0.01, 5e-4, 0.5, None) == MATCHING
    assert Recipe("matching-augmented@1", 1000, 256, "momentum", 0.01, 5e-4, 0.5, "train") == MATCHING_AUGMENTED
