"""SimGC: alignment with a trained teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .frame import defaults, not_nodes
from .gradient import alternating, with_pairs
from .stages import Decode, Start, feature_adam, feature_scale

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.problem import Problem

__all__ = ["SIMGC", "SimGCOptions"]


class SimGCOptions(Options):
    """Alignment with a teacher. Defaults: Xiao et al. 2024, their code."""

    steps: int = Field(2000, ge=1, description="updates of the set")
    alpha: float = Field(10.0, ge=0, description="weight of the moments' match")
    beta: float = Field(0.1, ge=0, description="weight of smoothness")
    lr: float = Field(0.05, gt=0, description="learning rate of the features (Adam), in deviations of real ones")
    lr_structure: float = Field(0.01, gt=0, description="learning rate of the edges' network (Adam)")
    hidden: int = Field(128, ge=1, description="width of the edges' network")
    degree: float | None = Field(
        None, gt=0, description="weight of a node's edges together at the start; by default each is about a half"
    )
    threshold: float = Field(0.01, ge=0, le=1, description="edges of less weight are left out of the result")
    structure_turns: int = Field(10, ge=0, description="updates of the edges, in turn with ...")
    feature_turns: int = Field(40, ge=1, description="... updates of the features")
    teacher_steps: int = Field(600, ge=1, description="full-batch steps of the teacher's training (Adam 0.01)")


def plan(problem: Problem[Any], counts: Mapping[int, int], options: SimGCOptions) -> Plan:
    """A linear teacher, real nodes, then the alignment; GCond's alternation."""
    from ddcore.methods.coresets import starting_rows
    from ddcore.methods.plan import Plan, Prepare, Synthesise

    def teach(work: Work[Any]) -> Any:
        from ddcore.inner import fit, optimiser

        net, data = work.problem.new_model(work.rng("teacher"), "sgc"), work.problem.data
        graph, opt = data.take(data.ids()), optimiser(net, "adam", 0.01, weight_decay=5e-4)
        fit(work.problem, net, ((graph, None) for _ in range(options.teacher_steps)), opt, 0.01)  # type: ignore[misc]
        return net.eval().requires_grad_(False)

    def objective(work: Work[Any]) -> Any:
        from ..objectives.alignment import Alignment

        teacher, scale = work.results["teacher"], feature_scale(work.problem)
        return Alignment(teacher, alpha=options.alpha, beta=options.beta, scale=scale)

    adam = feature_adam(problem, options.lr, structure=options.lr_structure)
    matching = Synthesise(
        objective, options.steps, adam, moves=alternating(1, options.structure_turns, options.feature_turns)
    )
    start = Start(with_pairs(options.hidden, options.degree))
    return Plan((Prepare("teacher", teach), *starting_rows("real"), start, matching, Decode(options.threshold)))


SIMGC = Method(
    name="graph/simgc",
    summary="What nodes see hop by hop, and what a trained teacher says of them, is aligned.",
    family="graph condensation",
    paper="Xiao et al., Simple Graph Condensation, ECML-PKDD 2024",
    options=SimGCOptions,
    plan=plan,
    presets={"quick": lambda problem, counts: {"steps": 100, "lr": 0.5}, "paper": defaults},
    needs=("teacher",),
    refuses=not_nodes,
)
