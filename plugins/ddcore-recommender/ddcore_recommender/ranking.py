"""The task of collaborative filtering: every item is ranked, and what was held out should come first."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ddcore.errors import DataError
from ddcore.problem import Metric, Output, Task

from .users import Interactions

__all__ = ["Counts", "Ranking", "ndcg", "propensities"]


def propensities(popularity: NDArray[np.int64]) -> NDArray[np.float64]:  # (I,) -> (I,)
    """Inverse propensities 1 + C (n_i + 1.5)^{-0.55}, C = (ln N - 1) 2.5^{0.55} (Jain et al., KDD 2016), N interactions."""
    c = (math.log(max(int(popularity.sum()), 3)) - 1) * 2.5**0.55
    found: NDArray[np.float64] = 1 + c * (popularity + 1.5) ** -0.55
    return found


def ndcg(logits: Tensor, batch: Interactions, k: int = 10) -> Tensor:  # (n, I) -> (users with a held-out item,)
    """nDCG@k alone, for choices on val: quicker than all metrics, and blind to the rule on ties."""
    assert batch.y is not None, "only held-out rows are judged"
    relevant = (batch.y > 0) & ~(batch.x > 0)
    judged = relevant.any(1)
    k = min(k, logits.shape[1])
    best = _last_if_none(logits).masked_fill(batch.x > 0, -math.inf)[judged].topk(k, 1).indices
    discount = 1 / torch.log2(torch.arange(2, k + 2, dtype=logits.dtype, device=logits.device))  # (k,)
    gain = (relevant[judged].gather(1, best) * discount).sum(1)
    return gain / discount.cumsum(0)[relevant[judged].sum(1).clamp(max=k) - 1]


def _last_if_none(scores: Tensor) -> Tensor:
    """Scores that are no numbers become the lowest."""
    lowest = torch.finfo(scores.dtype).min
    return scores.nan_to_num(nan=lowest, neginf=lowest)


class Counts:
    """Sums over users of the ranking metrics: a whole split may come in any pieces."""

    def __init__(self, cuts: Sequence[int], inverse_propensity: Tensor, negatives: int | None = None) -> None:  # (I,)
        self.cuts, self.inverse_propensity, self.negatives = tuple(cuts), inverse_propensity.double(), negatives
        self.sums: dict[str, float] = {}
        self.users = 0
        self.recommended: dict[int, set[int]] = {k: set() for k in self.cuts}
        items = len(inverse_propensity)
        self.discount = 1 / torch.log2(torch.arange(2, items + 2, dtype=torch.float64))  # (I,) of rank 1, 2 ...
        self.ideal = self.discount.cumsum(0)

    def add(self, scores: Tensor, seen: Tensor, relevant: Tensor) -> None:  # (n, I) each
        """One piece. Items of the history are never recommended, and users without relevant items do not count."""
        relevant = (relevant > 0) & ~(seen > 0)
        judged = relevant.any(1)
        scores, seen, relevant = scores[judged].double(), seen[judged] > 0, relevant[judged]
        n, items = scores.shape
        if not n:
            return
        left = (~seen).sum(1)  # (n,) items to choose from
        if self.negatives is not None:
            seen = seen | ~(relevant | _sampled(~seen & ~relevant, self.negatives))
            left = (~seen).sum(1)
        scores = _last_if_none(scores).masked_fill(seen, -math.inf)
        order = scores.argsort(dim=1, descending=True, stable=True)
        place = torch.empty_like(order).scatter_(1, order, torch.arange(1, items + 1).expand_as(order))
        user, item = relevant.nonzero(as_tuple=True)
        rank, p = place[user, item], relevant.sum(1)  # (pairs,), (n,)

        def per_user(value: Tensor) -> Tensor:  # (pairs,) -> (n,)
            return torch.zeros(n, dtype=torch.float64).index_add_(0, user, value.double())

        found: dict[str, Tensor] = {}
        by_rank = torch.argsort(user * (items + 1) + rank)
        number = torch.arange(1, len(user) + 1) - (p.cumsum(0) - p)[user[by_rank]]  # of this user's hits so far
        for k in self.cuts:
            hit = rank <= k
            most = p.clamp(max=k)
            hits = per_user(hit)
            found[f"nDCG@{k}"] = per_user(hit * self.discount[rank - 1]) / self.ideal[most - 1]
            found[f"HR@{k}"] = hits / most
            found[f"recall@{k}"] = hits / p
            precision = torch.zeros(len(user), dtype=torch.float64)
            precision[by_rank] = number.double() / rank[by_rank]
            found[f"MAP@{k}"] = per_user(hit * precision) / most
            weight = self.inverse_propensity[item]
            best = _largest(weight, user, n, k)
            found[f"PSP@{k}"] = per_user(hit * weight) / best
            self.recommended[k] |= set(order[:, :k][scores.gather(1, order[:, :k]) > -math.inf].tolist())
        first = torch.full((n,), items + 1.0, dtype=torch.float64).scatter_reduce_(0, user, rank.double(), "amin")
        found["MRR"] = 1 / first
        found["AUC"] = _auc(scores, relevant, p, left)
        for name, value in found.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.sum())
        self.users += n

    def means(self) -> dict[str, float]:
        """Means over users; coverage is the part of all items that some user was recommended."""
        if not self.users:
            raise DataError("no user has a held-out item that is new to them: there is nothing to score")
        found = {name: total / self.users for name, total in self.sums.items()}
        items = len(self.inverse_propensity)
        return {**found, **{f"coverage@{k}": len(some) / items for k, some in self.recommended.items()}}


def _largest(weight: Tensor, user: Tensor, n: int, k: int) -> Tensor:  # (pairs,) -> (n,)
    """Of each user the sum of the k largest weights."""
    order = torch.argsort(weight, descending=True, stable=True)
    order = order[torch.argsort(user[order], stable=True)]
    u = user[order]
    place = torch.arange(len(u)) - torch.searchsorted(u, u)
    return torch.zeros(n, dtype=torch.float64).index_add_(0, u, weight[order] * (place < k))


def _auc(scores: Tensor, relevant: Tensor, p: Tensor, left: Tensor) -> Tensor:  # (n, I), (n, I), (n,), (n,) -> (n,)
    """The part of pairs (relevant, other) in the right order, equal scores counting half: the rank-sum statistic over the
    items that may be recommended. 1/2 where there is no other item."""
    ordered = scores.sort(dim=1).values
    low = torch.searchsorted(ordered, scores.contiguous(), right=False).double()
    high = torch.searchsorted(ordered, scores.contiguous(), right=True).double()
    masked = (scores.shape[1] - left).double()[:, None]  # they sort first
    mid = (low + high + 1) / 2 - masked  # mean rank from the bottom among `left`
    total = (mid * relevant).sum(1) - p * (p + 1) / 2
    others = (left - p).double()
    return torch.where(others > 0, total / (p * others.clamp(min=1)), 0.5)


def _sampled(others: Tensor, n: int) -> Tensor:  # (users, I) -> (users, I)
    """n of each user's other items: a draw for each set of them, the same in every evaluation and in any cut into batches."""
    chosen = torch.zeros_like(others)
    for row, mask in zip(others.numpy(), chosen, strict=True):
        seed = hashlib.blake2b(np.packbits(row).tobytes(), digest_size=8).digest()
        items, g = np.flatnonzero(row), np.random.default_rng(int.from_bytes(seed))
        mask[g.choice(items, min(n, len(items)), replace=False)] = True
    return chosen


class Ranking(Task[Interactions]):
    """Implicit feedback over I items: a multinomial likelihood of the history (Liang et al., WWW 2018), ranking metrics of
    what was held out.

    All items compete but those of the history. Of equal scores the item with the lower number comes first, and scores that are
    no numbers come last. Users without a
    held-out item that is new to them are left out. Items that nobody has in training take part like all others. HR@k is the
    hits over min(k, relevant items), as in Distill-CF; recall@k the hits over all relevant items. With `negatives`, each user's
    relevant items compete with that many others only, drawn for each user, and metrics say so in their names.
    """

    def __init__(
        self, popularity: NDArray[np.int64], cuts: Sequence[int] = (10, 100), negatives: int | None = None
    ) -> None:
        self.popularity, self.cuts, self.negatives = popularity, tuple(cuts), negatives
        self.inverse_propensity = torch.from_numpy(propensities(popularity))
        of = [f"{name}@{k}" for k in self.cuts for name in ("nDCG", "HR", "recall", "MAP", "PSP")]
        names = [*of, "MRR", "AUC", *(f"coverage@{k}" for k in self.cuts)]
        self.metrics = tuple(Metric(self._name(name)) for name in names)

    def _name(self, name: str) -> str:
        return name if self.negatives is None else f"{name} ({self.negatives} negatives)"

    def targets(self, batch: Interactions) -> Tensor:  # (n, I)
        return batch.x if batch.y is None else batch.y

    def losses(self, out: Output, batch: Interactions) -> Tensor:  # (n,)
        nll = -(self.targets(batch) * out.logits.log_softmax(1)).sum(1)
        return nll + out.extras["kl"] if "kl" in out.extras else nll

    def score(self, pairs: Iterable[tuple[Output, Interactions]]) -> Mapping[str, float]:
        counts = Counts(self.cuts, self.inverse_propensity, self.negatives)
        for out, batch in pairs:
            counts.add(out.logits.cpu(), batch.x.cpu(), self.targets(batch).cpu())
        found = counts.means()
        return {m.name: found[m.name.partition(" (")[0]] for m in self.metrics}
