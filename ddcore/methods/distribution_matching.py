"""Methods that match more of a class than the mean of its last features: layers, covariances, what trained networks say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ..options import Options
from .base import Method, augmented, siamese

if TYPE_CHECKING:
    from ..problem import Problem
    from .plan import Experts, Plan, Stage, Work

__all__ = [
    "CAFE",
    "DANCE",
    "DATADAM",
    "DSDM",
    "IID",
    "CAFEOptions",
    "DANCEOptions",
    "DSDMOptions",
    "DataDAMOptions",
    "ExpertOptions",
    "FeatureOptions",
    "IIDOptions",
]

FAMILY = "distribution matching"


class FeatureOptions(Options):
    """What the methods of the family share."""

    steps: int = Field(20_000, ge=1, description="updates of the set")
    lr: float = Field(1.0, gt=0, description="learning rate of the set (SGD, momentum 0.5)")
    start: Literal["real", "noise"] = Field("real", description="where the set starts: random real rows, or noise")
    n_real: int = Field(256, ge=1, description="real rows of each group in an update")
    augment: Literal["match", "none"] = Field("match", description="siamese augmentation, or none")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


class ExpertOptions(FeatureOptions):
    """What the methods with trained networks share; only the start and the end of a training are kept."""

    experts: int = Field(10, ge=1, description="networks that are trained on the real rows")
    epochs: int = Field(20, ge=1, description="epochs of their training (SGD 0.01, momentum 0.9, weight decay 5e-4)")
    size: int = Field(256, ge=1, description="real rows in a minibatch of their training")


def experts(options: ExpertOptions, model: str | None, augment: str | None = "train") -> Experts:
    """The stage that trains them."""
    from ..experts import Training
    from .plan import Experts

    training = Training(options.epochs, 0.01, 0.9, 5e-4, size=options.size, augment=augment, stride=options.epochs)
    return Experts(options.experts, training, model)


def shared(problem: Problem[Any], options: FeatureOptions) -> dict[str, Any]:
    """What every objective of the family is given; a GPU is filled by all groups together."""
    one_by_one = problem.device.type == "cpu" and problem.data.separable
    return {"n_real": options.n_real, "augment": siamese(problem, options.augment), "one_by_one": one_by_one}


def optimised(
    options: FeatureOptions,
    objective: Any,  # or a function of the work
    *before: Stage,
    schedule: Callable[[int], float] | None = None,
) -> Plan:
    """Noise or random real rows, then updates by the objective."""
    import torch

    from .coresets import starting_rows
    from .plan import Plan, Synthesise

    sgd = partial(torch.optim.SGD, lr=options.lr, momentum=0.5)
    return Plan((*before, *starting_rows(options.start), Synthesise(objective, options.steps, sgd, schedule=schedule)))


# ---------------------------------------------------------------------------------------------------------------------
# DataDAM


class DataDAMOptions(FeatureOptions):
    """Attention matching. Defaults: the code of Sajedi et al. 2023."""

    n_real: int = Field(64, ge=1, description="real rows of each group in an update")
    attention: float = Field(100.0, ge=0, description="weight of the layers' attention")
    output: float = Field(1.0, ge=0, description="weight of the last features; 100 times the paper's lambda, 0.01")
    power: float = Field(1.0, gt=0, description="exponent of the answers that attention sums over channels")


def _datadam(problem: Problem[Any], counts: Mapping[int, int], options: DataDAMOptions) -> Plan:
    """Random real rows, then attention matching."""
    from ..objectives.layers import AttentionMatching
    from ..objectives.networks import Fresh

    objective = AttentionMatching(
        **shared(problem, options),
        networks=Fresh(options.model),
        attention=options.attention,
        output=options.output,
        power=options.power,
    )
    return optimised(options, objective)


def _datadam_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Fewer updates."""
    return {"steps": 200, "augment": augmented(problem)}


def _datadam_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """20,000 updates; the learning rate is 1, and 10 from 100 rows a class up."""
    return {"lr": 10.0 if max(counts.values()) >= 100 else 1.0, "augment": augmented(problem)}


DATADAM = Method(
    name="datadam",
    summary="Attention matching: where the layers of random networks answer.",
    family=FAMILY,
    paper="Sajedi, Khaki, Amjadian, Liu, Lawryshyn and Plataniotis, DataDAM, ICCV 2023",
    options=DataDAMOptions,
    plan=_datadam,
    presets={"quick": _datadam_quick, "paper": _datadam_paper},
)

# ---------------------------------------------------------------------------------------------------------------------
# CAFE


class CAFEOptions(FeatureOptions):
    """Layer-wise matching along networks that are trained as long as it helps. Defaults: the code of Wang et al. 2022."""

    lr: float = Field(
        0.1, gt=0, description="learning rate of the set (SGD, momentum 0.5); halved at 60, 80 and 90 % of the steps"
    )
    start: Literal["real", "noise"] = Field("noise", description="where the set starts: random real rows, or noise")
    augment: Literal["match", "none"] = Field("none", description="siamese augmentation, or none")
    last: float = Field(2.0, ge=0, description="weight of the last features")
    earlier: float = Field(0.1, ge=0, description="weight of each earlier layer")
    discrimination: float = Field(
        0.01, ge=0, description="weight of the loss by which class means tell real rows apart"
    )
    settled: float = Field(0.04, ge=0, description="a network is left when its scores lie within this (lambda_1)")
    moved: float = Field(
        0.03, ge=0, description="training between updates ends when scores span more than this (lambda_2)"
    )
    window: int = Field(10, ge=1, description="scores that `settled` and `moved` look back at")
    longest: int = Field(50, ge=1, description="epochs of training between two updates at most")
    query: int = Field(128, ge=1, description="real rows of each group by which a network is scored")
    lr_net: float = Field(0.01, gt=0, description="learning rate of the networks (SGD)")


def _cafe(problem: Problem[Any], counts: Mapping[int, int], options: CAFEOptions) -> Plan:
    """Noise or random real rows, then layer-wise matching."""
    from ..objectives.layers import LayerMatching
    from ..objectives.networks import Watched

    augment = siamese(problem, options.augment)
    networks = Watched(
        options.settled,
        options.moved,
        options.window,
        options.longest,
        options.query,
        lr=options.lr_net,
        augment="train" if augment and "train" in problem.augmentations else None,
        model=options.model,
    )
    objective = LayerMatching(
        n_real=options.n_real,
        augment=augment,
        networks=networks,
        last=options.last,
        earlier=options.earlier,
        discrimination=options.discrimination,
    )
    milestones = [options.steps * share // 10 for share in (6, 8, 9)]
    return optimised(options, objective, schedule=partial(halving, milestones=milestones))


def halving(step: int, milestones: list[int]) -> float:
    """One half for every milestone that is behind."""
    return 0.5 ** sum(step >= m for m in milestones)


def _cafe_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """From real rows; fewer updates, real rows and scores."""
    return {"steps": 200, "n_real": 64, "start": "real", "window": 3, "longest": 10, "query": 8}


def _cafe_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """2,000 networks, each with ten updates or more."""
    return {}


CAFE = Method(
    name="cafe",
    summary="Layer-wise means that tell real rows apart, along watched networks.",
    family=FAMILY,
    paper="Wang, Zhao, Peng, Zhu, Yang, Wang, Huang, Bilen, Wang and You, CAFE, CVPR 2022",
    options=CAFEOptions,
    plan=_cafe,
    presets={"quick": _cafe_quick, "paper": _cafe_paper},
)

# ---------------------------------------------------------------------------------------------------------------------
# IID


class IIDOptions(ExpertOptions):
    """Centralisation and covariances on top of distribution matching. Defaults: the code of Deng et al. 2024."""

    centralisation: float = Field(
        0.05, ge=0, description="weight of the spread of a class in a trained network (lambda_CC)"
    )
    covariance: float = Field(0.01, ge=0, description="weight of the distance of covariances (lambda_CM)")
    experts: int = Field(1000, ge=1, description="networks that are trained on the real rows")
    epochs: int = Field(40, ge=1, description="epochs of their training (SGD 0.01, momentum 0.9, weight decay 5e-4)")
    expert: str | None = Field(None, description="network that is trained; the first of the zoo by default")


def _iid(problem: Problem[Any], counts: Mapping[int, int], options: IIDOptions) -> Plan:
    """Trained networks, random real rows, then distribution matching with both constraints."""
    from ..objectives.moments import RelationMatching
    from ..objectives.networks import Fresh

    def objective(work: Work[Any]) -> RelationMatching:
        return RelationMatching(
            **shared(problem, options),
            networks=Fresh(options.model),
            experts=work.results["experts"],
            centralisation=options.centralisation,
            covariance=options.covariance,
        )

    return optimised(options, objective, experts(options, options.expert, augment=None))


def _iid_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """One network of ten epochs; fewer updates and real rows."""
    return {"steps": 200, "n_real": 64, "augment": augmented(problem), "experts": 1, "epochs": 10}


def _iid_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """A thousand ResNet-18 where the zoo has them."""
    return {"augment": augmented(problem), "expert": "resnet18" if "resnet18" in problem.models else None}


IID = Method(
    name="iid",
    summary="DM with close classes in trained networks, and covariances.",
    family=FAMILY,
    paper="Deng, Li, Ding, Wang, Zhang, Huang, Huo and Gao, Exploiting Inter-sample and Inter-feature Relations in "
    "Dataset Distillation, CVPR 2024",
    options=IIDOptions,
    plan=_iid,
    presets={"quick": _iid_quick, "paper": _iid_paper},
    needs=("experts",),
)

# ---------------------------------------------------------------------------------------------------------------------
# DSDM


class DSDMOptions(ExpertOptions):
    """Means, covariances and a memory of means in trained networks. Defaults: the code of Li et al. 2024."""

    steps: int = Field(10_000, ge=1, description="updates of the set")
    lr: float = Field(1.6, gt=0, description="learning rate of the set (SGD, momentum 0.5)")
    covariance: float = Field(
        50.0, ge=0, description="weight of the distance of covariances; it is divided by the features"
    )
    history: float = Field(
        0.2, ge=0, description="weight of the distance from the memory; it is divided by the features"
    )
    smoothing: float = Field(0.99, ge=0, le=1, description="share of the memory that an update keeps")
    wait: int = Field(2000, ge=0, description="updates after which the memory counts")


def _dsdm(problem: Problem[Any], counts: Mapping[int, int], options: DSDMOptions) -> Plan:
    """Trained networks, random real rows, then semantic matching."""
    from ..objectives.moments import SemanticMatching
    from ..objectives.networks import Snapshots

    def objective(work: Work[Any]) -> SemanticMatching:
        return SemanticMatching(
            **shared(problem, options),
            networks=Snapshots(work.results["experts"], first=1),
            covariance=options.covariance,
            history=options.history,
            smoothing=options.smoothing,
            wait=options.wait,
        )

    return optimised(options, objective, experts(options, options.model))


def _dsdm_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Three networks of ten epochs; fewer updates and real rows."""
    return {"steps": 200, "n_real": 64, "augment": augmented(problem), "experts": 3, "epochs": 10, "wait": 40}


def _dsdm_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """10,000 updates with ten networks."""
    return {"augment": augmented(problem)}


DSDM = Method(
    name="dsdm",
    summary="Means and covariances in trained networks, with a memory of means.",
    family=FAMILY,
    paper="Li, Zhou, Gu, Li and Wang, Diversified Semantic Distribution Matching for Dataset Distillation, ACM MM 2024",
    options=DSDMOptions,
    plan=_dsdm,
    presets={"quick": _dsdm_quick, "paper": _dsdm_paper},
    needs=("experts",),
)

# ---------------------------------------------------------------------------------------------------------------------
# DANCE


class DANCEOptions(ExpertOptions):
    """Matching between an expert's start and end, and calibration by its end. Defaults: the code of Zhang et al. 2024."""

    steps: int = Field(10_000, ge=1, description="updates of the set")
    lr: float = Field(0.16, gt=0, description="learning rate of the set (SGD, momentum 0.5)")
    n_real: int = Field(128, ge=1, description="real rows of each group in an update")
    calibration: float = Field(1.0, ge=0, description="weight of the set's loss on trained networks")
    experts: int = Field(5, ge=1, description="networks that are trained on the real rows")
    epochs: int = Field(60, ge=1, description="epochs of their training (SGD 0.01, momentum 0.9, weight decay 5e-4)")
    size: int = Field(128, ge=1, description="real rows in a minibatch of their training")


def _dance(problem: Problem[Any], counts: Mapping[int, int], options: DANCEOptions) -> Plan:
    """Trained networks, random real rows, then calibrated matching."""
    from ..objectives.moments import CalibratedMatching
    from ..objectives.networks import Interpolated

    def objective(work: Work[Any]) -> CalibratedMatching:
        paths = work.results["experts"]
        return CalibratedMatching(
            **shared(problem, options),
            networks=Interpolated(paths),
            experts=paths,
            calibration=options.calibration,
        )

    return optimised(options, objective, experts(options, options.model))


def _dance_quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Three networks of ten epochs; fewer updates and real rows."""
    return {"steps": 200, "lr": 0.5, "n_real": 64, "augment": augmented(problem), "experts": 3, "epochs": 10}


def _dance_paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """10,000 updates; the learning rate grows with the rows per class."""
    return {"lr": 0.16 * max(counts.values()), "augment": augmented(problem)}


DANCE = Method(
    name="dance",
    summary="DM along the way of experts, whose ends calibrate the set.",
    family=FAMILY,
    paper="Zhang, Li, Lin, Wang, Qian and Ge, DANCE: Dual-View Distribution Alignment for Dataset Condensation, IJCAI 2024",
    options=DANCEOptions,
    plan=_dance,
    presets={"quick": _dance_quick, "paper": _dance_paper},
    needs=("experts",),
)
