"""How graph networks are trained for evaluation."""

from ddcore.recipes import Recipe

__all__ = ["GRAPH", "GRAPH_LEVEL"]

GRAPH = Recipe("graph@1", epochs=600, size=None, rule="adam", lr=0.01, weight_decay=5e-4, keep="val", val_every=10)
"""The field's protocol (GCond, Jin et al. 2022, and its code): full batch, Adam 0.01, a tenth after half of 600 epochs, weight
decay 5e-4. Tested on the real graph is the network of the epoch that is best on the real val nodes, among every tenth."""

GRAPH_LEVEL = Recipe(
    "graph-level@1", epochs=500, size=128, rule="adam", lr=1e-3, weight_decay=0.0, keep="val", val_every=10
)
"""DosCond's protocol for graph classification (Jin et al. 2022): Adam 0.001, a tenth after half of 500 epochs, batches of 128."""
