"""GDEM: eigenbasis matching."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .frame import defaults, not_nodes
from .stages import Decode, Start, feature_adam, selected_features

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = ["GDEM", "GDEMOptions"]


class GDEMOptions(Options):
    """Eigenbasis matching. Defaults: Liu et al. 2024, where table 11 has one for all ratios."""

    steps: int = Field(2000, ge=1, description="updates of the set")
    smallest: float = Field(
        0.9, ge=0, le=1, description="part of the eigenvectors that are of the smallest eigenvalues"
    )
    vectors: int | None = Field(None, ge=2, description="eigenvectors; as many as nodes by default")
    alpha: float = Field(1.0, ge=0, description="weight of the eigenvectors' match")
    beta: float = Field(1.0, ge=0, description="weight of the classes' match")
    gamma: float = Field(1.0, ge=0, description="weight of the basis being orthogonal")
    basis_steps: int = Field(5, ge=1, description="updates of the basis in turn ...")
    feature_steps: int = Field(5, ge=1, description="... and of the features")
    lr: float = Field(0.01, gt=0, description="learning rate of the features (Adam), in deviations of real ones")
    lr_structure: float = Field(1e-3, gt=0, description="learning rate of the basis (Adam)")
    threshold: float = Field(0.01, ge=0, description="edges of less weight are left out of the result")


def plan(problem: Problem[Any], counts: Mapping[int, int], options: GDEMOptions) -> Plan:
    """The real eigenvectors, real nodes with the basis of a block model, then the match of both in turn."""
    from ddcore.methods.coresets import starting_rows
    from ddcore.methods.plan import Plan, Prepare, Synthesise

    k = min(options.vectors or sum(counts.values()), sum(counts.values()), len(problem.data.take(problem.data.ids()).x))
    low = max(round(options.smallest * k), 1)

    def eigenpairs(work: Work[Any]) -> Any:
        from ..spectrum import laplacian_eigenpairs

        data = work.problem.data
        return laplacian_eigenpairs(data.take(data.ids()), low, k - low)

    def make(work: Work[Any]) -> Synthetic[Any]:
        from ..parametrizations.eigenbasis import EigenGraph, block_model_basis

        u = block_model_basis(work.counts, k, work.rng("basis").getrandbits(31))
        return EigenGraph(work.counts, selected_features(work), u, work.results["eigenpairs"][0])

    def objective(work: Work[Any]) -> Any:
        from ..objectives.eigenbasis import EigenbasisMatching

        return EigenbasisMatching(work.results["eigenpairs"][1], options.alpha, options.beta, options.gamma)

    def moves(step: int) -> Collection[str]:
        turn = step % (options.basis_steps + options.feature_steps)
        return ("structure",) if turn < options.basis_steps else ("rows",)

    adam = feature_adam(problem, options.lr, structure=options.lr_structure)
    matching = Synthesise(objective, options.steps, adam, moves=moves)
    prepare = Prepare("eigenpairs", eigenpairs)
    return Plan((prepare, *starting_rows("real"), Start(make), matching, Decode(options.threshold)))


def quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Half as many eigenvectors as nodes."""
    return {"steps": 500, "vectors": max(sum(counts.values()) // 2, 2), "lr": 0.02, "lr_structure": 0.01}


GDEM = Method(
    name="graph/gdem",
    summary="The eigenbasis of the real graph and what it sees of the features are matched.",
    family="graph condensation",
    paper="Liu et al., Graph Distillation with Eigenbasis Matching, ICML 2024",
    options=GDEMOptions,
    plan=plan,
    presets={"quick": quick, "paper": defaults},
    refuses=not_nodes,
)
