"""Real texts: the medoids of k-means, and what a language model finds likely (the baselines of DiLM)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods import Method
from ddcore.options import Options

from .shared import as_it_is

if TYPE_CHECKING:
    import random

    from torch import Tensor, nn

    from ddcore.methods.plan import Plan
    from ddcore.parametrizations import Selected
    from ddcore.problem import Problem
    from ddcore.rows import Rows

    from ..data import TextData

__all__ = ["K_MEDOIDS", "RANK_BY_LM", "medoids", "sure_medoids"]


class KMedoidsOptions(Options):
    """Real texts near the centres of their class."""

    encoder: str = Field(
        "problem",
        description='whose sentence vectors are clustered: the problem\'s own where it has some, else "corpus"; or "corpus", '
        '"minilm", a checkpoint',
    )


class RankByLMOptions(Options):
    """Real texts that a language model of the corpus finds likely in their class."""

    train_steps: int = Field(400, ge=1, description="training steps of the language model (32 texts each)")


def medoids(x: Tensor, k: int, rng: random.Random) -> list[int]:  # (n, d)
    """k-means (k-means++, 300 iterations, one start), then of each cluster the row nearest to its mean. Where fewer than k rows
    differ, the first of the others too."""
    import numpy as np
    from sklearn.cluster import KMeans

    points = x.double().cpu().numpy()
    if k >= len(points):
        return list(range(len(points)))
    distinct = len(np.unique(points, axis=0))
    fitted = KMeans(min(k, distinct), n_init=1, max_iter=300, random_state=rng.getrandbits(31)).fit(points)
    found = []
    for j in np.unique(fitted.labels_):
        own = np.flatnonzero(fitted.labels_ == j)
        found.append(int(own[np.square(points[own] - points[own].mean(0)).sum(1).argmin()]))
    return found + [i for i in range(len(points)) if i not in found][: k - len(found)]


def sure_medoids(
    judge: nn.Module, table: Tensor, texts: Rows, g: int, k: int, part: float, rng: random.Random
) -> list[int]:
    """Of the `part` of the texts (k at least) that `judge` is surest are of class g, the medoids by the mean of their vectors in
    `table` (V, d)."""
    from ..batch import Sentences
    from ..models.network import masked_mean

    assert isinstance(texts, Sentences)
    assert texts.mask is not None
    said = judge(texts).logits.log_softmax(1)[:, g]
    surest = said.argsort(descending=True, stable=True)[: max(round(part * len(said)), k)]
    x = masked_mean(table.to(texts.x.device)[texts.x], texts.mask)[surest]
    return surest[medoids(x, k, rng)].tolist()  # type: ignore[no-any-return]


def _vectors(data: TextData, encoder: str) -> Tensor:  # (n, d), of all texts
    from ..data import VectorData
    from ..sentence import sentence_vectors

    if encoder == "problem" and isinstance(data, VectorData):
        return data.x
    return sentence_vectors(data.corpus, "corpus" if encoder == "problem" else encoder, 64)[0]


def _k_medoids(problem: Problem[Any], counts: Mapping[int, int], options: KMedoidsOptions) -> Plan:
    from ddcore.methods.plan import Plan, Select
    from ddcore.parametrizations import Selected

    from ..data import text_data

    def choose(problem: Problem[Any], counts: Mapping[int, int], rng: random.Random) -> Selected[Any]:
        x = _vectors(text_data(problem.data), options.encoder)
        picked = {}
        for g, n in counts.items():
            ids = list(problem.data.ids(g))
            picked[g] = [ids[i] for i in medoids(x[ids], n, rng)]
        return Selected(problem.data, picked)

    return Plan((Select(choose),))


def _rank_by_lm(problem: Problem[Any], counts: Mapping[int, int], options: RankByLMOptions) -> Plan:
    import torch

    from ddcore.methods.plan import Plan, Select
    from ddcore.parametrizations import Selected

    from ..data import TokenData, text_data
    from ..language_model import corpus_language_model
    from ..tokens import corpus_space

    def choose(problem: Problem[Any], counts: Mapping[int, int], rng: random.Random) -> Selected[Any]:
        data = text_data(problem.data)
        own = data.space if isinstance(data, TokenData) else None
        space = own or corpus_space(data.corpus, length=64, vocabulary=10_000, width=64)
        model = corpus_language_model(space, data.corpus, options.train_steps)
        picked = {}
        for g, n in counts.items():
            ids = list(problem.data.ids(g))
            y = torch.full((len(ids),), g)
            tokens = space.bare(space.encode(data.texts(ids)))
            with torch.no_grad():
                rates = [model.rates(a, b) for a, b in zip(tokens.split(256), y.split(256), strict=True)]
            picked[g] = [ids[i] for i in torch.cat(rates).argsort(stable=True)[:n].tolist()]
        return Selected(problem.data, picked)

    return Plan((Select(choose),))


PAPER = "Maekawa, Kosugi, Funakoshi and Okumura, DiLM: Distilling Dataset into Language Model, NAACL Findings 2024 (a baseline)"
_method = partial(Method, family="selection", paper=PAPER, presets={"quick": as_it_is, "paper": as_it_is})
K_MEDOIDS = _method(
    name="text/k-medoids",
    summary="Real texts nearest to the k-means clusters of their class, by a frozen encoder.",
    options=KMedoidsOptions,
    plan=_k_medoids,
)
RANK_BY_LM = _method(
    name="text/rank-by-lm",
    summary="Real texts that a language model of the corpus finds most likely.",
    options=RankByLMOptions,
    plan=_rank_by_lm,
)
