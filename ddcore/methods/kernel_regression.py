"""KIP and its relatives: ridge regression on the set predicts real rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import cos, pi, sqrt
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..options import Options
from .base import Method, fixed_labels

if TYPE_CHECKING:
    from ..parametrizations.base import Synthetic
    from ..problem import Problem
    from .plan import Plan, Work

__all__ = [
    "FREPO",
    "KIP",
    "LS",
    "RCIG",
    "RFAD",
    "FRePoOptions",
    "KIPOptions",
    "LSOptions",
    "RCIGOptions",
    "RFADOptions",
]

Labels = Literal["learned", "fixed"]


# ---------------------------------------------------------------------------------------------------------------------
# labels


def _one_of_k(problem: Problem[Any]) -> bool:
    """Whether targets are one of k classes, so that they are centred."""
    y = problem.task.targets(problem.data.take(list(problem.data.ids())[:100]))
    return bool((y.max(1).values == 1).all() and (y.sum(1) == 1).all())


def _labels(problem: Problem[Any]) -> Labels:
    """Learned, where the problem's set can learn them and predictions are of one of k classes."""
    return "learned" if fixed_labels(problem) is None and _one_of_k(problem) else "fixed"


def _ready(labels: Labels, scale: Callable[[int], float]) -> Callable[[Work[Any], Synthetic[Any]], None]:
    """Centred one-hot labels over `scale(k)` that are learned as values; or labels as they are."""

    def ready(work: Work[Any], synthetic: Synthetic[Any]) -> None:
        from ..kernels import targets

        if labels == "learned" and synthetic.label_kind != "values":
            y = targets(work.problem, synthetic.batch(), _one_of_k(work.problem)).detach()
            synthetic.learn_labels("values", y / scale(y.shape[1]))

    return ready


def _without_kernels(problem: Problem[Any]) -> str | None:
    return None if problem.kernels else "it has no kernels (`problem.kernels` is empty); frepo and rfad need none"


# ---------------------------------------------------------------------------------------------------------------------
# a kernel of infinite width


class KIPOptions(Options):
    """Kernel inducing points. Defaults: Nguyen et al. 2021, their published notebook."""

    steps: int = Field(1000, ge=1, description="updates of the set")
    lr: float = Field(0.04, gt=0, description="learning rate of the set (Adam)")
    lr_labels: float = Field(0.04, gt=0, description="learning rate of learned labels (Adam)")
    kernel: str = Field(
        "fc-ntk", description="the problem's kernels that one is drawn from in each update, with commas between"
    )
    labels: Labels = Field("fixed", description="whether labels are learned (squared error, may be negative) or stay")
    n_real: int = Field(5000, ge=1, description="real rows in an update")
    reg: float = Field(1e-6, ge=0, description="ridge, as a part of the kernel's mean diagonal")
    start: Literal["real", "noise"] = Field("real", description="where the set starts: random real rows, or noise")


def _kip(problem: Problem[Any], counts: Mapping[int, int], options: KIPOptions) -> Plan:
    import torch

    from ..objectives.kernel import Infinite, KernelRegression
    from .coresets import starting_rows
    from .optimisers import per_group
    from .plan import Plan, Synthesise

    kernel = Infinite(tuple(options.kernel.split(",")))
    objective = KernelRegression(kernel, options.n_real, options.reg, centre=_one_of_k(problem))
    adam = per_group(torch.optim.Adam, {"rows": options.lr, "labels": options.lr_labels})
    ready = _ready(options.labels, lambda k: 1.0)
    return Plan((*starting_rows(options.start), Synthesise(objective, options.steps, adam, ready=ready)))


def _kip_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """300 updates on 512 real rows at half the learning rate, with the problem's first kernel."""
    return {"steps": 300, "lr": 0.02, "n_real": 512, "kernel": next(iter(problem.kernels))}


def _kip_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The notebook's settings, with the problem's first kernel."""
    return {"kernel": next(iter(problem.kernels))}


KIP = Method(
    name="kip",
    summary="Kernel inducing points: infinite-width kernel regression on the set predicts real rows.",
    family="kernel regression",
    paper="Nguyen, Chen and Lee, Dataset Meta-Learning from Kernel Ridge-Regression, ICLR 2021",
    options=KIPOptions,
    plan=_kip,
    presets={"quick": _kip_quick, "paper": _kip_paper},
    needs=("kernels",),
    refuses=_without_kernels,
)


class LSOptions(Options):
    """Label solve: random real rows, whose labels are solved for. Defaults: Nguyen et al. 2021, their published notebook."""

    kernel: str = Field("fc-ntk", description="a kernel of the problem")
    reg: float = Field(1e-6, ge=0, description="ridge, as a part of the kernel's mean diagonal")


def _ls(problem: Problem[Any], counts: Mapping[int, int], options: LSOptions) -> Plan:
    from .coresets import starting_rows
    from .plan import Label, Plan

    def solve(work: Work[Any]) -> None:
        from ..errors import UnknownName, choices
        from ..objectives.kernel import solve_labels

        if options.kernel not in problem.kernels:
            raise UnknownName(
                f"no kernel {options.kernel!r} in {problem.name}.{choices(options.kernel, problem.kernels)}"
            )
        assert work.synthetic is not None
        made = work.problem.synthetic(work.counts, work.synthetic.batch(rng=work.rng("decode")), work.rng("start"))
        made = made.to(work.problem.device)
        kernel = work.problem.kernels[options.kernel]
        y = solve_labels(work.problem, made, kernel, options.reg, centre=_one_of_k(problem))
        work.synthetic = made.learn_labels("values", y)

    return Plan((*starting_rows("real"), Label(solve)))


def _ls_preset(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The problem's first kernel."""
    return {"kernel": next(iter(problem.kernels))}


def _without_labels_or_kernels(problem: Problem[Any]) -> str | None:
    return fixed_labels(problem) or _without_kernels(problem)


LS = Method(
    name="ls",
    summary="Label solve: real rows with the labels from which kernel regression predicts best.",
    family="kernel regression",
    paper="Nguyen, Chen and Lee, Dataset Meta-Learning from Kernel Ridge-Regression, ICLR 2021",
    options=LSOptions,
    plan=_ls,
    presets={"quick": _ls_preset, "paper": _ls_preset},
    needs=("kernels",),
    refuses=_without_labels_or_kernels,
)


# ---------------------------------------------------------------------------------------------------------------------
# kernels of networks


class RFADOptions(Options):
    """Random features. Defaults: Loo et al. 2022, the published code."""

    steps: int = Field(10_000, ge=1, description="updates of the set")
    lr: float = Field(1e-3, gt=0, description="learning rate of rows and labels (Adam)")
    networks: int = Field(8, ge=1, description="random networks in an update")
    loss: Literal["platt", "squared"] = Field(
        "platt", description="the task's loss of scaled predictions, or the squared error"
    )
    lr_scale: float = Field(1e-2, gt=0, description="learning rate of the scale of the predictions (platt)")
    labels: Labels = Field("learned", description="whether labels are learned (squared error, may be negative) or stay")
    n_real: int = Field(1280, ge=1, description="real rows in an update")
    reg: float = Field(5e-3, ge=0, description="ridge, as a part of the kernel's mean diagonal")
    start: Literal["real", "noise"] = Field("real", description="where the set starts: random real rows, or noise")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def _rfad(problem: Problem[Any], counts: Mapping[int, int], options: RFADOptions) -> Plan:
    import torch

    from ..objectives.kernel import FeatureKernels, KernelRegression, Platt, Squared
    from ..objectives.networks import SideBySide
    from .coresets import starting_rows
    from .optimisers import per_group
    from .plan import Plan, Synthesise

    kernel = FeatureKernels(SideBySide(options.networks, options.model), bias=0.01)
    loss = Platt(options.lr_scale) if options.loss == "platt" else Squared()
    objective = KernelRegression(kernel, options.n_real, options.reg, loss, centre=_one_of_k(problem))
    adam = per_group(torch.optim.Adam, {"rows": options.lr})
    ready = _ready(options.labels, lambda k: 1.0)
    return Plan((*starting_rows(options.start), Synthesise(objective, options.steps, adam, ready=ready)))


def _plain(problem: Problem[Any]) -> str | None:
    """The network without normalisation, where the zoo has one: the paper's."""
    return "convnet-no-norm" if "convnet-no-norm" in problem.models else None


def _rfad_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """300 updates, ten times the learning rate, 256 real rows."""
    learned = {"labels": _labels(problem), "model": _plain(problem)}
    return {"steps": 300, "lr": 1e-2, "n_real": 256, "networks": 4, **learned}


def _rfad_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The paper's networks have no normalisation."""
    return {"labels": _labels(problem), "model": _plain(problem)}


RFAD = Method(
    name="rfad",
    summary="Random feature approximation: regression on many random networks predicts real rows.",
    family="kernel regression",
    paper="Loo, Hasani, Amini and Rus, Efficient Dataset Distillation using Random Feature Approximation, NeurIPS 2022",
    options=RFADOptions,
    plan=_rfad,
    presets={"quick": _rfad_quick, "paper": _rfad_paper},
)


class FRePoOptions(Options):
    """Neural feature regression with pooling. Defaults: Zhou et al. 2022, the published code."""

    steps: int = Field(500_000, ge=1, description="updates of the set")
    lr: float = Field(
        3e-4, gt=0, description="learning rate of rows and labels (LAMB), which falls to a tenth along a cosine"
    )
    networks: int = Field(10, ge=1, description="networks of different ages in the pool")
    life: int = Field(100, ge=0, description="training steps of a network until a fresh one takes its place")
    lr_net: float = Field(3e-4, gt=0, description="learning rate of the networks (Adam)")
    margin: float = Field(
        1.0, ge=0, description="weight of the term that keeps the largest learned label ahead of the second"
    )
    labels: Labels = Field("learned", description="whether labels are learned (squared error, may be negative) or stay")
    n_real: int = Field(1024, ge=1, description="real rows in an update")
    reg: float = Field(1e-6, ge=0, description="ridge, as a part of the kernel's mean diagonal")
    start: Literal["real", "noise"] = Field("real", description="where the set starts: random real rows, or noise")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def _frepo(problem: Problem[Any], counts: Mapping[int, int], options: FRePoOptions) -> Plan:
    from ..objectives.kernel import FeatureKernels, KernelRegression
    from ..objectives.networks import Pool
    from .coresets import starting_rows
    from .lamb import LAMB
    from .optimisers import per_group
    from .plan import Plan, Synthesise

    pool = Pool(options.networks, options.life, "adam", options.lr_net, size=500, model=options.model)
    margin = options.margin if options.labels == "learned" else 0.0
    objective = KernelRegression(
        FeatureKernels(pool), options.n_real, options.reg, margin=margin, centre=_one_of_k(problem)
    )
    lamb = per_group(LAMB, {"rows": options.lr})
    ready = _ready(options.labels, lambda k: sqrt(k / 10))

    def cosine(step: int) -> float:
        return 0.1 + 0.45 * (1 + cos(pi * step / options.steps))

    return Plan(
        (*starting_rows(options.start), Synthesise(objective, options.steps, lamb, ready=ready, schedule=cosine))
    )


def _frepo_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """600 updates at thirty times the learning rate, 256 real rows."""
    return {"steps": 600, "lr": 1e-2, "n_real": 256, "labels": _labels(problem)}


def _frepo_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The published code's settings."""
    return {"labels": _labels(problem)}


FREPO = Method(
    name="frepo",
    summary="Neural feature regression with a pool of networks that are trained on the set.",
    family="kernel regression",
    paper="Zhou, Nezhadarya and Ba, Dataset Distillation using Neural Feature Regression, NeurIPS 2022",
    options=FRePoOptions,
    plan=_frepo,
    presets={"quick": _frepo_quick, "paper": _frepo_paper},
)


class RCIGOptions(Options):
    """Reparameterised convex implicit gradients. Defaults: Loo et al. 2023, the published code."""

    steps: int = Field(10_000, ge=1, description="updates of the set")
    lr: float = Field(3e-3, gt=0, description="learning rate of rows and labels (Adam)")
    lr_scale: float = Field(0.03, gt=0, description="learning rate of the scale of the predictions (Adam)")
    solve: int = Field(20, ge=0, description="conjugate gradients of each of the two linear systems")
    decay: float = Field(5e-4, gt=0, description="weight decay of the linearised network, for each row of the set")
    networks: int = Field(30, ge=1, description="networks of different ages in the pool")
    life: int = Field(100, ge=0, description="training steps of a network until a fresh one takes its place")
    lr_net: float = Field(5e-5, gt=0, description="learning rate of the networks (Adam)")
    margin: float = Field(
        1.0, ge=0, description="weight of the term that keeps the largest learned label ahead of the second"
    )
    averaging: float = Field(0.99, ge=0, lt=1, description="decay of the moving average that is the result")
    labels: Labels = Field("learned", description="whether labels are learned (squared error, may be negative) or stay")
    n_real: int = Field(1024, ge=1, description="real rows in an update")
    start: Literal["real", "noise"] = Field("real", description="where the set starts: random real rows, or noise")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


def _rcig(problem: Problem[Any], counts: Mapping[int, int], options: RCIGOptions) -> Plan:
    import torch

    from ..objectives.implicit import ImplicitRegression
    from ..objectives.kernel import Platt
    from ..objectives.networks import Pool
    from .coresets import starting_rows
    from .optimisers import per_group
    from .plan import Plan, Synthesise

    objective = ImplicitRegression(
        Pool(options.networks, options.life, "adam", options.lr_net, size=500, model=options.model),
        options.n_real,
        options.decay,
        options.solve,
        Platt(options.lr_scale),
        options.margin if options.labels == "learned" else 0.0,
        _one_of_k(problem),
    )
    adam, ready = per_group(torch.optim.Adam, {"rows": options.lr}), _ready(options.labels, lambda k: 1.0)
    synthesise = Synthesise(objective, options.steps, adam, ready=ready, averaging=options.averaging)
    return Plan((*starting_rows(options.start), synthesise))


def _rcig_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """150 updates at ten times the learning rate, 256 real rows, four conjugate gradients, ten networks."""
    fewer = {"steps": 150, "lr": 0.03, "n_real": 256, "solve": 4, "networks": 10, "averaging": 0.95}
    return {**fewer, "labels": _labels(problem), "model": _plain(problem)}


def _rcig_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The published code's settings; the paper's networks have no normalisation."""
    return {"labels": _labels(problem), "model": _plain(problem)}


RCIG = Method(
    name="rcig",
    summary="Implicit gradients through linearised networks whose last layer is a ridge regression.",
    family="kernel regression",
    paper="Loo, Hasani, Lechner and Rus, Dataset Distillation with Convexified Implicit Gradients, ICML 2023",
    options=RCIGOptions,
    plan=_rcig,
    presets={"quick": _rcig_quick, "paper": _rcig_paper},
)
