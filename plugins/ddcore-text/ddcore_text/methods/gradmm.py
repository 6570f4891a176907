"""GRADMM: vectors that match gradients and end as words (Nguyen et al. 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ddcore.methods import Method
from ddcore.options import Options

from .shared import as_it_is, without_single_texts

if TYPE_CHECKING:
    from torch import Tensor

    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations import Synthetic
    from ddcore.problem import Problem

    from ..language_model import LanguageModel
    from ..tokens import TokenSpace

__all__ = ["GRADMM", "GradMMOptions", "readable"]


class GradMMOptions(Options):
    """Gradient matching under the constraint that rows are words. Defaults: the code of Nguyen et al. 2025."""

    outer: int = Field(30, ge=1, description="rounds of the method of multipliers")
    inner: int = Field(50, ge=1, description="updates of the vectors in a round")
    lr: float = Field(8e-3, gt=0, description="learning rate of the vectors (Adam)")
    rho: float = Field(
        0.1, gt=0, description="how strongly vectors are drawn to words; swept from 0.01 to 5 in the paper"
    )
    top_k: int = Field(200, ge=1, description="nearest words that the language model chooses from; 1: the nearest")
    words: int = Field(
        30, ge=1, description="words of a text where the set starts from noise, at most what a text may have"
    )
    clip: float = Field(1.0, gt=0, description="most that the gradient's norm may be")
    n_real: int = Field(100, ge=1, description="real texts of each class whose gradient is matched")
    before: int = Field(
        200, ge=0, description="training steps of the network on real texts (64 each), before it is matched"
    )
    lm_steps: int = Field(400, ge=0, description="training steps of the language model (32 real texts each)")
    start: Literal["real", "noise"] = Field("noise", description="where the set starts: random real texts, or noise")
    overgenerate: int = Field(1, ge=1, description="texts that are made for each one that is kept")
    surest: float = Field(
        1.0, gt=0, le=1, description="part of these that is chosen from: those that are surest of their class"
    )
    judge_steps: int = Field(200, ge=0, description="training steps of the network that says so (64 real texts each)")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def readable(
    space: TokenSpace, model: LanguageModel, x: Tensor, mask: Tensor, y: Tensor, top_k: int
) -> Tensor:  # (n, t, d), (n, t), (n,) -> (n, t)
    """Token ids, from left to right: of the `top_k` words nearest to a vector by cosine, the one that the language model finds
    most likely after what was chosen. What begins and what ends every text stays."""
    import torch
    import torch.nn.functional as F

    table, a, b = space.table.to(x), len(space.beginning), len(space.ending)
    x, n = x[:, a : x.shape[1] - b], mask.sum(1, keepdim=True) - a - b
    near = F.normalize(x, dim=-1) @ F.normalize(table, dim=-1).T  # (n, t, V)
    near[..., sorted(space.special)] = -torch.inf
    candidates = near.topk(min(top_k, near.shape[-1] - len(space.special)), dim=-1).indices  # (n, t, k)
    ids = torch.full(x.shape[:2], space.pad, device=x.device)
    e, state = model.classes(y).unsqueeze(1), None
    for t in range(x.shape[1]):
        out, state = model.gru(e, state)
        likely = model.logits(out[:, 0], y).gather(1, candidates[:, t])
        ids[:, t] = candidates[:, t].gather(1, likely.argmax(1, keepdim=True)).squeeze(1)
        e = model.table[ids[:, t]].unsqueeze(1)
    inner = torch.arange(x.shape[1], device=x.device) < n
    return space.framed(ids.masked_fill(~inner, space.pad), inner)[0]


def _plan(problem: Problem[Any], counts: Mapping[int, int], options: GradMMOptions) -> Plan:
    """The start; rounds of matching and projecting; the words, and which texts are kept."""
    import torch

    from ddcore.methods.plan import Plan, Synthesise
    from ddcore.parametrizations import Selected

    from ..data import text_data, token_space
    from ..language_model import corpus_language_model
    from ..objectives import NearWords, trained_on_real
    from ..parametrizations import EmbeddingSequences, WrittenTexts
    from .begin import Begin, shortened
    from .selection import sure_medoids

    space = token_space(problem)

    def real(work: Work[Any]) -> Synthetic[Any]:
        data, rng = work.problem.data, work.rng("select")
        many = {g: max(min(n * options.overgenerate, len(data.ids(g))), n) for g, n in work.counts.items()}
        return work.problem.synthetic(many, Selected.random(data, many, rng).batch(), work.rng("start"))

    def noise(work: Work[Any]) -> Synthetic[Any]:
        many = {g: n * options.overgenerate for g, n in work.counts.items()}
        made = work.problem.synthetic(many, None, work.rng("start"))
        assert isinstance(made, EmbeddingSequences)
        t = min(options.words, space.room)
        x = made.x.detach()[:, :t]
        x, mask = space.framed(x, torch.ones(x.shape[:2], dtype=torch.bool))
        return EmbeddingSequences(many, x, mask)

    def words(work: Work[Any], x: Tensor) -> Tensor:  # (n, t)
        made = work.synthetic
        assert isinstance(made, EmbeddingSequences)
        model = corpus_language_model(space, text_data(work.problem.data).corpus, options.lm_steps).to(x.device)
        y = torch.tensor([g for g, n in made.counts.items() for _ in range(n)], device=x.device)
        with torch.no_grad():
            return readable(space, model, x, made.mask, y, options.top_k)

    def objective(work: Work[Any]) -> NearWords:
        return NearWords(
            lambda v: space.table.to(v)[words(work, v)],
            inner=options.inner,
            rho=options.rho,
            n_real=options.n_real,
            before=options.before,
            model=options.model,
        )

    def written(work: Work[Any]) -> Synthetic[Any]:
        vectors, rng, texts = work.synthetic, work.rng("write"), []
        assert isinstance(vectors, EmbeddingSequences)
        made = WrittenTexts(
            space, vectors.counts, [space.decode(row) for row in words(work, vectors.x.detach()).tolist()]
        )
        judge = trained_on_real(work.problem, work.rng("judge"), options.judge_steps, options.model).eval()
        for g, n in work.counts.items():
            ids = made.ids(g)
            chosen = sure_medoids(judge, space.table, made.batch(g), g, n, options.surest, rng)
            texts += [made.texts[ids[i]] for i in chosen]
        return WrittenTexts(space, work.counts, texts)

    adam = shortened(partial(torch.optim.Adam, lr=options.lr), options.clip)
    start = Begin(real if options.start == "real" else noise)
    return Plan((start, Synthesise(objective, options.outer * options.inner, adam), Begin(written)))


def _quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Fewer rounds with larger updates, from real texts; a weaker pull, since the table's vectors are of unit scale, and fewer
    words to choose from, since a corpus has a tenth of a checkpoint's. Many texts lose their class: ten are made for each, fewer
    where these are more than a hundred."""
    short = {"outer": 24, "inner": 15, "n_real": 64, "before": 60, "lm_steps": 250}
    chosen = {"overgenerate": min(max(100 // sum(counts.values()), 2), 10), "surest": 0.25}
    return {**short, **chosen, "lr": 0.05, "rho": 0.002, "top_k": 5, "start": "real"}


GRADMM = Method(
    name="text/gradmm",
    summary="Vectors match the classifier's gradient while they are drawn to words that read well.",
    family="gradient matching",
    paper="Nguyen, Li, Bateni, Mirrokni, Razaviyayn and Mirzasoleiman, Synthetic Text Generation for Training Large Language "
    "Models via Gradient Matching, ICML 2025",
    options=GradMMOptions,
    plan=_plan,
    presets={"quick": _quick, "paper": as_it_is},
    needs=("language model",),
    refuses=without_single_texts,
)
