"""Sequences from few numbers: Farzi's low rank and TD3's Tucker decomposition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Self

import torch
from torch import Tensor, nn

from ddcore.problem import Problem
from ddcore.seeds import generator

from .sequences import Sequences, SoftSequences

__all__ = ["LowRankSequences", "TuckerSequences"]


class LowRankSequences(SoftSequences):
    r"""Farzi's data (Sachdeva et al., arXiv 2023, section 3.2): softmax(E D) over the items, E (n, L + 1, d), D (d, I)."""

    parametrization = "recommender/low-rank-sequences"

    def __init__(self, counts: Mapping[int, int], latent: Tensor, decoder: Tensor, step_size: float = 0.01) -> None:
        super().__init__(counts, step_size)
        self.latent = nn.Parameter(latent.detach().clone())  # (n, L + 1, d)
        self.decoder = nn.Parameter(decoder.detach().clone())  # (d, I)

    @classmethod
    def noise(cls, counts: Mapping[int, int], length: int, items: int, dim: int, rng: Random) -> Self:
        """Normal numbers such that logits have a deviation of 1."""
        g = generator(rng)
        latent = torch.randn(sum(counts.values()), length + 1, dim, generator=g)
        return cls(counts, latent, torch.randn(dim, items, generator=g) / dim**0.5)

    def weights(self, ids: Sequence[int]) -> Tensor:
        return (self.latent[list(ids)] @ self.decoder).softmax(2)

    def stored(self) -> dict[str, Tensor]:
        return {"latent": self.latent.detach(), "decoder": self.decoder.detach()}

    @classmethod
    def restore(cls, problem: Problem[Sequences], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        return cls(dict(config["counts"]), tensors["latent"], tensors["decoder"])


class TuckerSequences(SoftSequences):
    r"""TD3's data (Zhang et al., WWW 2025, section 3.2): the softmax over items of

        \sum_{abc} G_{abc} U_{na} T_{lb} V_{ic}

    with a learned core G, users U and positions T, and the items' embeddings V of a trained recommender, which stay."""

    parametrization = "recommender/tucker-sequences"

    def __init__(
        self, counts: Mapping[int, int], core: Tensor, user: Tensor, time: Tensor, item: Tensor, step_size: float = 0.01
    ) -> None:
        super().__init__(counts, step_size)
        self.core = nn.Parameter(core.detach().clone())  # (a, b, c)
        self.user = nn.Parameter(user.detach().clone())  # (n, a)
        self.time = nn.Parameter(time.detach().clone())  # (L + 1, b)
        self.item: Tensor
        self.register_buffer("item", item.detach().clone())  # (I, c)

    @classmethod
    def noise(cls, counts: Mapping[int, int], length: int, item: Tensor, dim: int, rng: Random) -> Self:
        """Normal numbers such that logits have a deviation of about 1."""
        g, c = generator(rng), item.shape[1]
        core = torch.randn(dim, dim, c, generator=g) / (dim * (c * float(item.var())) ** 0.5)
        user, time = torch.randn(sum(counts.values()), dim, generator=g), torch.randn(length + 1, dim, generator=g)
        return cls(counts, core, user, time, item.cpu())

    def weights(self, ids: Sequence[int]) -> Tensor:
        by_item = torch.einsum("abc,ic->abi", self.core, self.item)
        return torch.einsum("abi,na,lb->nli", by_item, self.user[list(ids)], self.time).softmax(2)

    def stored(self) -> dict[str, Tensor]:
        return {name: getattr(self, name).detach() for name in ("core", "user", "time", "item")}

    @classmethod
    def restore(cls, problem: Problem[Sequences], config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        core, user, time, item = (tensors[name] for name in ("core", "user", "time", "item"))
        return cls(dict(config["counts"]), core, user, time, item)
