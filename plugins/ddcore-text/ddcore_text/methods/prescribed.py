"""Sets of text that prescribe their training: TDD, and the two of Sahni and Patel, which put its vectors elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ddcore.methods import Method
from ddcore.options import Options

from .shared import as_it_is, without_single_texts, without_words

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Stage, Work
    from ddcore.parametrizations import Synthetic
    from ddcore.problem import Problem

__all__ = ["SKIP_LOOKUP", "TDD", "VOCAB_DISTILL", "SkipLookupOptions", "TDDOptions", "VocabDistillOptions"]


class TDDOptions(Options):
    """Text dataset distillation. Defaults: the runs of Sucholutsky and Schonlau 2021 with TextConvNet3 on IMDB, SST-5 and TREC;
    `steps` is their 100 epochs of IMDB in batches of 1,024."""

    steps: int = Field(2500, ge=1, description="updates of the set")
    lr: float = Field(
        0.01, gt=0, description="learning rate of vectors, labels and step sizes (Adam), halved ten times a run"
    )
    per_step: int = Field(10, ge=1, description="rows of each class in a training step: a data block")
    epochs: int = Field(5, ge=1, description="passes over the data blocks in one training")
    step_size: float = Field(0.01, gt=0, description="where every learned step size starts")
    labels: Literal["unrestricted", "soft", "hard"] = Field(
        "unrestricted", description="learned values of any sign, learned probabilities, or fixed classes"
    )
    certainty: float = Field(
        0.9, gt=0, lt=1, description="soft labels: probability of the own class that they start from"
    )
    n_real: int = Field(1024, ge=1, description="real rows in an update")
    start: Literal["real", "noise"] = Field("noise", description="where the set starts: random real texts, or noise")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def _ready(counts: Mapping[int, int], options: TDDOptions, work: Work[Any], synthetic: Synthetic[Any]) -> None:
    """Labels and step sizes become learnable."""
    hard = work.problem.task.targets(synthetic.batch())  # (rows, k)
    if options.labels == "unrestricted":
        synthetic.learn_labels("values", hard)
    elif options.labels == "soft":
        synthetic.learn_labels("probabilities", options.certainty * hard + (1 - options.certainty) / hard.shape[1])
    blocks = -(-max(counts.values()) // options.per_step)
    synthetic.prescribe(options.epochs * blocks, blocks, options.step_size)


def _through_training(
    counts: Mapping[int, int], options: TDDOptions, model: str | None, start: tuple[Stage, ...]
) -> Plan:
    """The start, then back-propagation through the training that the set prescribes."""
    import torch

    from ddcore.methods.plan import Plan, Synthesise
    from ddcore.objectives.meta import BackpropThroughTraining
    from ddcore.objectives.networks import Fresh

    stage = Synthesise(
        BackpropThroughTraining(n_real=options.n_real, networks=Fresh(model)),
        options.steps,
        partial(torch.optim.Adam, lr=options.lr),
        ready=partial(_ready, counts, options),
        schedule=lambda step: 0.5 ** (10 * step // options.steps),
    )
    return Plan((*start, stage))


# ---------------------------------------------------------------------------------------------------------------------
# TDD


def _tdd(problem: Problem[Any], counts: Mapping[int, int], options: TDDOptions) -> Plan:
    from ddcore.methods.coresets import starting_rows

    return _through_training(counts, options, options.model, starting_rows(options.start))


def _tdd_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Fewer updates with larger steps, of longer trainings, from real texts."""
    return {"steps": 150, "lr": 0.05, "n_real": 128, "start": "real", "step_size": 0.02, "epochs": 20, "labels": "soft"}


PAPER_TDD = "Sucholutsky and Schonlau, Soft-Label Dataset Distillation and Text Dataset Distillation, IJCNN 2021"
PAPER_SAHNI = "Sahni and Patel, Exploring Multilingual Text Data Distillation, arXiv 2023"

TDD = Method(
    name="text/tdd",
    summary="Word vectors, labels and step sizes, learned through training on them.",
    family="meta-learning",
    paper=f"{PAPER_TDD}; Li and Li, Data Distillation for Text Classification, arXiv 2021",
    options=TDDOptions,
    plan=_tdd,
    presets={"quick": _tdd_quick, "paper": as_it_is},
    refuses=without_words,
)


# ---------------------------------------------------------------------------------------------------------------------
# Sahni and Patel: the learner stands behind a frozen encoder


class SkipLookupOptions(TDDOptions):
    """Vectors that skip the lookup and go through the encoder. Defaults: the command of Sahni and Patel 2023; `steps` is its 25
    epochs of 14,000 tweets in batches of 1,024, rounded up."""

    steps: int = Field(350, ge=1, description="updates of the set")
    model: str = Field("encoder-cnn", description="network of the problem's zoo")


class VocabDistillOptions(SkipLookupOptions):
    """A distribution over the vocabulary at every position. Defaults: the command of Sahni and Patel 2023."""

    relaxation: Literal["softmax", "gumbel"] = Field(
        "softmax",
        description="the expected vector of the distribution, or a word drawn from it (straight-through Gumbel)",
    )
    temperature: float = Field(1.0, gt=0, description="of the softmax")


def _skip_lookup(problem: Problem[Any], counts: Mapping[int, int], options: SkipLookupOptions) -> Plan:
    from ddcore.methods.coresets import starting_rows

    return _through_training(counts, options, options.model, starting_rows(options.start))


def _vocab_distill(problem: Problem[Any], counts: Mapping[int, int], options: VocabDistillOptions) -> Plan:
    from ..data import token_space
    from ..parametrizations.vocabulary import vocabulary_set
    from .begin import Begin

    def begin(work: Work[Any]) -> Synthetic[Any]:
        rows = None
        if options.start == "real":
            from ddcore.parametrizations import Selected

            rows = Selected.random(work.problem.data, work.counts, work.rng("select")).batch()
        how = {"relaxation": options.relaxation, "temperature": options.temperature}
        return vocabulary_set(token_space(work.problem), work.counts, rows, work.rng("start"), **how)

    return _through_training(counts, options, options.model, (Begin(begin),))


def _behind_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Fewer updates with larger steps, of longer trainings, from real texts."""
    return {"steps": 100, "lr": 0.05, "n_real": 64, "start": "real", "step_size": 0.02, "epochs": 20, "labels": "soft"}


def _vocab_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The same; logits move faster than vectors."""
    return {**_behind_quick(problem, counts), "lr": 0.5}


SKIP_LOOKUP = Method(
    name="text/skip-lookup",
    summary="Input vectors of a frozen encoder, learned through the training of what stands behind it.",
    family="meta-learning",
    paper=PAPER_SAHNI,
    options=SkipLookupOptions,
    plan=_skip_lookup,
    presets={"quick": _behind_quick, "paper": as_it_is},
    refuses=without_words,
)
VOCAB_DISTILL = Method(
    name="text/vocab-distill",
    summary="Distributions over the vocabulary, learned the same way and read as words.",
    family="meta-learning",
    paper=PAPER_SAHNI,
    options=VocabDistillOptions,
    plan=_vocab_distill,
    presets={"quick": _vocab_quick, "paper": as_it_is},
    refuses=without_single_texts,
)
