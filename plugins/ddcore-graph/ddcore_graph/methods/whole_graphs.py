"""DosCond on whole graphs and KiDD: edges as logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .frame import defaults
from .gradient import DOSCOND_PAPER
from .stages import Decode, Start

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = ["DOSCOND_GRAPHS", "KIDD", "DosCondOptions", "KiDDOptions"]


def _of_nodes(problem: Problem[Any]) -> str | None:
    """Why a method of graphs refuses a problem; None where its rows are graphs."""
    from ..graph_data import GraphData

    return None if isinstance(problem.data, GraphData) else "its rows are no graphs; doscond is for nodes"


class _EdgeOptions(Options):
    steps: int = Field(1000, ge=1, description="updates of the set")
    lr: float = Field(0.01, gt=0, description="learning rate of the features (Adam)")
    lr_structure: float = Field(0.1, ge=0, description="learning rate of the edges' logits (Adam)")
    cooling: int = Field(200, ge=1, description="updates in which the temperature of edges falls from 1 to 0.01")
    n_real: int = Field(256, ge=1, description="real graphs in an update, of each class or of all")


class DosCondOptions(_EdgeOptions):
    """One-step gradient matching on graphs. Defaults: Jin et al. 2022 (DosCond), their code's for MUTAG."""

    sparsity: float = Field(0.1, ge=0, description="weight of what edges become denser than at the start")
    model: str | None = Field(None, description="network of the problem's zoo; its first by default")


class KiDDOptions(_EdgeOptions):
    """Kernel regression on graphs. Defaults: Xu et al. 2023, their code."""

    steps: int = Field(300, ge=1, description="updates of the set")
    lr: float = Field(1e-3, gt=0, description="learning rate of the features (Adam)")
    lr_structure: float = Field(1e-2, ge=0, description="learning rate of the edges' logits (Adam)")
    n_real: int = Field(128, ge=1, description="real graphs in an update")
    layers: int = Field(5, ge=1, description="layers of the kernel's network, of which the first alone has a ReLU")
    reg: float = Field(1e-6, ge=0, description="ridge, as a part of the kernel's mean diagonal")
    orthogonality: float = Field(1e-3, ge=0, description="weight of the set's graphs being different")
    rank: int | None = Field(None, ge=1, description="rank of the edges' logits (KiDD-LR); full by default")


def _plan(options: _EdgeOptions, objective: Any, rank: int | None = None, sparsity: float = 0.0) -> Plan:
    """Random real graphs, whose edges become logits, then the objective."""
    import torch

    from ddcore.methods.coresets import starting_rows
    from ddcore.methods.optimisers import per_group
    from ddcore.methods.plan import Plan, Synthesise

    def make(work: Work[Any]) -> Synthetic[Any]:
        from ..parametrizations.logits import LogitGraphs, LowRankGraphs

        assert work.synthetic is not None
        plain: Any = work.problem.synthetic(work.counts, work.synthetic.batch(rng=work.rng("decode")), work.rng("set"))
        start = (work.counts, plain.x, plain.adj, plain.mask)
        more: dict[str, Any] = {"cooling": options.cooling, "sparsity": sparsity}
        return LogitGraphs(*start, **more) if rank is None else LowRankGraphs(*start, rank=rank, **more)

    adam = per_group(torch.optim.Adam, {"rows": options.lr, "structure": options.lr_structure})
    return Plan((*starting_rows("real"), Start(make), Synthesise(objective, options.steps, adam), Decode()))


def _doscond(problem: Problem[Any], counts: Mapping[int, int], options: DosCondOptions) -> Plan:
    from ddcore.objectives.networks import Fresh

    from ..objectives.whole_graphs import RelativeMatching

    objective = RelativeMatching(n_real=options.n_real, networks=Fresh(options.model))
    return _plan(options, objective, sparsity=options.sparsity)


def _kidd(problem: Problem[Any], counts: Mapping[int, int], options: KiDDOptions) -> Plan:
    from ..kernels.gntk import LiteGNTK
    from ..objectives.whole_graphs import GraphKernelRegression

    n_real = min(options.n_real, len(problem.data.ids()))
    kernel = LiteGNTK(options.layers)
    return _plan(options, GraphKernelRegression(kernel, n_real, options.reg, options.orthogonality), options.rank)


def _published(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """The commands of DosCond's code by data set, whichever problem reads it: those of MUTAG for others."""
    from ..graph_data import GraphData

    rates = {"dd": 2.0, "nci1": 1.0, "ogbg-molhiv": 0.01, "ogbg-molbace": 0.01, "ogbg-molbbbp": 2.0}
    name = problem.data.name.lower() if isinstance(problem.data, GraphData) else ""
    return {"lr_structure": rates[name]} if name in rates else {}


def _quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """150 updates on 64 real graphs."""
    return {"steps": 150, "n_real": 64, "cooling": 50}


DOSCOND_GRAPHS = Method(
    name="graph/doscond-graphs",
    summary="One-step gradient matching on whole graphs, whose edges are drawn from logits.",
    family="graph condensation",
    paper=DOSCOND_PAPER,
    options=DosCondOptions,
    plan=_doscond,
    presets={"quick": _quick, "paper": _published},
    refuses=_of_nodes,
)
KIDD = Method(
    name="graph/kidd",
    summary="Regression with a light kernel of graph networks, on whole graphs.",
    family="graph condensation",
    paper="Xu et al., Kernel Ridge Regression-Based Graph Dataset Distillation, KDD 2023",
    options=KiDDOptions,
    plan=_kidd,
    presets={"quick": _quick, "paper": defaults},
    refuses=_of_nodes,
)
