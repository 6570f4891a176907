"""What sequential recommenders share, and the two of them: attention and a recurrent network."""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddcore.problem import Output

from ..sequences import Sequences

__all__ = ["GRU4Rec", "SASRec"]


class SequentialModel(nn.Module):
    """Item embeddings, a body, and the products of what it gives with the same embeddings. Weights of items become the mean of
    their embeddings. Every part has second derivatives."""

    def __init__(self, items: int, dim: int) -> None:
        super().__init__()
        self.items = nn.Parameter(0.1 * torch.randn(items, dim))

    @abstractmethod
    def body(self, h: Tensor, begun: Tensor) -> Tensor:  # (n, L, dim), (n, L) -> (n, L, dim)
        """What is known after each position."""

    def forward(self, batch: Sequences) -> Output:
        """Logits (rows, I) and features (rows, dim) of the positions that are asked for."""
        if batch.x.ndim == 2:
            h = F.embedding(batch.x, torch.cat([torch.zeros_like(self.items[:1]), self.items]))
        else:
            h = batch.x @ self.items
        features = self.body(h, batch.begun)[batch.asked]
        return Output(features @ self.items.T, features)


class SASRec(SequentialModel):
    """Self-attention over earlier positions (Kang and McAuley, ICDM 2018): pre-norm blocks of one head, without dropout."""

    def __init__(self, items: int, length: int, dim: int = 32, blocks: int = 1) -> None:
        super().__init__(items, dim)
        self.place = nn.Parameter(0.02 * torch.randn(length, dim))
        self.blocks = nn.ModuleList(_Block(dim) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)

    def body(self, h: Tensor, begun: Tensor) -> Tensor:
        length = h.shape[1]
        h = (h + self.place[-length:]) * begun[..., None]
        before = torch.ones(length, length, dtype=torch.bool, device=h.device).tril()
        visible = before & (begun[:, None, :] | torch.eye(length, dtype=torch.bool, device=h.device))
        for block in self.blocks:
            h = block(h, visible)
        found: Tensor = self.norm(h)
        return found


class _Block(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm_a, self.norm_b = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.read, self.write = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, h: Tensor, visible: Tensor) -> Tensor:  # (n, L, dim), (n, L, L)
        q, k, v = self.read(self.norm_a(h)).chunk(3, 2)
        attention = (q @ k.mT / q.shape[2] ** 0.5).masked_fill(~visible, -torch.inf).softmax(2)
        h = h + self.write(attention @ v)
        found: Tensor = h + self.down(F.gelu(self.up(self.norm_b(h))))
        return found


class GRU4Rec(SequentialModel):
    """A gated recurrent unit (Hidasi et al., ICLR 2016), written out: torch's own has no second derivative on every device."""

    def __init__(self, items: int, dim: int = 32) -> None:
        super().__init__(items, dim)
        self.input, self.state = nn.Linear(dim, 3 * dim), nn.Linear(dim, 3 * dim)

    def body(self, h: Tensor, begun: Tensor) -> Tensor:
        state = torch.zeros_like(h[:, 0])
        inputs, states = self.input(h), []
        for t in range(h.shape[1]):
            r_x, z_x, n_x = inputs[:, t].chunk(3, 1)
            r_h, z_h, n_h = self.state(state).chunk(3, 1)
            z = torch.sigmoid(z_x + z_h)
            new = (1 - z) * torch.tanh(n_x + torch.sigmoid(r_x + r_h) * n_h) + z * state
            state = torch.where(begun[:, t, None], new, state)
            states.append(state)
        return torch.stack(states, 1)
