"""Which interactions to keep, as probabilities: the parametrization and the objective of DConRec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn

from ddcore.loop import Run
from ddcore.parametrizations.base import Synthetic
from ddcore.problem import Problem
from ddcore.seeds import torch_seeded

from .memory import need_memory
from .models.mf import MF
from .models.pairs import draw_pairs
from .users import Interactions, SparseUsers, dense

__all__ = ["KeptInteractions", "OneEpoch", "candidates", "onto_budget", "unseen_scores"]


class KeptInteractions(Synthetic[Interactions]):
    """Interactions of all users, real and proposed, each kept with a learned probability; the probabilities sum to `budget`."""

    parametrization = "recommender/kept-interactions"

    def __init__(self, rows: csr_array, budget: float, start: Tensor | None = None, step_size: float = 0.01) -> None:
        super().__init__({0: rows.shape[0]}, step_size)
        rows = csr_array(rows)
        self.shape, self.budget = (int(rows.shape[0]), int(rows.shape[1])), float(budget)
        self.register_buffer("indptr", torch.from_numpy(rows.indptr.astype(np.int64)))
        self.register_buffer("indices", torch.from_numpy(rows.indices.astype(np.int64)))
        self.p = nn.Parameter(torch.full((rows.nnz,), budget / rows.nnz) if start is None else start.clone())  # (nnz,)

    def rows(self, weights: NDArray[np.float32]) -> csr_array:  # (nnz,) -> (n, I)
        """The matrix with these weights, without zeros."""
        indptr, indices = (self.get_buffer(name).cpu().numpy() for name in ("indptr", "indices"))
        found = csr_array((weights.astype(np.float32), indices, indptr), self.shape, copy=True)
        found.eliminate_zeros()
        return found

    def mask(self, rng: np.random.Generator) -> NDArray[np.float32]:  # (nnz,)
        """A draw: 1 where an interaction is kept."""
        return (rng.random(len(self.p)) < self.p.detach().cpu().numpy()).astype(np.float32)

    def take(self, ids: Sequence[int], rng: Random | None = None) -> Interactions:
        """Histories in expectation."""
        ends = self.get_buffer("indptr").tolist()
        at = torch.cat([torch.arange(ends[u], ends[u + 1]) for u in ids]).to(self.p.device)
        user = torch.repeat_interleave(torch.tensor([ends[u + 1] - ends[u] for u in ids])).to(self.p.device)
        full = self.p.new_zeros(len(ids), self.shape[1])
        return Interactions(full.index_put((user, self.get_buffer("indices")[at]), self.p[at]))

    def project(self) -> None:
        self.p.copy_(onto_budget(self.p, self.budget))

    def drawn(self, rng: np.random.Generator) -> SparseUsers:
        """Exactly `budget` interactions, each in proportion to its probability's odds; users without any are left out."""
        odds = torch.logit(self.p.detach().double(), 1e-9).cpu().numpy() + rng.logistic(size=len(self.p))
        chosen = np.zeros(len(self.p), np.float32)
        chosen[np.argsort(-odds)[: round(self.budget)]] = 1
        rows = self.rows(chosen)
        return SparseUsers(csr_array(rows[np.diff(rows.indptr) > 0]))

    def stored(self) -> dict[str, Tensor]:
        return {"indptr": self.get_buffer("indptr"), "indices": self.get_buffer("indices"), "p": self.p.detach()}

    def config(self) -> dict[str, Any]:
        return {**super().config(), "items": self.shape[1], "budget": self.budget}

    @classmethod
    def restore(cls, problem: Problem[Interactions], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        indptr, indices = (tensors[name].cpu().numpy() for name in ("indptr", "indices"))
        ones = np.ones(len(indices), np.float32)
        rows = csr_array((ones, indices, indptr), (len(indptr) - 1, config["items"]))
        return cls(rows, config["budget"], tensors["p"])


def onto_budget(p: Tensor, budget: float, rounds: int = 60) -> Tensor:  # (n,)
    """The nearest point of [0, 1]^n whose sum is the budget: all entries shifted alike, then clipped; by bisection."""
    low, high = float(p.min()) - 1, float(p.max())
    for _ in range(rounds):
        shift = (low + high) / 2
        if float((p - shift).clamp(0, 1).double().sum()) > budget:
            low = shift
        else:
            high = shift
    return (p - high).clamp(0, 1)


def candidates(train: csr_array, scores: Iterable[Tensor], share: float) -> csr_array:  # (n, I), n times (I,)
    """The real interactions, and for each user `share` times as many of the unseen items that score highest."""
    user, item = [], []
    for u, row in enumerate(scores):
        seen = train.indices[train.indptr[u] : train.indptr[u + 1]]
        more = min(round(share * len(seen)), train.shape[1] - len(seen))
        best = row.index_fill(0, torch.from_numpy(seen.astype(np.int64)), -torch.inf).topk(more).indices
        item += [seen, best.numpy()]
        user += [np.full(len(seen) + more, u)]
    at = np.concatenate(user), np.concatenate(item)
    found = csr_array((np.ones(len(at[0]), np.float32), at), train.shape)
    found.sort_indices()
    return found


@dataclass(frozen=True)
class OneEpoch:
    r"""DConRec (Wu et al., TKDE 2024): K masks m_k are drawn from the probabilities s, a fresh matrix factorisation is trained on
    each for one epoch, and their losses L_k on val give the policy gradient with a mean baseline

        1 / (K - 1) \sum_k (L_k - \bar L) (m_k - s) / ( s (1 - s) )

    The loss is BPR's on the interactions of the val split; test rows are not read. The objective writes the gradient itself.
    """

    masks: int = 4  # K
    size: int = 512
    lr: float = 0.02

    def losses(self, problem: Problem[Any], synthetic: Synthetic[Any], run: Run) -> Iterator[Tensor | None]:
        assert isinstance(synthetic, KeptInteractions)
        need_memory(
            2 * len(problem.data.ids(split="val")) * synthetic.shape[1],
            "dconrec, which keeps all users of val at hand,",
            "filter users or items out, or choose another method",
        )
        held = [problem.data.take(list(problem.data.ids(split="val"))[i::8]) for i in range(8)]
        while True:
            run.boundary()
            g = np.random.default_rng(run.rng.getrandbits(63))
            masks, values = [], []
            for _ in range(self.masks):
                mask = synthetic.mask(g)
                with torch_seeded(run.rng.getrandbits(63)):
                    net = self.trained(synthetic.rows(mask), g)
                masks.append(torch.from_numpy(mask).to(synthetic.p.device))
                values.append(torch.stack([self.on_val(net, b, g) for b in held]).mean())
            loss = torch.stack(values).to(synthetic.p.device)
            s = synthetic.p.detach().clamp(1e-3, 1 - 1e-3)
            lead = (loss - loss.mean()) / (self.masks - 1)
            score = torch.stack([(m - s) / (s * (1 - s)) for m in masks])  # (K, nnz)
            synthetic.p.grad = lead @ score
            yield loss.mean()

    def trained(self, rows: csr_array, g: np.random.Generator) -> MF:
        """One epoch by pairs."""
        net = MF(rows.shape[1], 16)
        learned = net.start(rows)
        opt = torch.optim.Adam(learned, lr=self.lr)
        for _ in range(-(-rows.nnz // self.size)):
            u, i, j, w = draw_pairs(rows, self.size, g)
            loss = -(w * F.logsigmoid(net.leads(u, i, j))).mean()
            opt.zero_grad()
            torch.autograd.backward(loss, inputs=learned)
            opt.step()
        net.finish()
        return net

    @torch.no_grad()
    def on_val(self, net: MF, batch: Interactions, g: np.random.Generator) -> Tensor:  # ()
        """-log sigmoid of a held-out item's lead over a random one."""
        assert batch.y is not None, "val rows hold something out"
        scores = net(Interactions(batch.x.cpu())).logits  # what is small and trained for one epoch stays there
        user, item = batch.y.cpu().nonzero(as_tuple=True)
        other = torch.from_numpy(g.integers(scores.shape[1], size=len(user)))
        return -F.logsigmoid(scores[user, item] - scores[user, other]).mean()


def unseen_scores(net: MF, train: csr_array) -> Iterator[Tensor]:  # U times (I,)
    """What a trained network gives to every item of every user, one after another."""
    for i in range(0, train.shape[0], 1024):
        with torch.no_grad():
            scores = net(Interactions(dense(train[i : i + 1024]).to(net.items.device))).logits
        yield from scores.cpu()
