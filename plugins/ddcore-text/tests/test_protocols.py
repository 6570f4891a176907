"""What the names of the protocols mean may not change."""

from ddcore_text.recipes import FINE_TUNING, SENTENCES, TOKENS

from ddcore.recipes import Drops, Recipe


def test_the_published_protocols():
    """Ours, and DiLM's."""
    drops = Drops((0.5,), 0.1, 1)
    assert Recipe("text-tokens@1", 100, 64, "adamw", 1e-3, 0.01, drops, None, "last") == TOKENS
    assert Recipe("text-sentence@1", 200, 64, "adamw", 1e-3, 0.01, drops, None, "last") == SENTENCES
    assert Recipe("fine-tuning@1", 200, 64, "adamw", 1e-4, 0.01, drops, None, "last") == FINE_TUNING
