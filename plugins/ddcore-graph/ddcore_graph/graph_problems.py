"""The problems of graph classification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import torch
from pydantic import Field

from ddcore.problem import Metric, Output, Problem, Task
from ddcore.rows import Classification
from ddcore.splits import stratified_split

from .edges import tidied
from .graph_data import GraphData
from .graphs import Graphs
from .kernels.gntk import LiteGNTK
from .models import graph_zoo
from .parametrizations.graphs import graph_set
from .preprocess import dense
from .properties import properties_of_graphs
from .readers.ogb import Molecules, read_ogb_graphs
from .readers.raw import missing, named, several_classes
from .readers.tu import read_tu
from .recipes import GRAPH_LEVEL
from .show import gallery

__all__ = ["RocAuc", "graph_problem", "mutag", "ogbg_molbace", "ogbg_molbbbp", "ogbg_molhiv", "proteins", "tu"]

Nodes = Annotated[
    int | None,
    Field(ge=1, description="nodes of a synthetic graph at most; twice the mean of the real ones by default"),
]


class RocAuc(Classification):
    """Two classes: cross-entropy, and the area under the ROC curve, which OGB's molecules are scored with."""

    metrics = (Metric("auc"),)

    def score(self, pairs: Iterable[tuple[Output, object]]) -> Mapping[str, float]:
        from sklearn.metrics import roc_auc_score

        seen = [(out.logits[:, 1] - out.logits[:, 0], self.targets(batch)[:, 1]) for out, batch in pairs]  # type: ignore[arg-type]
        logits, y = (torch.cat(parts).cpu().numpy() for parts in zip(*seen, strict=True))
        return {"auc": float(roc_auc_score(y, logits))}


def graph_problem(raw: Molecules, *, nodes: int | None = None, hidden: int = 128, auc: bool = False) -> Problem[Graphs]:
    """A problem of graph classification from what a file held; edges get both directions. Without a split, a stratified one of
    80/10/10 is drawn. `auc`: two classes are scored by the area under the ROC curve. Raises DataError where
    there are no two classes."""
    with named(raw.place):
        several_classes(raw.class_names)
        splits = raw.splits or stratified_split(raw.y.tolist())
        x = dense(raw.x)
        edges, _ = tidied(raw.source, raw.target, len(x))
        sizes = torch.tensor(raw.nodes)
        data = GraphData(x, sizes, edges, torch.from_numpy(raw.y), splits, drawn=raw.splits is None, name=raw.name)
    d, classes, mean = x.shape[1], len(raw.class_names), max(round(len(x) / len(sizes)), 1)
    plain = partial(graph_set, d, min(mean, nodes or mean), nodes or 2 * mean, edges.shape[1] / len(x))
    return Problem(
        name="graph",
        data=data,
        task=cast("Task[Graphs]", RocAuc(classes) if auc else Classification(classes)),  # labels go by a row's names
        models=graph_zoo(d, classes, hidden=hidden),
        synthetic=plain,
        recipe=GRAPH_LEVEL,
        kernels={"gntk": LiteGNTK()},
        class_names=tuple(raw.class_names),
        render=partial(gallery, tuple(raw.class_names)),
        properties=properties_of_graphs,
    )


def tu(
    data: Path | None = None,
    *,
    name: Annotated[str | None, Field(description="the data set, where the folder holds several: MUTAG")] = None,
    nodes: Nodes = None,
) -> Problem[Graphs]:
    """Any TUDataset (Morris et al. 2020): NAME_A.txt and its neighbours, or NAME.npz. A seeded stratified split of 80/10/10."""
    if data is None:
        raise missing(
            "graph/tu", data, "the unpacked NAME_A.txt and its neighbours, or NAME.npz", "www.graphlearning.io"
        )
    return graph_problem(read_tu(data, name), nodes=nodes)


def mutag(data: Path | None = None, *, nodes: Nodes = None) -> Problem[Graphs]:
    """MUTAG (Debnath et al. 1991): 188 molecules, 2 classes."""
    return tu(data, name="MUTAG", nodes=nodes)


def proteins(data: Path | None = None, *, nodes: Nodes = None) -> Problem[Graphs]:
    """PROTEINS (Borgwardt et al. 2005): 1,113 proteins, 2 classes."""
    return tu(data, name="PROTEINS", nodes=nodes)


def ogbg_molhiv(data: Path | None = None, *, nodes: Nodes = None) -> Problem[Graphs]:
    """ogbg-molhiv (Hu et al. 2020): 41,127 molecules, 2 classes, split by scaffold; the unpacked ogbg_molhiv."""
    return _molecules(data, "ogbg-molhiv", nodes)


def ogbg_molbace(data: Path | None = None, *, nodes: Nodes = None) -> Problem[Graphs]:
    """ogbg-molbace (Hu et al. 2020): 1,513 molecules, 2 classes, split by scaffold; the unpacked ogbg_molbace."""
    return _molecules(data, "ogbg-molbace", nodes)


def ogbg_molbbbp(data: Path | None = None, *, nodes: Nodes = None) -> Problem[Graphs]:
    """ogbg-molbbbp (Hu et al. 2020): 2,039 molecules, 2 classes, split by scaffold; the unpacked ogbg_molbbbp."""
    return _molecules(data, "ogbg-molbbbp", nodes)


def _molecules(data: Path | None, name: str, nodes: int | None) -> Problem[Graphs]:
    if data is None:
        raise missing(
            name, data, f"the unpacked {name.replace('-', '_')} with its folders raw and split", "ogb.stanford.edu"
        )
    return graph_problem(read_ogb_graphs(data, name), nodes=nodes, auc=True)
