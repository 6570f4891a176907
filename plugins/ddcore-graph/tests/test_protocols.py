"""What the names of the protocols mean may not change."""

from ddcore_graph.recipes import GRAPH, GRAPH_LEVEL

from ddcore.recipes import Drops, Recipe


def test_the_published_protocols():
    """GCond's and DosCond's."""
    assert Recipe("graph@1", 600, None, "adam", 0.01, 5e-4, Drops((0.5,), 0.1, 1), None, "val", 10) == GRAPH
    assert Recipe("graph-level@1", 500, 128, "adam", 1e-3, 0.0, Drops((0.5,), 0.1, 1), None, "val", 10) == GRAPH_LEVEL
