"""GC-SNTK: kernel regression with the kernel of graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .frame import not_nodes
from .gradient import without_edges
from .stages import Start, feature_adam

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = ["GC_SNTK", "GCSNTKOptions"]


class GCSNTKOptions(Options):
    """Kernel regression on nodes. Defaults: Wang et al. 2024, their code's for Cora."""

    steps: int = Field(200, ge=1, description="updates of the set")
    lr: float = Field(
        0.01,
        gt=0,
        description="learning rate of the features (Adam), in deviations of real ones: the paper has one of 1",
    )
    lr_labels: float = Field(0.01, gt=0, description="learning rate of learned labels (Adam)")
    reg: float = Field(1.0, ge=0, description="ridge, as a part of the kernel's mean diagonal")
    hops: int = Field(2, ge=1, description="K: aggregations of the kernel")
    layers: int = Field(2, ge=1, description="L: ReLU layers after each of them")
    labels: Literal["learned", "fixed"] = Field("learned", description="whether labels are learned, or stay")
    n_real: int = Field(2000, ge=1, description="real nodes in an update")


def plan(problem: Problem[Any], counts: Mapping[int, int], options: GCSNTKOptions) -> Plan:
    """Random real nodes, then regression on them predicts the real nodes."""
    from ddcore.methods.coresets import starting_rows
    from ddcore.methods.plan import Plan, Synthesise
    from ddcore.objectives.kernel import KernelRegression

    from ..kernels.sntk import SNTK
    from ..objectives.kernel import GraphKernel, SquaredProbabilities

    def ready(work: Work[Any], synthetic: Synthetic[Any]) -> None:
        if options.labels == "learned" and synthetic.label_kind == "ids":
            synthetic.learn_labels("values", work.problem.task.targets(synthetic.batch()).detach())

    objective = KernelRegression(
        GraphKernel(SNTK(options.hops, options.layers)),
        n_real=min(options.n_real, len(problem.data.ids())),
        reg=options.reg,
        loss=SquaredProbabilities(),
        centre=False,
    )

    adam = feature_adam(problem, options.lr, labels=options.lr_labels)
    return Plan((*starting_rows("real"), Start(without_edges), Synthesise(objective, options.steps, adam, ready=ready)))


def _no_kernel(problem: Problem[Any]) -> str | None:
    """Why the method refuses a problem; None where the kernel can be between all pairs of its nodes."""
    from ..problems import KERNEL_NODES

    if (reason := not_nodes(problem)) is not None or "sntk" in problem.kernels:
        return reason
    return f"its graph has more than {KERNEL_NODES:,} nodes, and the kernel is between all pairs of them"


def preset(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The defaults; the ridge of the paper's table for the graphs that it names."""
    reg = {"pubmed": 1e-3, "ogbn-arxiv": 1e-5, "flickr": 1e-5}.get(problem.name.rpartition("/")[2])
    return {} if reg is None else {"reg": reg}


GC_SNTK = Method(
    name="graph/gc-sntk",
    summary="Regression on the set with the kernel of infinitely wide graph networks predicts real nodes.",
    family="graph condensation",
    paper="Wang et al., Fast Graph Condensation with Structure-based Neural Tangent Kernel, WWW 2024",
    options=GCSNTKOptions,
    plan=plan,
    presets={"quick": preset, "paper": preset},
    refuses=_no_kernel,
)
