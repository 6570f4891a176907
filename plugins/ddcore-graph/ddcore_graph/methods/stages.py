"""Stages of plans on graphs: where a parametrization of the plugin's own starts, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddcore.methods.plan import Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

    from ..batch import Graph

__all__ = ["Decode", "Start", "feature_adam", "feature_scale", "selected_features"]


@dataclass(frozen=True)
class Start:
    """The set that later stages move, made of what earlier ones left."""

    make: Callable[[Work[Any]], Synthetic[Any]]

    def run(self, work: Work[Any]) -> None:
        """Leaves it as the set."""
        work.synthetic = self.make(work).to(work.problem.device)


@dataclass(frozen=True)
class Decode:
    """The learned graph as it is, without edges below the threshold: it needs no decoder any more."""

    threshold: float = 0.0

    def run(self, work: Work[Any]) -> None:
        """Leaves the graph as the set."""
        learned: Any = work.synthetic
        work.synthetic = learned.decoded(self.threshold)


def feature_scale(problem: Problem[Any]) -> float:
    """The deviation of the training nodes' features: what a learning rate is large or small against."""
    from ..preprocess import deviation

    batch = problem.data.take(problem.data.ids())
    return deviation(batch.x[batch.rows])


def feature_adam(problem: Problem[Any], lr: float, **rates: float) -> Callable[[Any], Any]:
    """Adam, whose learning rate of the features is in their deviations, and with rates of the set's other groups."""
    import torch

    from ddcore.methods.optimisers import per_group

    return per_group(torch.optim.Adam, {"rows": lr * feature_scale(problem), **rates})


def selected_features(work: Work[Graph]) -> Any:  # (N, d)
    """The features of the nodes that an earlier stage selected."""
    assert work.synthetic is not None, "a stage that selects nodes comes first"
    graph = work.synthetic.batch(rng=work.rng("decode"))
    return graph.x[graph.rows]
