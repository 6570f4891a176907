"""Mult-VAE."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddcore.problem import Output

from ..users import Interactions

__all__ = ["MultVAE"]


class MultVAE(nn.Module):
    r"""A variational autoencoder with a multinomial likelihood (Liang et al., WWW 2018): I - `hidden` - `latent` - `hidden` - I
    with tanh, histories normalised to length 1 and, in training, dropped out. `extras["kl"]` is \beta times the KL divergence
    of the posterior, which the task adds to the likelihood; \beta is their cap, without annealing."""

    def __init__(
        self, items: int, hidden: int = 600, latent: int = 200, dropout: float = 0.5, beta: float = 0.2
    ) -> None:
        super().__init__()
        self.dropout, self.beta = dropout, beta
        self.encoder = nn.Linear(items, hidden)
        self.posterior = nn.Linear(hidden, 2 * latent)
        self.decoder = nn.Linear(latent, hidden)
        self.scores = nn.Linear(hidden, items)

    def forward(self, batch: Interactions) -> Output:
        """Logits (n, I), and the posterior's mean (n, latent) as features."""
        x = F.dropout(F.normalize(batch.x, dim=1), self.dropout, self.training)
        first = torch.tanh(self.encoder(x))
        mean, log_variance = self.posterior(first).chunk(2, 1)  # (n, latent) each
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if self.training else mean
        second = torch.tanh(self.decoder(z))
        kl: Tensor = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return Output(self.scores(second), mean, {"kl": self.beta * kl, "layers": (first, mean, second)})
