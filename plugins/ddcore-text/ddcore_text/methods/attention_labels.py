"""Attention labels (Maekawa et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ddcore.errors import NotSupported
from ddcore.methods import Method
from ddcore.options import Options

from .shared import without_words

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations import Synthetic
    from ddcore.problem import Problem

__all__ = ["ATTENTION_LABELS", "AttentionLabelsOptions"]


class AttentionLabelsOptions(Options):
    """Word vectors, labels, attention and step sizes. Defaults: section 4.1 and the code of Maekawa et al. 2023; `steps` is 30
    epochs of AG News in batches of 32, and the `paper` preset counts those of the problem."""

    steps: int = Field(112_500, ge=1, description="updates of the set")
    lr: float = Field(
        0.01, gt=0, description="learning rate of everything that is learned (AdamW, warm-up of a tenth, linear)"
    )
    train_steps: int = Field(1, ge=1, description="training steps of a network")
    per_step: int = Field(1, ge=1, description="rows of each class in a training step")
    step_size: float = Field(0.01, gt=0, description="where every learned step size starts")
    labels: Literal["soft", "unrestricted", "hard"] = Field(
        "soft", description="learned probabilities, learned values of any sign, or fixed classes"
    )
    attention: Literal["cls", "all", "none"] = Field(
        "cls", description="queries whose attention is a label: the first word, every word, or none"
    )
    certainty: float = Field(
        0.9, gt=0, lt=1, description="soft labels: probability of the own class that they start from"
    )
    n_real: int = Field(32, ge=1, description="real rows in an update")
    clip: float = Field(1.0, gt=0, description="most that the gradient's norm may be")
    start: Literal["real", "noise"] = Field("noise", description="where the set starts: random real texts, or noise")
    model: str | None = Field(
        None, description="network with attention; the checkpoint or the small Transformer by default"
    )


def _network(problem: Problem[Any], options: AttentionLabelsOptions) -> str:
    return options.model or ("checkpoint" if "checkpoint" in problem.models else "transformer")


def _ready(
    counts: Mapping[int, int], options: AttentionLabelsOptions, work: Work[Any], synthetic: Synthetic[Any]
) -> None:
    """Labels, attention and step sizes become learnable."""
    import torch

    from ddcore.seeds import generator

    from ..parametrizations import EmbeddingSequences

    batch = synthetic.batch()
    hard = work.problem.task.targets(batch)  # (rows, k)
    if options.labels == "soft":
        synthetic.learn_labels("probabilities", options.certainty * hard + (1 - options.certainty) / hard.shape[1])
    elif options.labels == "unrestricted":
        synthetic.learn_labels("values", hard)
    if options.attention != "none":
        model = _network(work.problem, options)
        with torch.no_grad():
            found = work.problem.new_model(work.rng("probe"), model)(batch).extras.get("attention")
        if found is None:
            raise NotSupported(f"{model} has no attention to label: choose a transformer of the zoo, or attention=none")
        n, layers, heads, t, _ = found.shape
        shape = (n, layers, heads, 1 if options.attention == "cls" else t, t)
        noise = torch.randn(shape, generator=generator(work.rng("attention")))
        assert isinstance(synthetic, EmbeddingSequences)
        synthetic.learn_attention(noise)
    blocks = -(-max(counts.values()) // options.per_step)
    synthetic.prescribe(options.train_steps * blocks, blocks, options.step_size)


def _plan(problem: Problem[Any], counts: Mapping[int, int], options: AttentionLabelsOptions) -> Plan:
    """Noise or random real texts, then back-propagation through the training that the set prescribes."""
    import torch

    from ddcore.methods.coresets import starting_rows
    from ddcore.methods.plan import Plan, Synthesise
    from ddcore.objectives.meta import BackpropThroughTraining
    from ddcore.objectives.networks import Fresh

    from .begin import shortened

    warm_up = max(options.steps // 10, 1)
    stage = Synthesise(
        BackpropThroughTraining(n_real=options.n_real, networks=Fresh(_network(problem, options))),
        options.steps,
        shortened(partial(torch.optim.AdamW, lr=options.lr, weight_decay=0.0), options.clip),
        ready=partial(_ready, counts, options),
        schedule=lambda step: min((step + 1) / warm_up, (options.steps - step) / (options.steps - warm_up + 1)),
    )
    return Plan((*starting_rows(options.start), stage))


def _quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Fewer updates with larger steps, of five training steps on the whole set, which starts from real texts."""
    every = max(counts.values())
    return {
        "steps": 300,
        "lr": 0.05,
        "train_steps": 5,
        "per_step": every,
        "step_size": 0.1,
        "start": "real",
        "n_real": 64,
    }


def _paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """30 epochs of the problem's own training texts."""
    return {"steps": 30 * -(-len(problem.data.ids()) // 32)}


ATTENTION_LABELS = Method(
    name="text/attention-labels",
    summary="Word vectors with labels for a network's attention, learned through training on them.",
    family="meta-learning",
    paper="Maekawa, Kobayashi, Funakoshi and Okumura, Dataset Distillation with Attention Labels for Fine-tuning BERT, ACL 2023",
    options=AttentionLabelsOptions,
    plan=_plan,
    presets={"quick": _quick, "paper": _paper},
    refuses=without_words,
)
