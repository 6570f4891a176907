"""Distillation in the space of sentence vectors (Tao et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ddcore.methods import Method
from ddcore.options import Options

from .shared import as_it_is

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations import Synthetic
    from ddcore.problem import Problem

__all__ = ["LM_EMBEDDING", "LMEmbeddingOptions"]


class LMEmbeddingOptions(Options):
    """Centres of clusters in the space of an encoder. The paper's settings are not public beyond its abstract; these are ours."""

    decode: Literal["vectors", "nearest"] = Field(
        "vectors", description="the set is the centres themselves, or the real texts that are nearest to them"
    )
    shrink: float = Field(0.0, ge=0, le=1, description="how far centres are drawn towards the mean of their class")


def _plan(problem: Problem[Any], counts: Mapping[int, int], options: LMEmbeddingOptions) -> Plan:
    import torch

    from ddcore.methods.plan import Plan
    from ddcore.parametrizations import Selected
    from ddcore.rows import RowSynthetic

    from .begin import Begin

    def begin(work: Work[Any]) -> Synthetic[Any]:
        from sklearn.cluster import KMeans

        rng, centres, picked = work.rng("centres"), [], {}
        for g, n in work.counts.items():
            ids = list(work.problem.data.ids(g))
            x = work.problem.data.take(ids).x.cpu()
            fitted = KMeans(n, n_init=4, random_state=rng.getrandbits(31)).fit(x.double().numpy())
            found = torch.from_numpy(fitted.cluster_centers_).to(x.dtype).lerp(x.mean(0), options.shrink)
            centres.append(found)
            picked[g] = _nearest(found, x, ids)
        if options.decode == "nearest":
            return Selected(work.problem.data, picked)
        return RowSynthetic(work.counts, torch.cat(centres))

    return Plan((Begin(begin),))


def _nearest(centres: Any, x: Any, ids: list[int]) -> list[int]:
    """The row nearest to each centre; no row stands for two."""
    import torch

    distance, found = torch.cdist(centres, x), []
    for row in distance:
        found.append(ids[int(row.argmin())])
        distance[:, ids.index(found[-1])] = torch.inf
    return found


def _without_vectors(problem: Problem[Any]) -> str | None:
    from ..data import VectorData, text_data

    return None if isinstance(text_data(problem.data), VectorData) else 'its rows are tokens: space = "sentence"'


LM_EMBEDDING = Method(
    name="text/lm-embedding",
    summary="Centres of each class in the space of a frozen encoder, read as the nearest text.",
    family="distribution matching",
    paper="Tao, Kong, Kan and Callot, Textual Dataset Distillation via Language Model Embedding, EMNLP Findings 2024",
    options=LMEmbeddingOptions,
    plan=_plan,
    presets={"quick": as_it_is, "paper": as_it_is},
    refuses=_without_vectors,
)
