"""DiLM: a language model that learns to write training texts (Maekawa et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods import Method
from ddcore.options import Options

from .shared import as_it_is, without_single_texts

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations import Synthetic
    from ddcore.problem import Problem

__all__ = ["DILM", "DiLMOptions"]


class DiLMOptions(Options):
    """Generator training, gradient matching through the probability of what it writes, then the medoids of what it wrote.
    Defaults: section 4.1 and the code of Maekawa et al. 2024, whose generator is GPT-2."""

    train_steps: int = Field(80_000, ge=0, description="training steps of the generator on the real texts (32 each)")
    steps: int = Field(20_000, ge=1, description="updates of the generator by gradient matching")
    lr: float = Field(3e-7, gt=0, description="learning rate of these updates (AdamW, warm-up of a twentieth, cosine)")
    n_syn: int = Field(64, ge=1, description="written texts of each class in an update")
    n_real: int = Field(200, ge=1, description="real texts of each class in an update")
    temperature: float = Field(1.0, gt=0, description="of the softmax that turns losses into weights")
    outer: int = Field(10, ge=1, description="updates along the training of one network")
    inner: int = Field(20, ge=1, description="minibatches of real texts between two updates")
    lr_net: float = Field(0.01, gt=0, description="learning rate of that training (SGD, momentum 0.9)")
    overgenerate: int = Field(100, ge=1, description="texts that are written for each one that is kept")
    surest: float = Field(
        1.0, gt=0, le=1, description="part of these that is chosen from: those that are surest of their class"
    )
    judge_steps: int = Field(200, ge=0, description="training steps of the network that says so (64 real texts each)")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def _plan(problem: Problem[Any], counts: Mapping[int, int], options: DiLMOptions) -> Plan:
    """The generator on real texts; gradient matching; writing."""
    import math
    from functools import partial

    import torch

    from ddcore.methods.plan import Plan, Synthesise
    from ddcore.objectives.networks import TrainedOnReal

    from ..data import text_data, token_space
    from ..language_model import corpus_language_model
    from ..objectives import GeneratorMatching
    from ..parametrizations import GeneratedTexts
    from .begin import Begin, shortened

    def begin(work: Work[Any]) -> Synthetic[Any]:
        space = token_space(work.problem)
        model = corpus_language_model(space, text_data(work.problem.data).corpus, options.train_steps)
        return GeneratedTexts(space, work.counts, model)

    def rate(step: int) -> float:
        warm_up = max(options.steps // 20, 1)
        return min((step + 1) / warm_up, 0.5 + 0.5 * math.cos(math.pi * step / options.steps))

    networks = TrainedOnReal(
        outer=options.outer, steps=options.inner, lr=options.lr_net, size=64, augment=None, model=options.model
    )
    objective = GeneratorMatching(options.n_syn, options.n_real, options.temperature, networks)
    adamw = shortened(partial(torch.optim.AdamW, lr=options.lr, weight_decay=0.01), 1.0)
    match = Synthesise(objective, options.steps, adamw, schedule=rate)
    return Plan((Begin(begin), match, Begin(lambda work: _written(work, options))))


def _written(work: Work[Any], options: DiLMOptions) -> Synthetic[Any]:
    """Of many written texts those that are surely of their class, and of these the medoids by the mean of their word vectors."""
    import torch

    from ..objectives import trained_on_real
    from ..parametrizations import GeneratedTexts, WrittenTexts
    from .selection import sure_medoids

    made = work.synthetic
    assert isinstance(made, GeneratedTexts)
    space, rng, texts = made.space, work.rng("write"), []
    judge = trained_on_real(work.problem, work.rng("judge"), options.judge_steps, options.model).eval()
    for g, n in work.counts.items():
        y = torch.full((n * options.overgenerate,), g, device=work.problem.device)
        batch = made.sentences(made.write(y, rng), y)
        chosen = sure_medoids(judge, space.table, batch, g, n, options.surest, rng)
        texts += [space.decode(batch.x[i].tolist()) for i in chosen]
    return WrittenTexts(space, work.counts, texts)


def _quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """A small generator, trained from scratch, with few and larger updates; what it writes is often of no class."""
    return {"train_steps": 500, "steps": 100, "lr": 1e-4, "n_real": 64, "inner": 5, "overgenerate": 40, "surest": 0.25}


DILM = Method(
    name="text/dilm",
    summary="A language model learns to write texts whose gradients are those of real ones.",
    family="gradient matching",
    paper="Maekawa, Kosugi, Funakoshi and Okumura, DiLM: Distilling Dataset into Language Model for Text-level Dataset "
    "Distillation, NAACL Findings 2024",
    options=DiLMOptions,
    plan=_plan,
    presets={"quick": _quick, "paper": as_it_is},
    needs=("generator",),
    refuses=without_single_texts,
)
