"""What the names of the protocols mean may not change."""

from ddcore_recommender.protocol import CLICKS, RECOMMENDER, SEQUENTIAL

from ddcore.recipes import Recipe


def test_the_published_protocols():
    """Mult-VAE's, SASRec's and DeepFM's."""
    assert Recipe("recommender@1", 200, 500, "adam", 1e-3, 0.0, None, None, "last") == RECOMMENDER
    assert Recipe("sequential@1", 200, 128, "adam", 1e-3, 0.0, None, None, "val", 25) == SEQUENTIAL
    assert Recipe("clicks@1", 20, 1024, "adam", 1e-3, 1e-6, None, None, "last") == CLICKS
