"""SVP-CF: a small model's mistakes say which interactions matter."""

from __future__ import annotations

from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from ddcore.seeds import generator

from .ranking import propensities
from .users import UserData

__all__ = ["forgetting", "inverse_propensities"]


def forgetting(
    data: UserData,
    rng: Random,
    *,
    dim: int,
    epochs: int,
    lr: float = 0.006,
    decay: float = 1e-6,
    dropout: float = 0.3,
    size: int = 1024,
    negatives: int = 1,
) -> NDArray[np.float64]:  # (nnz,)
    """For each training interaction the mean over epochs of how many sampled items the proxy puts above it (Sachdeva et al.,
    WSDM 2022, section 4.1). The proxy: matrix factorisation with biases, of the biases alone for `dim` 0, trained by BPR."""
    users, items = data.train.shape
    user = torch.from_numpy(np.repeat(np.arange(users), np.diff(data.train.indptr)))
    item = torch.from_numpy(data.train.indices.astype(np.int64))
    g = generator(rng)
    p, q = (nn.Parameter(0.01 * torch.randn(n, dim, generator=g)) for n in (users, items))
    b = nn.Parameter(torch.zeros(items))
    opt = torch.optim.Adam([p, q, b] if dim else [b], lr=lr, weight_decay=decay)

    def score(u: torch.Tensor, i: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
        interest = p[u] * q[i] if keep is None else p[u] * q[i] * keep
        return interest.sum(-1) + b[i]

    missed = torch.zeros(len(user))
    for _ in range(epochs):
        for at in torch.randperm(len(user), generator=g).split(size):
            others = torch.randint(items, (len(at),), generator=g)
            keep = (torch.rand(len(at), dim, generator=g) > dropout) / (1 - dropout)
            loss = -F.logsigmoid(score(user[at], item[at], keep) - score(user[at], others, keep)).mean()
            opt.zero_grad()
            torch.autograd.backward(loss, inputs=[p, q, b] if dim else [b])
            opt.step()
        with torch.no_grad():
            for at in torch.arange(len(user)).split(16 * size):
                others = torch.randint(items, (len(at), negatives), generator=g)
                above = score(user[at][:, None], others) > score(user[at], item[at])[:, None]
                missed[at] += above.float().mean(1)
    found: NDArray[np.float64] = (missed / max(epochs, 1)).double().numpy()
    return found


def inverse_propensities(data: UserData) -> NDArray[np.float64]:  # (nnz,)
    """Of each interaction the larger of its user's and its item's inverse propensity."""
    sizes = np.diff(data.train.indptr)
    by_item = propensities(np.bincount(data.train.indices, minlength=data.train.shape[1]))[data.train.indices]
    by_user = np.repeat(propensities(sizes), sizes)
    found: NDArray[np.float64] = np.maximum(by_item, by_user)
    return found
