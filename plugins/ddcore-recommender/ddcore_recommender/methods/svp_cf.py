"""SVP-CF and SVP-CF-Prop: the interactions that a small model gets wrong."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ddcore.methods.base import Method
from ddcore.options import Options

from .samplers import PAPER
from .stages import Become, of_rankings

if TYPE_CHECKING:
    from ddcore.methods.plan import Plan, Work
    from ddcore.parametrizations.base import Synthetic
    from ddcore.problem import Problem

__all__ = ["SVP_CF", "SVP_CF_PROP", "SVPOptions"]


class SVPOptions(Options):
    """SVP-CF. Defaults: Sachdeva et al. 2022, their code."""

    epochs: int = Field(50, ge=1, description="epochs of the proxy")
    dim: int = Field(10, ge=0, description="of the proxy's factors; 0: biases alone")
    lr: float = Field(0.006, gt=0, description="learning rate of the proxy (Adam)")
    keep: Literal["interactions", "users"] = Field(
        "interactions", description="the hardest interactions, or the users whose interactions are hardest on average"
    )


def _plan(weighted: bool, problem: Problem[Any], counts: Mapping[int, int], options: SVPOptions) -> Plan:
    from ddcore.methods.plan import Plan

    def sample(work: Work[Any]) -> Synthetic[Any]:
        import numpy as np

        from ..proxy import forgetting, inverse_propensities
        from ..sampling import best, ranked_users
        from ..users import SparseUsers, user_data

        data = user_data(work.problem)
        scores = forgetting(data, work.rng("proxy"), dim=options.dim, epochs=options.epochs, lr=options.lr)
        if weighted:
            scores = scores * inverse_propensities(data)
        if options.keep == "interactions":
            return SparseUsers(best(data, scores, counts[0]))
        sizes = np.diff(data.train.indptr)
        of = np.repeat(np.arange(len(sizes)), sizes)
        return SparseUsers(ranked_users(data, np.bincount(of, scores, len(sizes)) / sizes.clip(1), counts[0]))

    return Plan((Become(sample),))


def _quick(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """20 epochs."""
    return {"epochs": 20}


def _paper(problem: Problem[Any], counts: Mapping[int, int]) -> Mapping[str, Any]:
    """Their settings."""
    return {}


def _method(name: str, summary: str, weighted: bool) -> Method:
    return Method(
        name=f"recommender/{name}",
        summary=summary,
        family="selection",
        paper=PAPER,
        options=SVPOptions,
        plan=partial(_plan, weighted),
        presets={"quick": _quick, "paper": _paper},
        refuses=of_rankings,
    )


SVP_CF = _method("svp-cf", "The interactions that a small model gets wrong.", weighted=False)
SVP_CF_PROP = _method("svp-cf-prop", "The same, with rare users and items weighted up.", weighted=True)
