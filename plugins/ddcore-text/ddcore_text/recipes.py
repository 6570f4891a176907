"""How text networks are trained for evaluation."""

from __future__ import annotations

from ddcore.recipes import Recipe

__all__ = ["FINE_TUNING", "SENTENCES", "TOKENS"]

TOKENS = Recipe("text-tokens@1", epochs=100, size=64, rule="adamw", lr=1e-3, weight_decay=0.01)
"""Networks from scratch on a frozen table (ours): AdamW 0.001, batches of 64, 100 epochs, a tenth of the rate after half."""

SENTENCES = Recipe("text-sentence@1", epochs=200, size=64, rule="adamw", lr=1e-3, weight_decay=0.01)
"""Heads on sentence vectors (ours): as `text-tokens`, 200 epochs."""

FINE_TUNING = Recipe("fine-tuning@1", epochs=200, size=64, rule="adamw", lr=1e-4, weight_decay=0.01)
"""A pretrained network on few rows, after DiLM's (Maekawa et al. 2024, section 4.1: 200 steps of 64 rows, AdamW 0.0001, weight
decay 0.01); of up to 64 rows the 200 epochs are those 200 steps."""
