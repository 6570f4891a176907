"""How networks are trained for evaluation."""

from __future__ import annotations

from ddcore.recipes import Recipe

__all__ = ["CLICKS", "RECOMMENDER", "SEQUENTIAL"]

RECOMMENDER = Recipe("recommender@1", epochs=200, size=500, rule="adam", lr=1e-3, weight_decay=0.0, schedule=None)
"""Liang et al. 2018, section 4.4: Adam 0.001, batches of 500 users, 200 epochs. Models in closed form, and those that learn from
pairs of items, bring their own training."""

SEQUENTIAL = Recipe(
    "sequential@1",
    epochs=200,
    size=128,
    rule="adam",
    lr=1e-3,
    weight_decay=0.0,
    schedule=None,
    keep="val",
    val_every=25,
)
"""SASRec's: Adam 0.001, batches of 128 sequences, the epoch that is best on val of 200."""

CLICKS = Recipe("clicks@1", epochs=20, size=1024, rule="adam", lr=1e-3, weight_decay=1e-6, schedule=None)
"""DeepFM's: Adam 0.001, batches of 1,024."""
